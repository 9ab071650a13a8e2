import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  JarvisOpenCode,
  type DirectoryChange,
  type EventStream,
  type EventType,
  type Logger,
  type QuestionRequest,
} from 'jarvis-opencode';
import { fakeClock } from '../../support/fake-clock.js';
import { FakeOpenCode, type FakeAnswer } from '../../support/fake-opencode.js';
import { changingHandle } from '../../support/server-handle.js';
import { deferred } from '../../support/wait.js';

vi.mock('../../../src/core/real-time.js', () => import('../../support/global-time.js'));

/** A session that the server says is at work. */
interface BusySession {
  readonly directory: string;
  readonly sessionID: string;
}

/** Longer than it takes until a connection that was cut is there again, and what it hid was read. */
const RECONNECT_MS = 1_000;

const STATUS = 'GET /session/status';
const EVENTS = 'GET /global/event';
const busy = { type: 'busy' };

let server: FakeOpenCode;
let handle: ReturnType<typeof changingHandle>;
let jarvis: JarvisOpenCode;
let warned: string[];
const clock = fakeClock();
/** What the server says is at work. */
let working: BusySession[];

/** Answers with what is at work in the directory that asks. */
const statuses: FakeAnswer = ({ directory }) =>
  Response.json(
    Object.fromEntries(
      working.filter((each) => each.directory === directory).map(({ sessionID }) => [sessionID, busy]),
    ),
  );

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  server = new FakeOpenCode('/a');
  handle = changingHandle();
  warned = [];
  working = [];
  server.answer(STATUS, statuses);
  server.answer('GET /path', ({ directory }) =>
    Response.json({ directory, worktree: directory, home: '/', state: '/', config: '/' }),
  );
  const warn = (message: string): unknown => warned.push(message);
  const logger: Logger = { debug: () => undefined, info: () => undefined, warn, error: () => undefined };
  jarvis = new JarvisOpenCode(handle, { fetch: server.fetch, idle: false, logger });
});
afterEach(async () => {
  await jarvis.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** Subscribes to a directory whose instance is loaded. */
async function subscribed(directory: string, types?: readonly EventType[]): Promise<EventStream> {
  const repo = jarvis.forRepo(directory);
  const loading = repo.warm();
  const events = repo.events({ types });
  await pass(RECONNECT_MS);
  await Promise.all([loading, events.ready]);
  return events;
}

/** A session begins to work, and everybody sees it. */
async function begin(sessionID: string, directory = '/a'): Promise<void> {
  working.push({ directory, sessionID });
  server.event('session.status', { sessionID, status: busy }, directory);
  await pass(0);
}

/** Subscribers of two directories, in each of which a session works: `ses_1` in `/a`, `ses_2` in `/b`. */
async function subscribedAtWork(): Promise<[EventStream, EventStream]> {
  const [a, b] = [await subscribed('/a'), await subscribed('/b')];
  await begin('ses_1', '/a');
  await begin('ses_2', '/b');
  return [a, b];
}

function end(sessionID: string): void {
  working = working.filter((each) => each.sessionID !== sessionID);
}

/** Ends the connection; what happens until it is made again is missed. */
async function drop(during: () => void = () => undefined): Promise<void> {
  server.cut();
  await pass(0);
  during();
}

/** What the next gap says has changed. */
async function nextGap(events: EventStream, withinMs = RECONNECT_MS): Promise<readonly DirectoryChange[]> {
  const reading = (async () => {
    for (const iterator = events[Symbol.asyncIterator](); ;) {
      const { value: event } = await iterator.next();
      if (event === undefined) throw new Error('no gap');
      if (event.type === 'jarvis.gap') return event.properties.changed;
    }
  })();
  await pass(withinMs);
  return reading;
}

const question: QuestionRequest = { id: 'que_1', sessionID: 'ses_1', questions: [] };
const permission = {
  id: 'per_1',
  sessionID: 'ses_1',
  permission: 'bash',
  patterns: [],
  metadata: {},
  always: [],
};
const nothing = { busy: [], idle: [], asked: [], answered: [] };

describe('what is read again after a gap', () => {
  it('reports in the gap what differs from what was reported before: sessions at work and what they ask', async () => {
    const events = await subscribed('/a');
    await begin('ses_1');
    await drop(() => {
      working.push({ directory: '/a', sessionID: 'ses_2' });
      server.permissions.push(permission);
      server.questions.push(question);
    });
    expect(await nextGap(events)).toEqual([
      { ...nothing, directory: '/a', busy: ['ses_2'], asked: ['per_1', 'que_1'] },
    ]);
    expect(holds('/a')).toEqual([
      'permission per_1',
      'question que_1',
      'session-busy ses_1',
      'session-busy ses_2',
    ]);
    await drop(() => {
      end('ses_1');
    });
    expect(await nextGap(events)).toEqual([
      { ...nothing, directory: '/a', idle: ['ses_1'], answered: ['per_1', 'que_1'] },
    ]);
    expect(holds('/a')).toEqual(['session-busy ses_2']);
    await drop();
    expect(await nextGap(events)).toEqual([{ ...nothing, directory: '/a' }]);
  });

  it.each<EventType>(['session.status', 'session.idle', 'permission.asked', 'question.replied'])(
    'reads after a gap every loaded directory where somebody subscribes to %s',
    async (type) => {
      const events = await subscribed('/a', [type]);
      await drop(() => working.push({ directory: '/a', sessionID: 'ses_1' }));
      expect(await nextGap(events)).toEqual([{ ...nothing, directory: '/a', busy: ['ses_1'] }]);
    },
  );

  it('reads after a gap every loaded directory where something is at work, and no other', async () => {
    await subscribed('/a', ['file.edited']);
    await subscribed('/b', ['file.edited']);
    jarvis.forRepo('/c').events();
    await begin('ses_1', '/b');
    await drop(() => {
      end('ses_1');
    });
    const asked = server.requests.length;
    await pass(RECONNECT_MS);
    const reads = server.requests
      .slice(asked)
      .map(({ method, path, directory }) => [`${method} ${path}`, directory]);
    expect(reads.filter(([operation]) => operation === STATUS)).toEqual([[STATUS, '/b']]);
    expect(holds('/b')).toEqual([]);
  });

  it('loses no change when the connection is cut before the gap was delivered', async () => {
    const [a, b] = await subscribedAtWork();
    const all = jarvis.events();
    await drop(() => {
      end('ses_1');
      end('ses_2');
      // The first is read, the second is not: then the connection breaks again.
      server.answer(STATUS, (request) =>
        request.directory === '/b' ? new Promise(() => undefined) : statuses(request),
      );
    });
    await pass(RECONNECT_MS);
    const down = 'unknown the event stream is not connected';
    expect([holds('/a'), holds('/b')]).toEqual([[down], ['session-busy ses_2', down]]);
    server.answer(STATUS, statuses);
    await drop();
    const forA = { ...nothing, directory: '/a', idle: ['ses_1'] };
    const forB = { ...nothing, directory: '/b', idle: ['ses_2'] };
    expect(await nextGap(a)).toEqual([forA]);
    expect(await nextGap(b)).toEqual([forB]);
    expect(await nextGap(all)).toEqual([forA, forB]);
  });

  it('includes in the gap what came over a connection that was cut before the gap was delivered', async () => {
    const events = await subscribed('/a');
    await begin('ses_1');
    server.answer(STATUS, () => new Promise(() => undefined));
    await drop();
    await pass(RECONNECT_MS);
    end('ses_1');
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(0);
    server.answer(STATUS, statuses);
    await drop();
    expect(await nextGap(events)).toEqual([{ ...nothing, directory: '/a', idle: ['ses_1'] }]);
  });

  it('includes in the gap what was delivered before the first connection counted as live', async () => {
    await jarvis.forRepo('/a').warm();
    const events = jarvis.forRepo('/a').events();
    await pass(10);
    await begin('ses_1');
    await drop(() => {
      end('ses_1');
    });
    expect(await nextGap(events)).toEqual([{ ...nothing, directory: '/a', idle: ['ses_1'] }]);
  });

  it('leaves a directory as it was when its state cannot be read, reports no gap there, and keeps the instance', async () => {
    const [a, b] = await subscribedAtWork();
    await drop(() => {
      end('ses_1');
      end('ses_2');
      server.answer(STATUS, (request) =>
        request.directory === '/a' ? Response.json({}, { status: 400 }) : statuses(request),
      );
    });
    expect(await nextGap(a)).toEqual([]);
    expect(await nextGap(b)).toEqual([{ ...nothing, directory: '/b', idle: ['ses_2'] }]);
    expect(holds('/a')).toEqual([
      'session-busy ses_1',
      expect.stringMatching(/^unknown its state could not be read/),
    ]);
    expect(warned).toContain('could not read the instance again');
  });

  it('waits no longer than 10 s for a resync, so that a server that does not answer does not keep the gap from everybody', async () => {
    const events = await subscribed('/a');
    await begin('ses_1');
    await drop(() => server.answer(STATUS, () => new Promise(() => undefined)));
    await pass(9_000);
    const ready = vi.fn();
    const later = jarvis.events();
    void later.ready.then(ready);
    await pass(0);
    expect(ready).not.toHaveBeenCalled();
    expect(await nextGap(events, 2_000)).toEqual([]);
    expect(ready).toHaveBeenCalledOnce();
  });

  it('reads a directory once more when an event reports a change while the resync reads it', async () => {
    const events = await subscribed('/a');
    await begin('ses_1');
    const first = deferred<Response>();
    await drop(() => server.answer(STATUS, () => first.promise));
    await pass(RECONNECT_MS);
    server.answer(STATUS, statuses);
    await begin('ses_2');
    // The answer is older than the event.
    first.resolve(Response.json({ ses_1: busy }));
    expect(await nextGap(events)).toEqual([{ ...nothing, directory: '/a', busy: ['ses_2'] }]);
    expect(holds('/a')).toEqual(['session-busy ses_1', 'session-busy ses_2']);
  });
});

describe('after a restart of the server', () => {
  const lost = { state: 'restarting', attempt: 1 } as const;

  /** The server ends: its process, and with it the stream. */
  async function crash(): Promise<void> {
    handle.change(lost);
    server.cut();
    working = [];
    await pass(0);
  }

  it('reports after a restart that sessions and asks are over, also of a directory that nobody loads again', async () => {
    const events = await subscribed('/a');
    await begin('ses_1');
    server.ask({ ...permission, always: [] });
    await pass(0);
    await crash();
    handle.change({ state: 'ready' });
    expect(await nextGap(events)).toEqual([
      { ...nothing, directory: '/a', idle: ['ses_1'], answered: ['per_1'] },
    ]);
    expect(holds('/a')).toEqual([]);
  });

  it('reports after a restart an idle instance as gone too, and not again after the next gap', async () => {
    const events = await subscribed('/a');
    await crash();
    handle.change({ state: 'ready' });
    expect(await nextGap(events)).toEqual([{ ...nothing, directory: '/a' }]);
    await drop();
    expect(await nextGap(events)).toEqual([]);
  });

  it('reports a restart once, also when the stream had broken before and when the next server ends too', async () => {
    const events = await subscribed('/a');
    const all = jarvis.events();
    await begin('ses_1');
    server.answer(EVENTS, () => new Response(null, { status: 503 }));
    await drop(() => {
      end('ses_1');
    });
    await pass(2_000);
    await crash();
    handle.change({ state: 'ready' });
    await jarvis.forRepo('/a').warm();
    await crash();
    handle.change({ state: 'ready' });
    await jarvis.forRepo('/a').warm();
    server.answer(EVENTS);
    await pass(10_000);
    expect(await nextGap(events)).toEqual([{ ...nothing, directory: '/a', idle: ['ses_1'] }]);
    expect(await nextGap(all)).toEqual([{ ...nothing, directory: '/a', idle: ['ses_1'] }]);
  });
});

describe('what keeps an instance', () => {
  const QUIET_MS = 60_000;

  beforeEach(async () => {
    await jarvis.close();
    const { fetch } = server;
    jarvis = new JarvisOpenCode(handle, { fetch, idle: { idleTimeoutMs: 3_600_000 }, clock });
  });

  /** Lets time pass in which the stream lives and tells nothing. */
  async function beQuiet(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10_000) {
      server.event('server.heartbeat', {}, '/none');
      clock.advance(10_000);
      await pass(10_000);
    }
  }

  it('asks the server about a hold when no event touches it, and ends the hold when the server does not know it', async () => {
    await subscribed('/a', ['file.edited']);
    // The events come in the wrong order: the session is idle.
    server.event('session.idle', { sessionID: 'ses_1' });
    server.event('session.status', { sessionID: 'ses_1', status: busy });
    server.event('permission.asked', permission);
    await pass(0);
    expect(holds('/a')).toEqual(['permission per_1', 'session-busy ses_1']);
    await beQuiet(2 * QUIET_MS);
    expect(holds('/a')).toEqual([]);
    const asked = server.count(STATUS);
    await beQuiet(4 * QUIET_MS);
    expect(server.count(STATUS)).toBe(asked);
  });

  it('keeps a hold when the server says that it goes on, and when the server cannot be asked', async () => {
    await subscribed('/a', ['file.edited']);
    await begin('ses_1');
    const before = server.count(STATUS);
    await beQuiet(2 * QUIET_MS);
    expect(server.count(STATUS)).toBe(before + 1);
    expect(holds('/a')).toEqual(['session-busy ses_1']);
    end('ses_1');
    server.answer(STATUS, () => Response.json({}, { status: 400 }));
    await beQuiet(3 * QUIET_MS);
    expect(holds('/a')).toContain('session-busy ses_1');
    server.answer(STATUS, () => new Promise(() => undefined));
    await beQuiet(3 * QUIET_MS);
    expect(holds('/a')).toContain('session-busy ses_1');
    server.answer(STATUS, statuses);
    await beQuiet(2 * QUIET_MS);
    expect(holds('/a')).toEqual([]);
  });

  it('does not ask the server about a hold while events touch it, nor while the stream is down', async () => {
    await subscribed('/a', ['file.edited']);
    await begin('ses_1');
    const before = server.count(STATUS);
    for (let minute = 0; minute < 5; minute++) {
      server.event('session.status', { sessionID: 'ses_1', status: busy });
      await beQuiet(QUIET_MS);
    }
    expect(server.count(STATUS)).toBe(before);
    server.answer(EVENTS, () => new Response(null, { status: 503 }));
    await drop();
    await beQuiet(4 * QUIET_MS);
    expect(server.count(STATUS)).toBe(before);
    expect(holds('/a')).toContain('session-busy ses_1');
    await jarvis.close();
    expect(clock.timers).toBe(0);
  });
});

describe('an event', () => {
  it('holds nothing for an event of an unexpected shape, logs it, and delivers it', async () => {
    const events = await subscribed('/a');
    const odd: [EventType, object][] = [
      ['session.status', {}],
      ['session.status', { status: busy }],
      ['session.idle', {}],
      ['permission.asked', {}],
      ['question.asked', { id: 7 }],
      ['question.replied', {}],
      ['pty.created', { info: {} }],
    ];
    for (const [type, properties] of odd) server.event(type, properties);
    await pass(0);
    expect(holds('/a')).toEqual([]);
    expect(warned.filter((message) => message === 'could not read an event')).toHaveLength(5);
    const iterator = events[Symbol.asyncIterator]();
    for (const [type, properties] of odd) {
      expect((await iterator.next()).value).toMatchObject({ type, properties });
    }
  });

  it('holds the instance for an event of a session that nobody here knows as for any other', async () => {
    await subscribed('/a');
    server.event('session.status', { sessionID: 'ses_unknown', status: busy });
    await pass(0);
    expect(holds('/a')).toEqual(['session-busy ses_unknown']);
    server.event('session.idle', { sessionID: 'ses_unknown' });
    await pass(0);
    expect(holds('/a')).toEqual([]);
  });

  it('delivers an event of a directory that nobody here asked for to whoever reads all, and makes no repository', async () => {
    const all = jarvis.events({ types: ['session.status'] });
    await pass(RECONNECT_MS);
    await begin('ses_1', '/outside/any/repository');
    const { value } = await all[Symbol.asyncIterator]().next();
    expect(value).toMatchObject({ directory: '/outside/any/repository', type: 'session.status' });
    expect(jarvis.repos()).toEqual([]);
  });
});

/** What is known to keep the instance of a directory. */
function holds(directory: string): string[] {
  return jarvis
    .forRepo(directory)
    .stats()
    .holds.map(({ kind, detail }) => `${kind} ${detail}`)
    .sort();
}
