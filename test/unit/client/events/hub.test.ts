import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { ClosedError, RequestError, type OpenCodeEvent } from 'jarvis-opencode';
import { EventHub } from '../../../../src/client/events/hub.js';
import { silentLogger } from '../../../../src/logger.js';

/** A server's side of `/global/event`, one connection after the other. */
class FakeSource {
  readonly connections: ReadableStreamDefaultController<Uint8Array>[] = [];
  readonly observed: string[] = [];
  resyncs = 0;
  refusal: Error | undefined;
  readonly hub = new EventHub({
    open: (signal) => this.#open(signal),
    observer: {
      event: (event) => this.observed.push(event.type),
      connection: (live) => this.observed.push(live ? 'live' : 'down'),
      resync: () => {
        this.resyncs += 1;
        return Promise.resolve();
      },
    },
    logger: silentLogger,
  });

  /** How many connections are open now. */
  open = 0;

  send(directory: string | undefined, type: string, properties: object = {}): void {
    const payload = { id: `evt_${type}`, type, properties };
    this.#write(`data: ${JSON.stringify({ directory, payload })}\n\n`);
  }

  #write(text: string): void {
    this.connections.at(-1)?.enqueue(new TextEncoder().encode(text));
  }

  #open(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.open += 1;
    const end = (): void => {
      this.open -= 1;
    };
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.connections.push(controller);
        signal.addEventListener('abort', () => {
          try {
            controller.error(signal.reason);
          } catch {
            // It has ended before.
          }
          end();
        });
      },
    });
    this.send(undefined, 'server.connected');
    return Promise.resolve(body);
  }
}

async function take(stream: AsyncIterable<OpenCodeEvent>, count: number): Promise<OpenCodeEvent[]> {
  const events: OpenCodeEvent[] = [];
  for await (const event of stream) if (events.push(event) === count) break;
  return events;
}

describe('the event hub', () => {
  it('opens one connection for any number of subscribers, and none before', async () => {
    const source = new FakeSource();
    expect(source.connections).toHaveLength(0);
    const streams = Array.from({ length: 50 }, (_, index) => source.hub.stream(`/${index}`));
    await Promise.all(streams.map((stream) => stream.ready));
    expect(source.connections).toHaveLength(1);
    await source.hub.close(new ClosedError());
    expect(source.open).toBe(0);
  });

  it('gives each directory its own events only, and everything to who asks for all', async () => {
    const source = new FakeSource();
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
    await source.hub.close(new ClosedError());
  });

  it('filters by type and by session', async () => {
    const source = new FakeSource();
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
    await source.hub.close(new ClosedError());
  });

  it('ends a subscription on break, abort and close(), and keeps nothing of it', async () => {
    const source = new FakeSource();
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
    const late = source.hub.stream('/a', { signal: AbortSignal.abort() });
    expect(await take(late, 1)).toEqual([]);
    expect(source.hub.size).toBe(0);
    await source.hub.close(new ClosedError());
  });

  it('drops what a slow reader does not fetch, and says how much', async () => {
    const source = new FakeSource();
    const stream = source.hub.stream('/a', { bufferSize: 10 });
    await stream.ready;
    for (let index = 0; index < 25; index++) source.send('/a', 'file.edited', { file: String(index) });
    await vi.waitFor(() => expect(source.observed.filter((type) => type === 'file.edited')).toHaveLength(25));
    const events = await take(stream, 6);
    expect(events[0]).toEqual({
      directory: undefined,
      id: '',
      type: 'jarvis.gap',
      properties: { reason: 'overflow', dropped: 20 },
    });
    expect(events.slice(1).map((event) => event.properties)).toEqual(
      ['20', '21', '22', '23', '24'].map((file) => ({ file })),
    );
    await source.hub.close(new ClosedError());
  });

  it('connects again after a drop and after a clean end, reads again what may be missed, then tells of the gap', async () => {
    const source = new FakeSource();
    const stream = source.hub.stream('/a');
    await stream.ready;
    source.connections[0]?.close();
    expect(await take(stream, 1)).toMatchObject([
      { type: 'jarvis.gap', properties: { reason: 'reconnect', dropped: 0 } },
    ]);
    expect(source.resyncs).toBe(1);
    const second = source.hub.stream('/a');
    await second.ready;
    source.connections[1]?.error(new Error('reset'));
    expect(await take(second, 1)).toMatchObject([{ type: 'jarvis.gap' }]);
    expect(source.resyncs).toBe(2);
    expect(source.observed.filter((type) => type === 'live' || type === 'down')).toEqual([
      'live',
      'down',
      'live',
      'down',
      'live',
    ]);
    await source.hub.close(new ClosedError());
    expect(source.open).toBe(0);
  });

  it('reads again what may be missed after a drop before it counted as live: events were told by then', async () => {
    const source = new FakeSource();
    const live = source.hub.connect();
    source.send('/a', 'session.status', { sessionID: 'ses_1', status: { type: 'busy' } });
    await vi.waitFor(() => expect(source.observed).toContain('session.status'));
    source.connections[0]?.error(new Error('reset'));
    await live;
    expect(source.resyncs).toBe(1);
    await source.hub.close(new ClosedError());
  });

  it('throws what the server refuses for good, and tries again for the next subscriber', async () => {
    const source = new FakeSource();
    source.refusal = new RequestError({ method: 'GET', path: '/global/event', status: 401 });
    const stream = source.hub.stream('/a');
    await expect(stream.ready).rejects.toBe(source.refusal);
    await expect(take(stream, 1)).rejects.toBe(source.refusal);
    source.refusal = undefined;
    const next = source.hub.stream('/a');
    await next.ready;
    await source.hub.close(new ClosedError());
  });

  it('ends loops quietly when its client is closed, and with the error when the server is lost', async () => {
    const closed = new FakeSource();
    const quiet = closed.hub.stream('/a');
    await quiet.ready;
    const looping = take(quiet, 1);
    await closed.hub.close(new ClosedError());
    expect(await looping).toEqual([]);
    const lost = new FakeSource();
    const loud = lost.hub.stream('/a');
    await loud.ready;
    const failing = take(loud, 1);
    const error = new Error('lost');
    await Promise.all([lost.hub.close(error), expect(failing).rejects.toBe(error)]);
    const late = lost.hub.stream('/a');
    await expect(late.ready).rejects.toBe(error);
    await expect(take(late, 1)).rejects.toBe(error);
  });

  it('goes on when a listener throws', async () => {
    const source = new FakeSource();
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
    await source.hub.close(new ClosedError());
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses a bufferSize of %d', (bufferSize) => {
    expect(() => new FakeSource().hub.stream('/a', { bufferSize })).toThrow(RangeError);
  });
});
