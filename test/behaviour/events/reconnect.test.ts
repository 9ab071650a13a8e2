import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ClosedError,
  ConnectionError,
  RequestError,
  ResponseShapeError,
  ServerLostError,
} from 'jarvis-opencode';
import { FakeEventSource, take } from '../../support/event-source.js';
import { deferred } from '../../support/wait.js';

vi.mock('../../../src/core/real-time.js', () => import('../../support/global-time.js'));

let source: FakeEventSource;
beforeEach(() => {
  vi.useFakeTimers();
  source = new FakeEventSource();
});
afterEach(async () => {
  await source.hub.close(new ClosedError());
  expect(source.open).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const target = { method: 'GET', path: '/global/event' };
const change = { busy: [], idle: [], asked: [], answered: [] };

/** Makes the hub live. */
async function connected(): Promise<void> {
  const connecting = source.hub.connect();
  await vi.advanceTimersByTimeAsync(250);
  await connecting;
}

describe('the connection of the event hub', () => {
  it('counts the event stream as ready some time after its first frame, because the server may not have subscribed us before', async () => {
    source.isSilent = true;
    let isReady = false;
    void source.hub.connect().then(() => (isReady = true));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(isReady).toBe(false);
    source.send(undefined, 'server.connected');
    await vi.advanceTimersByTimeAsync(249);
    expect(isReady).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isReady).toBe(true);
  });

  it('does not count the event stream as ready before the server has answered twice since its first frame, because it may still have to subscribe us', async () => {
    const answers = [deferred(), deferred()];
    let asked = 0;
    source.answer = () => answers[asked++]?.promise ?? Promise.resolve();
    let isReady = false;
    void source.hub.connect().then(() => (isReady = true));
    await vi.advanceTimersByTimeAsync(5_000);
    answers[0]?.resolve();
    await vi.advanceTimersByTimeAsync(5_000);
    expect([isReady, asked]).toEqual([false, 2]);
    answers[1]?.reject(new Error('503'));
    await vi.advanceTimersByTimeAsync(0);
    expect([isReady, asked]).toEqual([true, 2]);
  });

  it.each([
    ['a clean end', () => source.connections.at(-1)?.close()],
    ['a reset', () => source.connections.at(-1)?.error(new TypeError('terminated'))],
  ])(
    'opens the event stream again after %s, reads what it missed, then delivers the gap',
    async (_name, end) => {
      const [a, b] = [source.hub.stream('/a'), source.hub.stream('/b')];
      const all = source.hub.stream(undefined);
      await connected();
      const [forA, forB] = [
        { ...change, directory: '/a', idle: ['ses_1'] },
        { ...change, directory: '/b' },
      ];
      source.changes = [forA, forB];
      end();
      await vi.advanceTimersByTimeAsync(1_000);
      expect(source.resyncs).toBe(1);
      const gap = { directory: undefined, id: '', type: 'jarvis.gap' };
      const properties = { reason: 'reconnect', dropped: 0 };
      expect(await take(a, 1)).toEqual([{ ...gap, properties: { ...properties, changed: [forA] } }]);
      expect(await take(b, 1)).toEqual([{ ...gap, properties: { ...properties, changed: [forB] } }]);
      expect((await take(all, 2)).at(-1)).toEqual({
        ...gap,
        properties: { ...properties, changed: [forA, forB] },
      });
      expect(source.observed.filter((type) => type === 'live' || type === 'down')).toEqual([
        'live',
        'down',
        'live',
      ]);
    },
  );

  it('reads again after a gap the directories that somebody has subscribed to', async () => {
    source.hub.stream('/a');
    source.hub.stream('/b', { types: ['file.edited'] });
    await connected();
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(source.subscribed).toEqual({ '/a': true, '/b': false });
    source.hub.stream(undefined);
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(source.subscribed).toEqual({ '/a': true, '/b': true });
  });

  it('takes the event stream for dead after 25 s without a byte, whatever TCP says', async () => {
    const stream = source.hub.stream('/a');
    await connected();
    for (let second = 0; second < 60; second += 10) {
      source.write(': any byte is a sign of life\n');
      await vi.advanceTimersByTimeAsync(10_000);
    }
    expect(source.attempts).toBe(1);
    await vi.advanceTimersByTimeAsync(14_900);
    expect(source.attempts).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(source.attempts).toBe(2);
    expect(await take(stream, 1)).toMatchObject([{ type: 'jarvis.gap' }]);
  });

  it('takes the event stream for dead after 25 s also when the server accepted it and sent nothing', async () => {
    source.isSilent = true;
    const connecting = source.hub.connect();
    await vi.advanceTimersByTimeAsync(24_900);
    expect(source.attempts).toBe(1);
    source.isSilent = false;
    await vi.advanceTimersByTimeAsync(1_000);
    await connecting;
    expect(source.attempts).toBe(2);
    expect(source.resyncs).toBe(0);
  });

  it('delivers no gap before the event stream was ever ready', async () => {
    source.refusal = new ConnectionError(target);
    const stream = source.hub.stream('/a');
    await vi.advanceTimersByTimeAsync(1_000);
    source.refusal = undefined;
    await vi.advanceTimersByTimeAsync(5_000);
    await stream.ready;
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    expect(await take(stream, 1)).toMatchObject([{ type: 'session.idle' }]);
    expect(source.resyncs).toBe(0);
  });

  it('delivers a gap also when the event stream drops before it counts as ready, because the hub delivered events by then', async () => {
    const stream = source.hub.stream('/a');
    await vi.advanceTimersByTimeAsync(10);
    source.send('/a', 'session.status', { sessionID: 'ses_1', status: { type: 'busy' } });
    await vi.advanceTimersByTimeAsync(10);
    source.connections.at(-1)?.error(new TypeError('terminated'));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(source.resyncs).toBe(1);
    expect((await take(stream, 2)).map(({ type }) => type)).toEqual(['session.status', 'jarvis.gap']);
  });

  it('delivers a gap at its place: events that come while the hub asks the server follow it', async () => {
    const stream = source.hub.stream('/a', { bufferSize: 20_000 });
    await connected();
    source.send('/a', 'file.edited', { file: 'before' });
    let answer = (): void => undefined;
    source.reading = new Promise((resolve) => {
      answer = resolve;
    });
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1_000);
    source.send('/a', 'file.edited', { file: 'after' });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(source.observed.slice(-2)).toEqual(['server.connected', 'file.edited']);
    answer();
    const [before, gap, after] = await take(stream, 3);
    expect([before?.properties, gap?.type, after?.properties]).toEqual([
      { file: 'before' },
      'jarvis.gap',
      { file: 'after' },
    ]);
  });

  it('keeps no more than 10,000 events back while the hub asks the server', async () => {
    const stream = source.hub.stream('/a', { bufferSize: 20_000 });
    await connected();
    let answer = (): void => undefined;
    source.reading = new Promise((resolve) => {
      answer = resolve;
    });
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1_000);
    for (let index = 0; index < 10_002; index++) source.send('/a', 'file.edited', { file: String(index) });
    await vi.advanceTimersByTimeAsync(1_000);
    answer();
    const [gap, first] = await take(stream, 2);
    expect([gap, first]).toMatchObject([
      { type: 'jarvis.gap', properties: { reason: 'reconnect', dropped: 10_000 } },
      { properties: { file: '9999' } },
    ]);
  });

  it('keeps no more than 64 MiB of events back while the hub asks the server', async () => {
    const stream = source.hub.stream('/a');
    await connected();
    let answer = (): void => undefined;
    source.reading = new Promise((resolve) => {
      answer = resolve;
    });
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1_000);
    const text = 'x'.repeat(24 * 1024 * 1024);
    for (let n = 0; n < 3; n += 1) source.send('/a', 'brand.new', { n, text });
    await vi.advanceTimersByTimeAsync(1_000);
    answer();
    const [gap, first] = await take(stream, 2);
    expect([gap, first]).toMatchObject([
      { type: 'jarvis.gap', properties: { reason: 'reconnect', dropped: 3 } },
      { properties: { n: 2 } },
    ]);
  });

  it('tries to open the event stream again without limit, less and less often up to every 5 s', async () => {
    source.refusal = new ConnectionError(target);
    void source.hub.connect().catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(source.attempts).toBeGreaterThanOrEqual(4);
    await vi.advanceTimersByTimeAsync(9_000);
    const before = source.attempts;
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(source.attempts - before).toBeGreaterThanOrEqual(3_600 / 5);
    expect(source.attempts - before).toBeLessThanOrEqual(3_600 / 2.5);
  });

  it.each([
    ['before it is live', 100],
    ['soon after it is live', 4_000],
  ])(
    'tries again less and less often when the event stream keeps failing %s, and at once after it was stable',
    async (_when, afterMs) => {
      await connected();
      const waits: number[] = [];
      for (let cut = 0; cut < 6; cut++) {
        source.connections.at(-1)?.close();
        const before = source.attempts;
        let waited = 0;
        while (source.attempts === before) {
          await vi.advanceTimersByTimeAsync(10);
          waited += 10;
        }
        waits.push(waited);
        await vi.advanceTimersByTimeAsync(afterMs);
      }
      expect(waits.at(-1)).toBeGreaterThanOrEqual(1_600);
      await vi.advanceTimersByTimeAsync(6_000);
      const before = source.attempts;
      source.connections.at(-1)?.close();
      await vi.advanceTimersByTimeAsync(110);
      expect(source.attempts).toBe(before + 1);
    },
  );

  it.each([
    [0, 50],
    [0.5, 75],
    [0.999, 100],
  ])(
    'tries to open the event stream again at another time in each client: with chance %d after %d ms',
    async (chance, waitMs) => {
      await connected();
      vi.spyOn(Math, 'random').mockReturnValue(chance);
      source.connections.at(-1)?.close();
      await vi.advanceTimersByTimeAsync(waitMs - 2);
      expect(source.attempts).toBe(1);
      await vi.advanceTimersByTimeAsync(2);
      expect(source.attempts).toBe(2);
    },
  );

  it('gives the event stream up when it cannot read what it missed, and opens another one', async () => {
    const stream = source.hub.stream('/a');
    await connected();
    vi.spyOn(Math, 'random').mockReturnValue(0);
    source.reading = Promise.reject(new Error('a mistake'));
    source.reading.catch(() => undefined);
    source.connections.at(-1)?.close();
    // The first wait, until it counts as live, and the second wait.
    await vi.advanceTimersByTimeAsync(50 + 250 + 100);
    expect(source.attempts).toBe(3);
    source.reading = Promise.resolve();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(source.open).toBe(1);
    source.send('/a', 'file.edited', { file: 'x' });
    expect((await take(stream, 2)).map(({ type }) => type)).toEqual(['jarvis.gap', 'file.edited']);
  });

  it('reports a sign of life of the server with every piece of the event stream, whatever it is', async () => {
    await connected();
    const before = source.signs;
    source.write(': any byte\n');
    source.write('da');
    await vi.advanceTimersByTimeAsync(0);
    expect(source.signs).toBe(before + 2);
  });

  it.each([401, 403, 404])(
    'does not open the event stream again when the server refuses it with %d',
    async (status) => {
      const stream = source.hub.stream('/a');
      await connected();
      const looping = take(stream, 1);
      source.refusal = new RequestError({ ...target, status });
      source.connections.at(-1)?.close();
      const [result] = await Promise.allSettled([looping, vi.advanceTimersByTimeAsync(60_000)]);
      expect(result).toEqual({ status: 'rejected', reason: source.refusal });
      expect(source.attempts).toBe(2);
      // Who comes later finds it, and is told what happened in between was not seen.
      source.refusal = undefined;
      await connected();
      expect(source.resyncs).toBe(1);
    },
  );

  it.each([
    [
      'when what answers is no event stream',
      new ResponseShapeError(target, [{ path: '', message: 'expected an event stream' }]),
    ],
    ['when the server redirects in a browser', new ConnectionError(target, { isRedirect: true })],
  ])('does not open the event stream again %s', async (_when, refusal) => {
    source.refusal = refusal;
    const stream = source.hub.stream('/a');
    await expect(stream.ready).rejects.toBe(source.refusal);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(source.attempts).toBe(1);
  });

  it.each([408, 425, 429, 500, 502, 503])('opens the event stream again after status %d', async (status) => {
    source.refusal = new RequestError({ ...target, status });
    const connecting = source.hub.connect();
    await vi.advanceTimersByTimeAsync(1_000);
    source.refusal = undefined;
    await vi.advanceTimersByTimeAsync(5_000);
    await connecting;
  });

  it('ends at once when the hub is closed while it waits to open the event stream again', async () => {
    source.refusal = new ConnectionError(target);
    const stream = source.hub.stream('/a');
    await vi.advanceTimersByTimeAsync(10_000);
    await source.hub.close(new ClosedError());
    await expect(stream.ready).rejects.toThrow(ClosedError);
    const { attempts } = source;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(source.attempts).toBe(attempts);
  });

  it('waits for the next server when this one ends, and says so in the gap', async () => {
    const stream = source.hub.stream('/a', { types: ['file.edited'] });
    await connected();
    source.link.markLost(new ServerLostError('The work'));
    source.hub.publishServerChange({ state: 'restarting', attempt: 1 });
    expect(source.observed.at(-1)).toBe('down');
    const ready = source.hub.connect();
    await vi.advanceTimersByTimeAsync(600_000);
    expect([source.attempts, source.open]).toEqual([1, 0]);
    source.link.markReady();
    await vi.advanceTimersByTimeAsync(250);
    await ready;
    expect(await take(stream, 2)).toMatchObject([
      {
        type: 'jarvis.server',
        directory: undefined,
        id: '',
        properties: { state: 'restarting', attempt: 1 },
      },
      { type: 'jarvis.gap', properties: { reason: 'restart' } },
    ]);
    const later = source.hub.stream('/a');
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await take(later, 1)).toMatchObject([{ properties: { reason: 'reconnect' } }]);
  });

  it('tries the event stream of the next server again at once, however long that of the last server was out of reach', async () => {
    await connected();
    source.refusal = new ConnectionError(target);
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(60_000);
    source.link.markLost(new ServerLostError('The work'));
    await vi.advanceTimersByTimeAsync(10_000);
    const before = source.attempts;
    source.link.markReady();
    await vi.advanceTimersByTimeAsync(110);
    expect(source.attempts).toBe(before + 2);
  });

  it('leaves no listener on the signal of the server when the event stream is over', async () => {
    await connected();
    expect(getEventListeners(source.link.lost, 'abort')).toHaveLength(1);
    source.refusal = new ConnectionError(target);
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1);
    expect(getEventListeners(source.link.lost, 'abort')).toEqual([]);
  });

  it('ends the wait for the next server when the hub is closed', async () => {
    await connected();
    source.link.markLost(new ServerLostError('The work'));
    await vi.advanceTimersByTimeAsync(0);
    await source.hub.close(new ClosedError());
    source.link.markReady();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(source.attempts).toBe(1);
  });

  it('delivers nothing of a frame when the event stream is cut in the middle of it', async () => {
    const stream = source.hub.stream('/a');
    await connected();
    source.write('data: {"directory":"/a","payload":{"id":"evt_1","type":"session.idle",');
    source.connections.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1_000);
    source.write('"properties":{}}}\n\n');
    source.send('/a', 'file.edited', { file: 'x' });
    expect((await take(stream, 2)).map(({ type }) => type)).toEqual(['jarvis.gap', 'file.edited']);
  });
});
