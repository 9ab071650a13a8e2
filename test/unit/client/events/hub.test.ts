import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClosedError, RequestError, type EventStream, type OpenCodeEvent } from 'jarvis-opencode';
import { FakeEventSource, take } from '../../../support/event-source.js';

let source: FakeEventSource;
beforeEach(() => {
  source = new FakeEventSource();
});
afterEach(async () => {
  await source.hub.close(new ClosedError());
  expect(source.open).toBe(0);
  expect(source.hub.size).toBe(0);
});

/** Waits until the hub has read everything sent so far. */
async function settled(): Promise<void> {
  const mark = source.hub.stream(undefined, { types: ['project.updated'] });
  source.send(undefined, 'project.updated');
  await take(mark, 1);
}

describe('the event hub', () => {
  it('opens one connection for any number of subscribers, and none before', async () => {
    expect(source.connections).toHaveLength(0);
    const streams = Array.from({ length: 50 }, (_, index) => source.hub.stream(`/${index}`));
    await Promise.all(streams.map((stream) => stream.ready));
    expect(source.connections).toHaveLength(1);
  });

  it('gives each directory its own events only, and every event to a subscriber of all directories', async () => {
    const [a, b, all] = [source.hub.stream('/a'), source.hub.stream('/b'), source.hub.stream(undefined)];
    await Promise.all([a.ready, b.ready, all.ready]);
    source.send('/a', 'session.idle', { sessionID: 'ses_a' });
    source.send('/b', 'session.idle', { sessionID: 'ses_b' });
    source.send('/a', 'brand.new', { n: 1 });
    expect(await take(a, 2)).toMatchObject([
      { directory: '/a', type: 'session.idle' },
      { type: 'brand.new' },
    ]);
    expect(await take(b, 1)).toMatchObject([{ directory: '/b', properties: { sessionID: 'ses_b' } }]);
    expect((await take(all, 4)).map((event) => event.type)).toEqual([
      'server.connected',
      'session.idle',
      'session.idle',
      'brand.new',
    ]);
  });

  it('filters events by type and by session', async () => {
    const idle = source.hub.stream('/a', { types: ['session.idle'] });
    const one = source.hub.stream('/a', { sessionID: 'ses_1' });
    await Promise.all([idle.ready, one.ready]);
    source.send('/a', 'session.status', { sessionID: 'ses_2', status: { type: 'busy' } });
    source.send('/a', 'session.status', { sessionID: 'ses_1', status: { type: 'busy' } });
    source.send('/a', 'session.idle', { sessionID: 'ses_2' });
    expect(await take(idle, 1)).toMatchObject([{ type: 'session.idle' }]);
    expect(await take(one, 1)).toMatchObject([
      { type: 'session.status', properties: { sessionID: 'ses_1' } },
    ]);
  });

  it('delivers an event once, although the server sends it twice', async () => {
    const stream = source.hub.stream('/a');
    await stream.ready;
    source.send('/a', 'session.created', { sessionID: 'ses_1' });
    const syncEvent = { id: 'evt_session.created', type: 'session.created.1' };
    const payloads = [
      { type: 'sync', syncEvent },
      { syncEvent, type: 'sync' },
    ];
    for (const payload of payloads) source.write(`data: ${JSON.stringify({ directory: '/a', payload })}\n\n`);
    // It is known by its head, without being parsed.
    source.write('data: {"directory":"/a","payload":{"id":"evt_1","type":"sync","oops\n\n');
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    expect((await take(stream, 2)).map(({ type }) => type)).toEqual(['session.created', 'session.idle']);
    expect(source.logged).toEqual([]);
  });

  it('parses no event that no subscriber needs', async () => {
    source.wants = (type) => type === 'session.idle';
    const stream = source.hub.stream('/a', { types: ['file.edited'] });
    await stream.ready;
    source.send('/a', 'message.part.delta', { delta: 'x' });
    source.send('/b', 'file.edited', { file: 'x' });
    // Its rest is not even looked at.
    source.write('data: {"directory":"/a","payload":{"id":"evt_1","type":"message.part.delta","oops\n\n');
    source.send('/b', 'session.idle', { sessionID: 'ses_1' });
    source.send('/a', 'file.edited', { file: 'y' });
    expect(await take(stream, 1)).toMatchObject([{ properties: { file: 'y' } }]);
    expect(source.observed).toEqual(['live', 'session.idle']);
    expect(source.logged).toEqual([]);
  });

  it('reads on after frames that are no events, and logs them', async () => {
    const stream = source.hub.stream('/a');
    await stream.ready;
    for (const frame of ['{oops', '7', '{"payload":{}}', '{"directory":7,"payload":{"id":{},"type":"x"}}']) {
      source.write(`data: ${frame}\n\n`);
    }
    source.send('/outside/any/repository', 'session.idle', { sessionID: 'ses_unknown' });
    source.send('/a', 'session.idle');
    expect(await take(stream, 1)).toMatchObject([{ type: 'session.idle', properties: {} }]);
    expect(source.logged).toEqual(['event skipped', 'event skipped', 'event skipped']);
    expect(source.connections).toHaveLength(1);
  });

  it('delivers events after a listener throws', async () => {
    source.hub.listen('/a', {
      event: () => {
        throw new Error('a mistake of the listener');
      },
      lost: () => undefined,
    });
    const stream = source.hub.stream('/a');
    await stream.ready;
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    expect(await take(stream, 1)).toHaveLength(1);
    expect(source.connections).toHaveLength(1);
  });

  it('delivers events after the loop of a subscriber throws, and closes that subscription', async () => {
    const failing = source.hub.stream('/a');
    const stream = source.hub.stream('/a');
    await stream.ready;
    const loop = async (): Promise<void> => {
      for await (const event of failing) throw new Error(`a mistake at ${event.type}`);
    };
    const looping = loop();
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    source.send('/a', 'file.edited', { file: 'x' });
    await expect(looping).rejects.toThrow('a mistake at session.idle');
    expect(await take(stream, 2)).toHaveLength(2);
    expect(source.hub.size).toBe(0);
  });

  it('serves 500 subscribers of 50 directories, each in order and with its own', async () => {
    const streams = Array.from({ length: 500 }, (_, index) => source.hub.stream(`/${index % 50}`));
    await streams[0]?.ready;
    for (let index = 0; index < 1_000; index++) {
      source.send(`/${index % 50}`, 'file.edited', { file: String(index) });
    }
    const seen = await Promise.all(streams.map((stream) => take(stream, 20)));
    for (const [index, events] of seen.entries()) {
      expect(events.map(({ properties }) => Number('file' in properties && properties.file))).toEqual(
        Array.from({ length: 20 }, (_, round) => round * 50 + (index % 50)),
      );
    }
    expect(source.connections).toHaveLength(1);
  });
});

describe('an event stream', () => {
  it('ends an event stream on break, abort and close(), and keeps nothing of it', async () => {
    const controller = new AbortController();
    const aborted = source.hub.stream('/a', { signal: controller.signal });
    const broken = source.hub.stream('/a');
    const closed = source.hub.stream('/a');
    await aborted.ready;
    expect(source.hub.size).toBe(3);
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    await take(broken, 1);
    const waiting = take(aborted, 5);
    controller.abort('enough');
    expect(await waiting).toHaveLength(1);
    await closed.close();
    expect(await take(closed, 1)).toEqual([]);
    expect(source.hub.size).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('leaves nothing on the signal of the caller, however an event stream ends', async () => {
    const { signal } = new AbortController();
    const [broken, closed, lost] = Array.from({ length: 3 }, () => source.hub.stream('/a', { signal }));
    await broken?.ready;
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    await take(broken as EventStream, 1);
    await closed?.close();
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await source.hub.close(new ClosedError());
    await lost?.ready;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it.each([
    [{ signal: {} as AbortSignal }, 'Expected signal to be an AbortSignal, got object'],
    [
      { types: 'session.idle' as never },
      'Expected types to be an array of strings, got "session.idle" (string)',
    ],
    [{ types: [7] as never }, 'Expected types to be an array of strings, got an array'],
    [{ sessionID: 7 as never }, 'Expected sessionID to be a string, got 7 (number)'],
  ])('refuses an event stream with %j, and leaves no listener and no hold', (options, message) => {
    const hold = vi.fn();
    expect(() => source.hub.stream('/a', { ...options, hold: true }, () => hold)).toThrow(message);
    expect(source.hub.size).toBe(0);
    expect(source.attempts).toBe(0);
  });

  it.each([
    ['before it is made', (abort: () => void) => abort()],
    ['while it connects', () => undefined],
    ['when it delivers', (_abort: () => void, stream?: EventStream) => stream?.ready],
  ] as const)('ends an event stream by a signal that aborts %s', async (when, prepare) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const abort = (): void => controller.abort(reason);
    if (when === 'before it is made') abort();
    const stream = source.hub.stream('/a', { signal: controller.signal });
    await prepare(abort, stream);
    const looping = take(stream, 1);
    abort();
    expect(await looping).toEqual([]);
    if (when === 'when it delivers') await stream.ready;
    else await expect(stream.ready).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    expect(source.hub.size).toBe(0);
  });

  it('closes an event stream from inside its own loop', async () => {
    const stream = source.hub.stream('/a');
    await stream.ready;
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    source.send('/a', 'session.idle', { sessionID: 'ses_2' });
    const seen: OpenCodeEvent[] = [];
    for await (const event of stream) {
      seen.push(event);
      await stream.close();
    }
    expect(seen).toHaveLength(1);
    expect(await take(stream, 1)).toEqual([]);
  });

  it('does not count an event stream as ready that was closed before it was', async () => {
    const stream = source.hub.stream('/a');
    await stream.close();
    await expect(stream.ready).rejects.toThrow(ClosedError);
  });

  it('shares the events of a stream among several loops, and ends them all', async () => {
    const stream = source.hub.stream('/a');
    await stream.ready;
    const loops = [stream, stream].map(async (each) => {
      const files: unknown[] = [];
      for await (const { properties } of each) files.push('file' in properties && properties.file);
      return files;
    });
    for (let index = 0; index < 10; index++) source.send('/a', 'file.edited', { file: index });
    await settled();
    await stream.close();
    const seen = (await Promise.all(loops)).flat();
    expect(seen.sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('answers reads in their order, also those that come before there is anything to read', async () => {
    const stream = source.hub.stream('/a');
    await stream.ready;
    const iterator = stream[Symbol.asyncIterator]();
    const reads = [iterator.next(), iterator.next(), iterator.next()];
    for (const file of ['1', '2']) source.send('/a', 'file.edited', { file });
    expect(await reads[0]).toMatchObject({ done: false, value: { properties: { file: '1' } } });
    expect(await reads[1]).toMatchObject({ done: false, value: { properties: { file: '2' } } });
    await stream.close();
    expect(await reads[2]).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it('keeps 1,000 events for the reader of a stream by default', async () => {
    const stream = source.hub.stream('/a');
    await stream.ready;
    for (let index = 0; index < 1_000; index++) source.send('/a', 'file.edited', { file: String(index) });
    await settled();
    expect((await take(stream, 1))[0]?.properties).toEqual({ file: '0' });
    const full = source.hub.stream('/a');
    for (let index = 0; index <= 1_000; index++) source.send('/a', 'file.edited', { file: String(index) });
    await settled();
    expect(await take(full, 2)).toMatchObject([
      { type: 'jarvis.gap', properties: { reason: 'overflow', dropped: 1_000 } },
      { properties: { file: '1000' } },
    ]);
  });

  it('drops events that a slow reader does not fetch, and says how many', async () => {
    const stream = source.hub.stream('/a', { bufferSize: 10 });
    await stream.ready;
    for (let index = 0; index < 25; index++) source.send('/a', 'file.edited', { file: String(index) });
    await settled();
    const events = await take(stream, 6);
    expect(events[0]).toEqual({
      directory: undefined,
      id: '',
      type: 'jarvis.gap',
      properties: { reason: 'overflow', dropped: 20, changed: [] },
    });
    expect(events.slice(1).map((event) => event.properties)).toEqual(
      ['20', '21', '22', '23', '24'].map((file) => ({ file })),
    );
  });

  it('drops events that a slow reader does not fetch when they have more bytes than the buffer', async () => {
    const stream = source.hub.stream('/a', { bufferBytes: 100_000 });
    await stream.ready;
    const text = 'x'.repeat(30_000);
    for (let n = 0; n < 5; n += 1) source.send('/a', 'brand.new', { n, text });
    await settled();
    expect(await take(stream, 3)).toMatchObject([
      { type: 'jarvis.gap', properties: { reason: 'overflow', dropped: 3 } },
      { properties: { n: 3 } },
      { properties: { n: 4 } },
    ]);
  });

  it('delivers an event that is longer than the buffer', async () => {
    const stream = source.hub.stream('/a', { bufferBytes: 1_000 });
    await stream.ready;
    source.send('/a', 'brand.new', { text: 'x'.repeat(30_000) });
    await settled();
    source.send('/a', 'brand.new', { n: 2 });
    await settled();
    expect(await take(stream, 2)).toMatchObject([
      { type: 'jarvis.gap', properties: { reason: 'overflow', dropped: 1 } },
      { properties: { n: 2 } },
    ]);
    const other = source.hub.stream('/a', { bufferBytes: 1_000 });
    source.send('/a', 'brand.new', { text: 'x'.repeat(30_000) });
    await settled();
    expect(await take(other, 1)).toMatchObject([{ type: 'brand.new' }]);
  });

  it('counts the bytes of events that wait, not of those that were read', async () => {
    const stream = source.hub.stream('/a', { bufferBytes: 50_000 });
    await stream.ready;
    const iterator = stream[Symbol.asyncIterator]();
    for (let n = 0; n < 5; n += 1) {
      source.send('/a', 'brand.new', { n, text: 'x'.repeat(30_000) });
      await settled();
      expect((await iterator.next()).value).toMatchObject({ properties: { n } });
    }
  });

  it('keeps no more events for a slow reader than its buffer of 50,000, and counts every other', async () => {
    const slow = source.hub.stream('/a');
    const fast = source.hub.stream('/a', { bufferSize: 50_000 });
    await slow.ready;
    const count = 50_000;
    const frame =
      'data: {"directory":"/a","payload":{"id":"evt_1","type":"file.edited","properties":{}}}\n\n';
    for (let sent = 0; sent < count; sent += 500) source.write(frame.repeat(500));
    expect((await take(fast, count)).map(({ type }) => type)).not.toContain('jarvis.gap');
    let [seen, dropped] = [0, 0];
    for await (const event of slow) {
      if (event.type === 'jarvis.gap') dropped += event.properties.dropped;
      else seen += 1;
      if (seen + dropped === count) break;
    }
    expect(seen).toBeLessThanOrEqual(1_000);
    expect(seen + dropped).toBe(count);
  });

  it('throws a final refusal of the server, and tries again for a new stream', async () => {
    source.refusal = new RequestError({ method: 'GET', path: '/global/event', status: 401 });
    const stream = source.hub.stream('/a');
    await expect(stream.ready).rejects.toBe(source.refusal);
    await expect(take(stream, 1)).rejects.toBe(source.refusal);
    source.refusal = undefined;
    const next = source.hub.stream('/a');
    await next.ready;
  });

  it('ends a stream quietly when its client is closed, and with the error when the server is lost', async () => {
    const quiet = source.hub.stream('/a');
    await quiet.ready;
    const looping = take(quiet, 1);
    await source.hub.close(new ClosedError());
    expect(await looping).toEqual([]);
    const lost = new FakeEventSource();
    const loud = lost.hub.stream('/a');
    await loud.ready;
    const failing = take(loud, 1);
    const error = new Error('lost');
    await Promise.all([lost.hub.close(error), expect(failing).rejects.toBe(error)]);
    const late = lost.hub.stream('/a');
    await expect(late.ready).rejects.toBe(error);
    await expect(take(late, 1)).rejects.toBe(error);
  });

  it('holds the instance on request until the stream ends in whatever way', async () => {
    let holds = 0;
    const hold = (): (() => void) => {
      holds += 1;
      return () => {
        holds -= 1;
      };
    };
    const caller = new AbortController();
    const unheld = source.hub.stream('/a', {}, hold);
    expect(holds).toBe(0);
    const broken = source.hub.stream('/a', { hold: true }, hold);
    const closed = source.hub.stream('/a', { hold: true }, hold);
    source.hub.stream('/a', { hold: true, signal: caller.signal }, hold);
    expect(holds).toBe(3);
    await broken.ready;
    source.send('/a', 'session.idle');
    await take(broken, 1);
    expect(holds).toBe(2);
    await closed.close();
    await closed.close();
    expect(holds).toBe(1);
    caller.abort();
    await unheld.close();
    expect(holds).toBe(0);
    source.hub.stream('/a', { hold: true }, hold);
    await source.hub.close(new ClosedError());
    expect(holds).toBe(0);
  });

  it('holds no instance for a stream of all repositories', () => {
    expect(() => source.hub.stream(undefined, { hold: true })).toThrow(TypeError);
    expect(source.hub.size).toBe(0);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses a bufferSize and a bufferBytes of %d', (value) => {
    expect(() => source.hub.stream('/a', { bufferSize: value })).toThrow(RangeError);
    expect(() => source.hub.stream('/a', { bufferBytes: value })).toThrow(RangeError);
  });
});
