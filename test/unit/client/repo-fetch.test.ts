import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClosedError, ServerLostError, type FetchFunction } from 'jarvis-opencode';
import { Http } from '../../../src/client/http.js';
import { createRepoFetch, REPO_BASE_URL } from '../../../src/client/repo-fetch.js';
import { FakeEventSource, take } from '../../support/event-source.js';

interface Frame {
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

let source: FakeEventSource;
let fetch: FetchFunction;

beforeEach(() => {
  source = new FakeEventSource();
  const never = (): Promise<never> => Promise.reject(new Error('nothing is sent'));
  const http = new Http({
    endpoint: () => ({ url: 'http://127.0.0.1:1' }),
    signal: new AbortController().signal,
    fetch: never,
  });
  const { hub } = source;
  fetch = createRepoFetch({ directory: '/a', http, hub, enter: never, verify: never, dispose: never });
});
afterEach(async () => {
  await source.hub.close(new ClosedError());
  expect([source.open, source.hub.size]).toEqual([0, 0]);
});

function subscribe(signal?: AbortSignal): Promise<Response> {
  return fetch(`${REPO_BASE_URL}/event`, signal && { signal });
}

/** The frames of an answer, as they come: each is written whole. */
async function* framesOf({ body }: Response): AsyncGenerator<Frame, void, undefined> {
  const decoder = new TextDecoder();
  for await (const piece of body as ReadableStream<Uint8Array>)
    yield JSON.parse(decoder.decode(piece).slice('data: '.length)) as Frame;
}

async function firstFrames(response: Response, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of framesOf(response)) if (frames.push(frame) === count) break;
  return frames;
}

/** Waits until the hub has read everything sent so far. */
async function settled(): Promise<void> {
  const mark = source.hub.stream('/mark');
  source.send('/mark', 'project.updated');
  await take(mark, 1);
}

describe('GET /event', () => {
  it('gives the events of the repository and the heartbeats, and nothing of others', async () => {
    const response = await subscribe();
    source.send('/b', 'session.idle', { sessionID: 'ses_b' });
    source.send(undefined, 'server.heartbeat');
    source.send('/a', 'session.idle', { sessionID: 'ses_a' });
    source.send('/a', 'brand.new', { n: 1 });
    expect(await firstFrames(response, 4)).toMatchObject([
      { type: 'server.connected' },
      { type: 'server.heartbeat' },
      { type: 'session.idle', properties: { sessionID: 'ses_a' } },
      { type: 'brand.new', properties: { n: 1 } },
    ]);
  });

  it('has no event of others parsed', async () => {
    source.wants = () => false;
    const response = await subscribe();
    source.write('data: {"directory":"/b","payload":{"id":"evt_1","type":"session.idle","oops\n\n');
    source.send('/a', 'brand.new');
    expect(await firstFrames(response, 2)).toMatchObject([
      { type: 'server.connected' },
      { type: 'brand.new' },
    ]);
    expect(source.logged).toEqual([]);
  });

  it('keeps a bounded number of events for who does not read, and tells how many it dropped', async () => {
    const response = await subscribe();
    for (let n = 1; n <= 50_000; n += 1) {
      source.send('/a', 'brand.new', { n });
      if (n % 1_000 === 0) await settled();
    }
    source.send('/a', 'last.one');
    await settled();
    const frames: Frame[] = [];
    for await (const frame of framesOf(response)) {
      frames.push(frame);
      if (frame.type === 'last.one') break;
    }
    const [connected, gap, ...events] = frames;
    expect(connected?.type).toBe('server.connected');
    expect(gap).toMatchObject({ type: 'jarvis.gap', properties: { reason: 'overflow' } });
    expect(events.length).toBeLessThanOrEqual(1_000);
    expect(gap?.properties['dropped']).toBe(50_001 - events.length);
    const numbers = events.slice(0, -1).map(({ properties }) => properties['n']);
    expect(numbers).toEqual(numbers.map((_, index) => 50_001 - numbers.length + index));
  });

  it('tells of a gap what has changed here, not elsewhere', async () => {
    const response = await subscribe();
    const change = { busy: [], idle: [], asked: [], answered: [] };
    source.changes = [
      { ...change, directory: '/a' },
      { ...change, directory: '/b' },
    ];
    source.connections.at(-1)?.close();
    expect(await firstFrames(response, 2)).toMatchObject([
      { type: 'server.connected' },
      { type: 'jarvis.gap', properties: { reason: 'reconnect', changed: [{ directory: '/a' }] } },
    ]);
  });

  it('tells what becomes of the server, and of the gap that its restart has left', async () => {
    const response = await subscribe();
    source.link.lose(new ServerLostError('The work on the server'));
    source.hub.tellServer({ state: 'restarting', attempt: 1 });
    source.link.found();
    source.hub.tellServer({ state: 'ready' });
    expect(await firstFrames(response, 4)).toMatchObject([
      { type: 'server.connected' },
      { type: 'jarvis.server', properties: { state: 'restarting', attempt: 1 } },
      { type: 'jarvis.server', properties: { state: 'ready' } },
      { type: 'jarvis.gap', properties: { reason: 'restart' } },
    ]);
  });

  it('ends with the client', async () => {
    const { signal } = new AbortController();
    const response = await subscribe(signal);
    await source.hub.close(new ClosedError());
    expect(await firstFrames(response, 9)).toMatchObject([{ type: 'server.connected' }]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('fails with the server, after what came before', async () => {
    const { signal } = new AbortController();
    const response = await subscribe(signal);
    source.send('/a', 'brand.new');
    await settled();
    const lost = new ServerLostError('The work on the server');
    await source.hub.close(lost);
    const reading = framesOf(response);
    expect((await reading.next()).value).toMatchObject({ type: 'server.connected' });
    expect((await reading.next()).value).toMatchObject({ type: 'brand.new' });
    await expect(reading.next()).rejects.toBe(lost);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('is let go of by its signal, at any time, and by its reader', async () => {
    source.isSilent = true;
    const early = new AbortController();
    const connecting = subscribe(early.signal);
    early.abort('enough');
    await expect(connecting).rejects.toBe('enough');
    source.isSilent = false;
    source.send(undefined, 'server.connected');

    const late = new AbortController();
    const response = await subscribe(late.signal);
    const reader = response.body?.getReader();
    await reader?.read();
    const waiting = reader?.read();
    late.abort('later');
    await expect(waiting).rejects.toBe('later');

    const unused = new AbortController();
    await (await subscribe(unused.signal)).body?.cancel();
    for (const { signal } of [early, late, unused]) expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(source.hub.size).toBe(0);
  });
});
