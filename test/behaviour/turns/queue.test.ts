import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  JarvisOpenCode,
  RequestError,
  type AssistantMessage,
  type RepoClient,
  type Turn,
  type TurnOptions,
  type UserMessage,
} from 'jarvis-opencode';
import { FakeOpenCode } from '../../support/fake-opencode.js';
import { fakeHandle } from '../../support/server-handle.js';
import { deferred } from '../../support/wait.js';

vi.mock('../../../src/core/real-time.js', () => import('../../support/global-time.js'));

const DIRECTORY = '/srv/app';
const SESSIONS = Array.from({ length: 12 }, (_, index) => `ses_${index}`);

let server: FakeOpenCode;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  server = new FakeOpenCode(DIRECTORY);
  for (const id of SESSIONS) server.sessions.set(id, {});
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets everything happen that needs no more than half a second. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(500);
}

function setUp(concurrency?: number) {
  const jarvis = new JarvisOpenCode(fakeHandle(), {
    fetch: server.fetch,
    idle: false,
    ...(concurrency !== undefined && { turns: { concurrency } }),
  });
  onTestFinished(() => jarvis.close());
  const repo = jarvis.forRepo(DIRECTORY);
  const start = (sessionID: string, options?: TurnOptions): Turn => {
    const turn = repo.sessions.session(sessionID).stream('x', options);
    turn.result.catch(() => undefined);
    return turn;
  };
  return { jarvis, repo, start };
}

/** The message ids of the prompts that arrived, in their order. */
function sent(): string[] {
  return server.requests
    .filter(({ path }) => path.endsWith('/prompt_async'))
    .map(({ body }) => (body as { readonly messageID: string }).messageID);
}

function sentOf(turns: Readonly<Record<string, Turn>>): string[] {
  const names = new Map(Object.entries(turns).map(([name, { messageID }]) => [messageID, name]));
  return sent().map((messageID) => names.get(messageID) ?? messageID);
}

/** The server has answered a turn. */
async function finish({ sessionID, messageID }: Turn): Promise<void> {
  const time = { created: 1, completed: 2 };
  const tokens = { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } };
  server.messages.push(
    { info: { id: messageID, sessionID, role: 'user', time: { created: 1 } } as UserMessage, parts: [] },
    {
      info: {
        id: `msg_answer_${messageID}`,
        sessionID,
        role: 'assistant',
        parentID: messageID,
        finish: 'stop',
        time,
        cost: 0,
        tokens,
      } as AssistantMessage,
      parts: [],
    },
  );
  server.busy.delete(sessionID);
  server.event('session.idle', { sessionID });
  await settle();
}

async function turnHolds(repo: RepoClient): Promise<unknown[]> {
  await settle();
  return repo.stats().holds.filter(({ kind }) => kind === 'turn' || kind === 'request');
}

describe('turns.concurrency', () => {
  it('runs as many turns at once on the server as turns.concurrency allows, whatever their sessions', async () => {
    const { start } = setUp(2);
    const turns = SESSIONS.slice(0, 5).map((id) => start(id));
    const [first, second, third] = turns as [Turn, Turn, Turn];
    await settle();
    expect(sent()).toEqual([first.messageID, second.messageID]);
    await finish(second);
    expect(sent()).toHaveLength(3);
    await finish(first);
    expect(sent()).toHaveLength(4);
    await finish(third);
    expect(sent()).toEqual(turns.map(({ messageID }) => messageID));
  });

  it('starts the turn with the highest priority first, and of one priority the oldest', async () => {
    const { start } = setUp(1);
    const turns = {
      running: start('ses_0', { priority: -9 }),
      normal: start('ses_1'),
      urgent: start('ses_2', { priority: 5 }),
      'urgent too': start('ses_3', { priority: 5 }),
      late: start('ses_4', { priority: -1 }),
    };
    await settle();
    for (const name of ['running', 'urgent', 'urgent too', 'normal'] as const) await finish(turns[name]);
    expect(sentOf(turns)).toEqual(['running', 'urgent', 'urgent too', 'normal', 'late']);
  });

  it('keeps the turns of one session in their order, whatever their priorities', async () => {
    const { start } = setUp(2);
    const turns = {
      first: start('ses_0'),
      second: start('ses_0', { priority: 1 }),
      third: start('ses_0', { priority: 9 }),
    };
    await settle();
    expect(sentOf(turns)).toEqual(['first']);
    await finish(turns.first);
    expect(sentOf(turns)).toEqual(['first', 'second']);
    await finish(turns.second);
    expect(sentOf(turns)).toEqual(['first', 'second', 'third']);
  });

  it.each<[string, (turn: Turn, caller: AbortController) => unknown]>([
    ['its signal', (_turn, caller) => caller.abort('enough')],
    ['turn.abort()', (turn) => turn.abort()],
    ['its time limit', () => vi.advanceTimersByTimeAsync(10_000)],
  ])('takes a waiting turn that is ended by %s out of the queue at once', async (by, end) => {
    const { repo, start } = setUp(1);
    const caller = new AbortController();
    const running = start('ses_0');
    await settle();
    const ended = start('ses_1', { signal: caller.signal, queueTimeoutMs: 10_000 });
    const other = start('ses_2', { priority: 5 });
    // Behind the one that ends, and more urgent than the other.
    const urgent = start('ses_1', { priority: 9 });
    await end(ended, caller);
    const reason: unknown = await ended.result.catch((error: unknown) => error);
    if (by === 'its signal') expect(reason).toBe('enough');
    else if (by === 'turn.abort()') expect(reason).toMatchObject({ reason: 'aborted' });
    else expect(reason).toMatchObject({ name: 'TimeoutError', phase: 'queue', timeoutMs: 10_000 });
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    await finish(running);
    await finish(urgent);
    await finish(other);
    expect(sentOf({ running, ended, other, urgent })).toEqual(['running', 'urgent', 'other']);
    expect(await turnHolds(repo)).toEqual([]);
  });

  it('loses no turn of a full queue: each turn is sent once or was ended, and the slots are free again', async () => {
    const { repo, start } = setUp(3);
    server.answer('POST /session/ses_7/prompt_async', () => new Response('', { status: 500 }));
    const callers: AbortController[] = [];
    const turns = Array.from({ length: 60 }, (_, index) => {
      const caller = new AbortController();
      callers.push(caller);
      const sessionID = SESSIONS[(index * 5) % SESSIONS.length] ?? '';
      return start(sessionID, { priority: (index * 7) % 4, signal: caller.signal });
    });
    const outcomes = turns.map(({ result }) =>
      result.then(
        () => 'answered',
        (error: unknown) => error,
      ),
    );
    await settle();
    const waiting = new Set<Turn>();
    for (const [index, turn] of turns.entries()) {
      if (index % 3 !== 2 || sent().includes(turn.messageID)) continue;
      waiting.add(turn);
      callers[index]?.abort(`left ${index}`);
    }
    let most = 0;
    for (let round = 0; round < turns.length; round++) {
      await settle();
      most = Math.max(most, server.busy.size);
      const next = turns.find(
        ({ sessionID, messageID }) =>
          sent().includes(messageID) && server.busy.has(sessionID) && !isAnswered(messageID),
      );
      if (next === undefined) break;
      await finish(next);
    }
    expect(most).toBe(3);
    const settled = await Promise.all(outcomes);
    for (const [index, turn] of turns.entries()) {
      const times = sent().filter((messageID) => messageID === turn.messageID).length;
      expect(times).toBe(waiting.has(turn) ? 0 : 1);
      if (waiting.has(turn)) expect(settled[index]).toBe(`left ${index}`);
      else if (turn.sessionID === 'ses_7') expect(settled[index]).toBeInstanceOf(RequestError);
      else expect(settled[index]).toBe('answered');
    }
    expect(await turnHolds(repo)).toEqual([]);
    const last = start('ses_0');
    await settle();
    expect(sent().at(-1)).toBe(last.messageID);
  });

  it('ends the running turn and those in the queue when the client is closed', async () => {
    const jarvis = new JarvisOpenCode(fakeHandle(), {
      fetch: server.fetch,
      idle: false,
      turns: { concurrency: 1 },
    });
    const repo = jarvis.forRepo(DIRECTORY);
    const { signal } = new AbortController();
    const options = { signal, timeoutMs: 60_000 };
    const turns = ['ses_0', 'ses_0', 'ses_1'].map((id) => repo.sessions.session(id).stream('x', options));
    await settle();
    expect(sent()).toEqual([turns[0]?.messageID]);
    const outcomes = Promise.allSettled(turns.map(({ result }) => result));
    const closing = jarvis.close();
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'ClosedError' } });
    for (const turn of turns) for await (const step of turn) expect(step).toBeUndefined();
    await settle();
    await closing;
    const { length } = server.requests;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.requests).toHaveLength(length);
    expect(sent()).toHaveLength(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('rejects at once what is not sent when the client drains, and what comes', async () => {
    const { jarvis, start } = setUp(2);
    server.busy.add('ses_3');
    const running = start('ses_0');
    const refused = { 'held up': start('ses_3'), behind: start('ses_0'), 'without a place': start('ses_1') };
    await settle();
    expect(sent()).toEqual([running.messageID]);
    const closing = jarvis.close({ drainMs: 600_000 });
    const all = [...Object.values(refused), start('ses_0'), start('ses_2')];
    for (const outcome of await Promise.allSettled(all.map(({ result }) => result)))
      expect(outcome).toMatchObject({ reason: { name: 'ClosedError', isDraining: true } });
    expect(running.isSettled).toBe(false);
    server.busy.delete('ses_3');
    server.event('session.idle', { sessionID: 'ses_3' });
    await finish(running);
    await expect(running.result).resolves.toBeDefined();
    await closing;
    expect(sent()).toEqual([running.messageID]);
  });

  it('rejects a prompt that would have to wait for another client while the client drains', async () => {
    const { jarvis, start } = setUp();
    server.busy.add('ses_3');
    const turn = start('ses_3');
    const refused = expect(turn.result).rejects.toMatchObject({ name: 'ClosedError', isDraining: true });
    const closing = jarvis.close({ drainMs: 600_000 });
    await settle();
    await refused;
    await closing;
    expect(sent()).toEqual([]);
  });

  it('sends the turns of a running use() while the client drains', async () => {
    const { jarvis, repo, start } = setUp();
    const end = deferred();
    const using = repo.use(() => end.promise);
    const [first, second] = [start('ses_0'), start('ses_0')];
    await settle();
    const closing = jarvis.close({ drainMs: 600_000 });
    const third = start('ses_1');
    await settle();
    await finish(third);
    await finish(first);
    await finish(second);
    end.resolve();
    await Promise.all([using, closing, third.result]);
    expect(sentOf({ first, second, third })).toEqual(['first', 'third', 'second']);
  });

  it('limits no turns unless turns.concurrency is set', async () => {
    const { start } = setUp();
    for (const id of SESSIONS) start(id);
    await settle();
    expect(sent()).toHaveLength(SESSIONS.length);
  });

  it('counts timeoutMs from when a prompt is sent, however long it waited before', async () => {
    const { start } = setUp(1);
    const running = start('ses_0');
    await settle();
    const waiting = start('ses_1', { timeoutMs: 10_000, queueTimeoutMs: 60_000 });
    const outcome = waiting.result.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(30_000);
    await finish(running);
    expect(sent()).toContain(waiting.messageID);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(waiting.isSettled).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await outcome).toMatchObject({ name: 'TimeoutError', phase: 'request', timeoutMs: 10_000 });
  });

  it('says what a prompt waited for when queueTimeoutMs is over, and sends nothing', async () => {
    const { start } = setUp(1);
    start('ses_0');
    await settle();
    const waiting = start('ses_0', { queueTimeoutMs: 1_000 });
    const outcome = waiting.result.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(String(await outcome)).toBe(
      'TimeoutError: Waiting for other turns of this client to prompt session ses_0 took longer than 1000 ms. ' +
        'Nothing was sent. Raise queueTimeoutMs if it may wait that long.',
    );
    expect(sent()).toHaveLength(1);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5'])(
    'refuses a queueTimeoutMs of %s',
    (queueTimeoutMs) => {
      const { repo } = setUp(1);
      const session = repo.sessions.session('ses_0');
      const options = { queueTimeoutMs } as TurnOptions;
      expect(() => session.stream('x', options)).toThrow(/queueTimeoutMs/);
      expect(sent()).toEqual([]);
    },
  );

  it('takes only finite numbers for priorities', () => {
    const { repo } = setUp(1);
    const session = repo.sessions.session('ses_0');
    expect(() => session.stream('x', { priority: Number.NaN })).toThrow(
      'Expected priority to be a finite number, got NaN.',
    );
  });
});

function isAnswered(messageID: string): boolean {
  return server.messages.some(({ info }) => info.id === messageID);
}
