import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  JarvisOpenCode,
  type AssistantMessage,
  type FetchFunction,
  type Part,
  type PermissionRequest,
  type TurnStep,
  type UserMessage,
} from 'jarvis-opencode';
import { FakeOpenCode } from '../../../support/fake-opencode.js';
import { fakeHandle } from '../../../support/server-handle.js';
import { deferred } from '../../../support/wait.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

const DIRECTORY = '/srv/app';
const SESSION = 'ses_1';
const ABORT = `POST /session/${SESSION}/abort`;
const PROMPT = `POST /session/${SESSION}/prompt_async`;
/** Between two things that the server tells. */
const STEP_MS = 20;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A server that works on one prompt, step by step, asks for a permission on the way, and can be aborted. */
class Working {
  readonly server = new FakeOpenCode(DIRECTORY);
  /** What the client has sent, but for the event stream and what shows that it delivers. */
  readonly sent: { readonly name: string; readonly at: number }[] = [];
  readonly #reached: (point: string) => void;
  readonly #ended = deferred();
  #isAborted = false;
  #allowed: () => void = () => undefined;

  /** @param reached - is called at each point where a turn may be aborted. */
  constructor(reached: (point: string) => void) {
    this.#reached = reached;
    const { server } = this;
    server.sessions.set(SESSION, {});
    server.sessions.set('ses_2', {});
    server.answer(PROMPT, ({ body }) => {
      void this.#work((body as { readonly messageID: string }).messageID);
      return new Response(null, { status: 204 });
    });
    // Answered when the turn has ended.
    server.answer(ABORT, async () => {
      this.#isAborted = true;
      this.#allowed();
      await this.#ended.promise;
      return Response.json(true);
    });
    server.answer('POST /permission/per_1/reply', (request) => {
      this.#allowed();
      return server.usual(request);
    });
  }

  /** Each request is a point when it arrives, and one when it is answered. */
  readonly fetch: FetchFunction = async (input, init) => {
    const { method, url } = new Request(input, init);
    const name = `${method} ${decodeURIComponent(new URL(url).pathname)}`;
    init?.signal?.throwIfAborted();
    if (!/\/global\/(event|health)$/.test(name)) this.sent.push({ name, at: performance.now() });
    const answering = this.server.fetch(input, init);
    this.#reached(`${name} arrives`);
    const response = await answering;
    this.#reached(`${name} is answered`);
    return response;
  };

  async #work(messageID: string): Promise<void> {
    const { server } = this;
    const asked = new Promise<void>((resolve) => (this.#allowed = resolve));
    const user = { id: messageID, sessionID: SESSION, role: 'user', time: { created: 1 } } as UserMessage;
    const answer = {
      id: 'msg_a',
      sessionID: SESSION,
      role: 'assistant',
      parentID: messageID,
      time: { created: 2 },
      cost: 0,
      tokens: { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } },
    } as AssistantMessage;
    const ids = { messageID: 'msg_a', sessionID: SESSION };
    const part: Part = { id: 'prt_1', ...ids, type: 'text', text: '' };
    const request: PermissionRequest = {
      id: 'per_1',
      sessionID: SESSION,
      permission: 'bash',
      patterns: [],
      metadata: {},
      always: [],
    };
    const done = { ...answer, time: { created: 2, completed: 3 } };
    server.busy.add(SESSION);
    const steps: (() => unknown)[] = [
      () => server.messages.push({ info: user, parts: [] }),
      () => server.event('message.updated', { sessionID: SESSION, info: user }),
      () => server.event('session.status', { sessionID: SESSION, status: { type: 'busy' } }),
      () => server.messages.push({ info: answer, parts: [] }),
      () => server.event('message.updated', { sessionID: SESSION, info: answer }),
      () => server.event('message.part.updated', { sessionID: SESSION, part, time: 1 }),
      () => server.event('message.part.delta', { ...ids, partID: 'prt_1', field: 'text', delta: 'ok' }),
      () => server.ask(request),
      () => asked,
      () => server.event('permission.replied', { sessionID: SESSION, requestID: 'per_1', reply: 'once' }),
    ];
    for (const [index, step] of steps.entries()) {
      await this.#pause(`step ${index}`);
      if (this.#isAborted) break;
      await step();
    }
    const end = this.#isAborted
      ? { ...done, error: { name: 'MessageAbortedError', data: { message: 'Aborted' } } }
      : done;
    server.permissions.splice(0, Infinity);
    server.messages.splice(
      0,
      Infinity,
      { info: user, parts: [] },
      { info: end as AssistantMessage, parts: [{ ...part, text: 'ok' }] },
    );
    server.event('message.updated', { sessionID: SESSION, info: end });
    await this.#pause('the end');
    server.busy.delete(SESSION);
    server.event('session.status', { sessionID: SESSION, status: { type: 'idle' } });
    server.event('session.idle', { sessionID: SESSION });
    this.#ended.resolve();
    this.#reached('idle');
  }

  async #pause(what: string): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, STEP_MS / 2));
    this.#reached(`before ${what}`);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS / 2));
  }
}

/** How a turn is run to its end. */
type Run = 'prompt' | 'stream';

/** Runs a whole turn and aborts it at one of its points, some microtasks later, or never. */
async function runTurn(run: Run, abortAt: number | undefined, microtasks = 0) {
  const reason = { because: `point ${abortAt}` };
  const caller = new AbortController();
  const points: string[] = [];
  let cut: { readonly sentBefore: number; readonly at: number } | undefined;
  let isSettled = false;
  const abort = (): void => {
    if (!isSettled) cut = { sentBefore: working.sent.length, at: performance.now() };
    caller.abort(reason);
  };
  const working = new Working((point) => {
    if (points.push(point) - 1 !== abortAt) return;
    let left = microtasks;
    const wait = (): void => (left-- > 0 ? queueMicrotask(wait) : abort());
    wait();
  });
  const { server } = working;
  await using jarvis = new JarvisOpenCode(fakeHandle(), {
    fetch: working.fetch,
    idle: false,
    turns: { concurrency: 1 },
  });
  const repo = jarvis.forRepo(DIRECTORY);
  const session = repo.sessions.session(SESSION);
  const options = { signal: caller.signal, onPermission: 'allow' as const };
  const steps: TurnStep[] = [];
  let iterated: Promise<unknown> = Promise.resolve();
  const turn = run === 'prompt' ? undefined : session.stream('x', options);
  const result = turn?.result ?? session.prompt('x', options);
  if (turn !== undefined) {
    iterated = (async () => {
      for await (const step of turn) steps.push(step);
    })();
  }
  const outcome = result.then(
    ({ text }) => {
      isSettled = true;
      return text;
    },
    (error: unknown) => {
      isSettled = true;
      return error;
    },
  );
  await vi.advanceTimersByTimeAsync(8_000);
  const settled = await outcome;
  const listeners = getEventListeners(caller.signal, 'abort');
  await vi.advanceTimersByTimeAsync(30_000);
  await iterated;
  const requests = [...working.sent];
  const { holds } = repo.stats();
  // The slot is free again: one of another session is sent, and one of the same.
  for (const id of ['ses_2', SESSION]) {
    server.answer(`POST /session/${id}/prompt_async`, () => new Response('', { status: 500 }));
    const next = repo.sessions.session(id).prompt('next');
    next.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(
      server.requests.filter(({ path }) => path === `/session/${id}/prompt_async`).length,
    ).toBeGreaterThan(0);
    await expect(next).rejects.toThrow('500');
  }
  return { reason, points, settled, listeners, steps, requests, cut, holds };
}

describe.each<Run>(['prompt', 'stream'])('session.%s()', (run) => {
  it('aborts a turn at every point of it, and leaves nothing behind', { timeout: 120_000 }, async () => {
    const whole = await runTurn(run, undefined);
    expect(whole.settled).toBe('ok');
    expect(whole.requests.map(({ name }) => name)).toContain('POST /permission/per_1/reply');
    expect(whole.points.length).toBeGreaterThan(20);
    if (run === 'stream')
      expect(whole.steps).toContainEqual(expect.objectContaining({ type: 'text', delta: 'ok' }));
    let aborted = 0;
    for (let point = 0; point < whole.points.length; point++) {
      for (const microtasks of [0, 1, 4, 16]) {
        const where = `${whole.points[point]}, ${microtasks} microtasks later`;
        const { reason, settled, listeners, requests, cut, holds } = await runTurn(run, point, microtasks);
        expect(listeners, where).toEqual([]);
        expect(holds, where).toEqual([]);
        expect(requests.filter(({ name }) => name === PROMPT).length, where).toBeLessThanOrEqual(1);
        // Aborted after its end, or while its end was being read: nothing was left to ask then.
        if (cut === undefined || (settled === 'ok' && requests.length === cut.sentBefore)) {
          expect(settled, where).toBe('ok');
          continue;
        }
        aborted += 1;
        expect(settled, where).toBe(reason);
        const names = requests.map(({ name }) => name);
        const before = names.slice(0, cut.sentBefore);
        // What was decided in the very same moment may be under way.
        const after = requests.slice(cut.sentBefore).filter(({ at }) => at > cut.at);
        const changing = after.map(({ name }) => name).filter((name) => !name.startsWith('GET '));
        // One that was not sent is forgotten; one that was is aborted once it has begun, and followed to its end.
        if (!before.includes(PROMPT)) expect(names, where).toEqual(before);
        else expect([[], [ABORT]], where).toContainEqual(changing);
      }
    }
    expect(aborted).toBeGreaterThan(60);
  });
});
