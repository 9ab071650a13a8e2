import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  ConnectionError,
  JarvisError,
  JarvisOpenCode,
  TimeoutError,
  TurnError,
  type AssistantMessage,
  type Message,
  type Part,
  type RepoClient,
  type Session,
  type Turn,
  type TurnStep,
  type UserMessage,
} from 'jarvis-opencode';
import { FakeOpenCode } from '../../../support/fake-opencode.js';
import { fakeHandle } from '../../../support/server-handle.js';
import { deferred } from '../../../support/wait.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

const DIRECTORY = '/srv/app';
const PROMPT = 'POST /session/ses_1/prompt_async';

let server: FakeOpenCode;
let repo: RepoClient;
let session: Session;

// Time limits of minutes pass in no time.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  server = new FakeOpenCode(DIRECTORY);
  server.sessions.set('ses_1', {});
  const jarvis = new JarvisOpenCode(fakeHandle(), { fetch: server.fetch, idle: false });
  onTestFinished(() => jarvis.close());
  repo = jarvis.forRepo(DIRECTORY);
  session = repo.sessions.session('ses_1');
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets `ms` pass, with everything that happens meanwhile. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

async function running(): Promise<Turn> {
  const turn = session.stream('x');
  turn.result.catch(() => undefined);
  for (let ms = 0; ms < 1_000 && server.count(PROMPT) === 0; ms += 50) await pass(50);
  expect(server.count(PROMPT)).toBe(1);
  return turn;
}

/** Whether the turn has settled, and how. */
function outcomeOf(turn: Turn): { value?: unknown; error?: unknown } {
  const outcome: { value?: unknown; error?: unknown } = {};
  turn.result.then(
    (value) => (outcome.value = value),
    (error: unknown) => (outcome.error = error),
  );
  return outcome;
}

const tokens = { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } };

function userMessage(turn: Pick<Turn, 'messageID'>): Message {
  return {
    info: { id: turn.messageID, sessionID: 'ses_1', role: 'user', time: { created: 1 } } as UserMessage,
    parts: [],
  };
}

function assistantMessage(turn: Pick<Turn, 'messageID'>, text: string, more: object = {}): Message {
  const info = {
    id: 'msg_a',
    sessionID: 'ses_1',
    role: 'assistant',
    parentID: turn.messageID,
    time: { created: 2, completed: 3 },
    cost: 0,
    tokens,
    ...more,
  } as AssistantMessage;
  return { info, parts: [textPart(text)] };
}

function textPart(text: string): Part {
  return { id: 'prt_1', messageID: 'msg_a', sessionID: 'ses_1', type: 'text', text };
}

/** The server has done it. */
function finish(turn: Pick<Turn, 'messageID'>, text: string): void {
  server.messages.splice(0, Infinity, userMessage(turn), assistantMessage(turn, text));
  server.busy.clear();
}

describe('a turn', () => {
  it('answers a turn whose idle event is lost', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    finish(turn, 'ok');
    await pass(5_100);
    expect(outcome.value).toMatchObject({ text: 'ok' });
  });

  it('rejects a turn that the server accepts and never starts, and says what the server has stored of it', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    server.busy.clear();
    server.messages.push(userMessage(turn));
    await pass(14_000);
    expect(outcome).toEqual({});
    await pass(3_000);
    expect(outcome.error).toBeInstanceOf(TurnError);
    expect(outcome.error).toMatchObject({
      reason: 'not-started',
      message: expect.stringContaining('stored without an answer') as string,
    });
  });

  it('does not send a turn again when its connection is lost, and answers it if it has arrived', async () => {
    server.answer(PROMPT, () => {
      server.busy.add('ses_1');
      return Promise.reject(new TypeError('reset'));
    });
    const turn = await running();
    const outcome = outcomeOf(turn);
    await pass(10_000);
    expect(outcome).toEqual({});
    finish(turn, 'arrived');
    await pass(5_100);
    expect(outcome.value).toMatchObject({ text: 'arrived' });
    expect(server.count(PROMPT)).toBe(1);
  });

  it('sends a turn again, with the same ids, when its connection is lost and the server has not stored it', async () => {
    const lose = (): Promise<Response> => Promise.reject(new TypeError('reset'));
    const accept = (): Response => {
      server.busy.add('ses_1');
      return new Response(null, { status: 204 });
    };
    server.answer(PROMPT, () => (server.count(PROMPT) === 1 ? lose() : accept()));
    const turn = await running();
    const outcome = outcomeOf(turn);
    await pass(4_000);
    expect(server.count(PROMPT)).toBe(1);
    await pass(2_000);
    expect(server.count(PROMPT)).toBe(2);
    finish(turn, 'at last');
    await pass(5_100);
    expect(outcome.value).toMatchObject({ text: 'at last' });
    const [first, second] = server.requests.filter(({ method }) => method === 'POST').map(({ body }) => body);
    expect(second).toEqual(first);
    expect(first).toMatchObject({
      messageID: turn.messageID,
      parts: [{ type: 'text', text: 'x', id: expect.stringMatching(/^prt_/) as string }],
    });
  });

  it('rejects with the lost connection when a turn loses its connection again and again', async () => {
    server.answer(PROMPT, () => Promise.reject(new TypeError('reset')));
    const outcome = outcomeOf(await running());
    await pass(30_000);
    expect(outcome.error).toBeInstanceOf(ConnectionError);
    expect(server.count(PROMPT)).toBe(3);
  });

  it('does not send a turn again when a second copy of it could do more than the first', async () => {
    server.answer(PROMPT, () => Promise.reject(new TypeError('reset')));
    const turn = session.stream({ parts: [{ type: 'file', mime: 'text/plain', url: 'data:,x' }] });
    const outcome = outcomeOf(turn);
    await pass(10_000);
    expect(outcome.error).toBeInstanceOf(ConnectionError);
    expect(server.count(PROMPT)).toBe(1);
  });

  it.each<[string, (turn: Turn) => unknown]>([
    ['it was aborted', (turn) => turn.abort()],
    [
      'its instance was disposed by others',
      () => server.event('server.instance.disposed', { directory: DIRECTORY }),
    ],
    [
      'the server has told an error of it',
      () => server.event('session.error', { sessionID: 'ses_1', error: { name: 'UnknownError', data: {} } }),
    ],
  ])('does not send a turn again, though its connection was lost, when %s', async (_why, happen) => {
    server.answer(PROMPT, () => Promise.reject(new TypeError('reset')));
    const turn = await running();
    const outcome = outcomeOf(turn);
    await pass(1_000);
    void happen(turn);
    await pass(30_000);
    expect(outcome.error).toBeInstanceOf(TurnError);
    expect(server.count(PROMPT)).toBe(1);
  });

  it('does not send a turn again while nobody can tell whether it was stored, and finds it when somebody can', async () => {
    server.answer(PROMPT, () => {
      server.busy.add('ses_1');
      return Promise.reject(new TypeError('reset'));
    });
    server.answer('GET /session/status', () => Promise.reject(new TypeError('reset')));
    const turn = await running();
    const outcome = outcomeOf(turn);
    await pass(12_000);
    expect(outcome).toEqual({});
    finish(turn, 'it had arrived');
    server.answer('GET /session/status', () => Response.json({}));
    await pass(4_000);
    expect(outcome.value).toMatchObject({ text: 'it had arrived' });
    expect(server.count(PROMPT)).toBe(1);
  });

  it.each([['its prompt', PROMPT] as const, ['its command', 'POST /session/ses_1/command'] as const])(
    'answers a turn though nothing answers %s',
    async (_what, operation) => {
      server.answer(operation, () => {
        server.busy.add('ses_1');
        return new Promise(() => undefined);
      });
      const caller = new AbortController();
      const answering = operation === PROMPT ? session.stream('x') : undefined;
      const result = answering?.result ?? session.command({ command: 'c' }, { signal: caller.signal });
      const outcome: { value?: unknown } = {};
      void result.then((value) => (outcome.value = value));
      await pass(1_000);
      const { body } = server.requests.find(({ method }) => method === 'POST') ?? expect.fail('not sent');
      finish(body as { readonly messageID: string }, 'ok');
      await pass(10_000);
      expect(outcome.value).toMatchObject({ text: 'ok' });
      expect(repo.stats().holds).toEqual([]);
    },
  );

  it.each([
    ['prompt', PROMPT],
    ['command', 'POST /session/ses_1/command'],
  ])('ends a turn when its %s vanishes on the way', async (name, operation) => {
    server.answer(operation, () => new Promise(() => undefined));
    const running = name === 'prompt' ? session.prompt('x') : session.command({ command: 'c' });
    const outcome: { error?: unknown } = {};
    running.catch((error: unknown) => (outcome.error = error));
    await pass(80_000);
    expect(outcome.error).toBeInstanceOf(JarvisError);
    expect(server.count(operation)).toBe(1);
    expect(repo.stats().holds).toEqual([]);
  });

  it.each([
    ['the session', 'GET /session/ses_1'],
    ['the status', 'GET /session/status'],
    ['the messages', 'GET /session/ses_1/message'],
  ])('answers a turn soon though nothing answers the first request for %s', async (_what, operation) => {
    let asked = 0;
    server.answer(operation, (request) =>
      asked++ === 0 ? new Promise(() => undefined) : server.usual(request),
    );
    const turn = session.stream('x');
    const outcome = outcomeOf(turn);
    await pass(12_000);
    finish(turn, 'ok');
    await pass(17_000);
    expect(outcome.value).toMatchObject({ text: 'ok' });
  });

  it('waits longer for answers about a turn that are only slow', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    finish(turn, 'slowly');
    server.answer('GET /session/ses_1/message', async (request) => {
      await new Promise((resolve) => setTimeout(resolve, 15_000));
      return server.usual(request);
    });
    await pass(40_000);
    expect(outcome.value).toMatchObject({ text: 'slowly' });
  });

  it('gives a turn up in bounded time when nothing is answered any more', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    server.answer('GET /session/status', () => new Promise(() => undefined));
    await pass(80_000);
    expect(outcome.error).toMatchObject({ reason: 'unreachable' });
  });

  it('does not give up a turn that the server has stored because its request fails later', async () => {
    const cut = deferred<Response>();
    server.answer('POST /session/ses_1/command', () => {
      server.busy.add('ses_1');
      return cut.promise;
    });
    const outcome: { value?: unknown; error?: unknown } = {};
    session.command({ command: 'c' }).then(
      (value) => (outcome.value = value),
      (error: unknown) => (outcome.error = error),
    );
    await pass(1_000);
    const { body } = server.requests.find(({ method }) => method === 'POST') ?? expect.fail('not sent');
    const turn = body as { readonly messageID: string };
    server.event('message.updated', { sessionID: 'ses_1', info: userMessage(turn).info });
    await pass(1_000);
    cut.reject(new TypeError('reset'));
    let isReachable = false;
    server.answer('GET /session/status', (request) =>
      isReachable ? server.usual(request) : Promise.reject(new TypeError('gone')),
    );
    await pass(30_000);
    expect(outcome).toEqual({});
    isReachable = true;
    finish(turn, 'ok');
    await pass(3_000);
    expect(outcome.value).toMatchObject({ text: 'ok' });
  });

  it('answers a turn through a network that holds everything back for a minute', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const held = deferred();
    for (const operation of ['GET /session/status', 'GET /session/ses_1/message']) {
      server.answer(operation, (request) => held.promise.then(() => server.usual(request)));
    }
    await pass(60_000);
    finish(turn, 'late');
    held.resolve();
    await pass(1_000);
    expect(outcome.value).toMatchObject({ text: 'late' });
  });

  it('does not end a turn for events that are out of order, malformed, or of unknown sessions', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const status = (sessionID: string, type: string): void =>
      server.event('session.status', { sessionID, status: { type } });
    for (const sessionID of ['ses_1', 'ses_unknown']) {
      server.event('session.idle', { sessionID });
      status(sessionID, 'idle');
      status(sessionID, 'busy');
      server.event('session.idle', { sessionID });
    }
    server.event('session.error', { sessionID: 'ses_unknown', error: { name: 'UnknownError', data: {} } });
    server.event('session.deleted', { sessionID: 'ses_unknown' });
    for (const type of [
      'session.status',
      'session.error',
      'message.updated',
      'message.part.updated',
      'permission.asked',
    ]) {
      server.event(type, {});
    }
    server.event('brand.new', { sessionID: 'ses_1' });
    await pass(20_000);
    expect(outcome).toEqual({});
    finish(turn, 'ok');
    server.event('session.idle', { sessionID: 'ses_1' });
    status('ses_1', 'busy');
    status('ses_1', 'idle');
    await pass(300);
    expect(outcome.value).toMatchObject({ text: 'ok' });
  });

  it('rejects at once when nobody listened', async () => {
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    server.answer(PROMPT, () => Promise.reject(new TypeError('fetch failed', { cause: refused })));
    const turn = session.stream('x');
    const outcome = outcomeOf(turn);
    await pass(4_000);
    expect(outcome.error).toBeInstanceOf(ConnectionError);
    expect(server.count('GET /session/ses_1/message')).toBe(0);
  });

  it('rejects a turn whose instance was disposed by others as interrupted, also before its answer began', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    server.messages.push(userMessage(turn));
    server.busy.clear();
    server.event('server.instance.disposed', { directory: DIRECTORY });
    await pass(4_000);
    expect(outcome.error).toMatchObject({ reason: 'interrupted' });
  });

  it('gives a turn up when the server is out of reach for a minute, and says so', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    server.answer('GET /session/status', () => Promise.reject(new TypeError('gone')));
    await pass(50_000);
    expect(outcome).toEqual({});
    await pass(30_000);
    expect(outcome.error).toMatchObject({
      reason: 'unreachable',
      cause: expect.any(ConnectionError) as unknown,
      message: expect.stringContaining('GET /session/status') as string,
    });
  });

  it.each([400, 401, 403, 404, 409, 422, 431])(
    'ends a turn at once when the server answers %i to a question about its state',
    async (status) => {
      const turn = await running();
      const outcome = outcomeOf(turn);
      server.messages.push(userMessage(turn));
      server.busy.clear();
      server.answer('GET /session/ses_1/message', () => Response.json({ name: 'BadRequest' }, { status }));
      server.event('session.idle', { sessionID: 'ses_1' });
      await pass(300);
      const refusal = { name: 'RequestError', status, path: '/session/ses_1/message' };
      // The session is gone.
      if (status === 404) expect(outcome.error).toMatchObject(refusal);
      else expect(outcome.error).toMatchObject({ name: 'TurnError', reason: 'refused', cause: refusal });
      expect(repo.stats().holds.filter(({ kind }) => kind === 'turn')).toEqual([]);
    },
  );

  it.each([408, 425, 429, 500, 503])(
    'continues a turn when the server answers %i for a while',
    async (status) => {
      const turn = await running();
      const outcome = outcomeOf(turn);
      server.answer('GET /session/status', () => new Response(null, { status }));
      await pass(20_000);
      expect(outcome).toEqual({});
      server.answer('GET /session/status');
      finish(turn, 'ok');
      await pass(20_000);
      expect(outcome.value).toMatchObject({ text: 'ok' });
    },
  );

  it('aborts a turn on the server when the server refuses to show its state', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const begun = assistantMessage(turn, '', { time: { created: 2 } });
    server.event('message.updated', { sessionID: 'ses_1', info: begun.info });
    await pass(10);
    server.answer('GET /session/status', () => new Response(null, { status: 403 }));
    await pass(5_100);
    expect(outcome.error).toMatchObject({ reason: 'refused', cause: { status: 403 } });
    expect(server.count('POST /session/ses_1/abort')).toBe(1);
  });

  it.each([
    ['has an end', {}],
    ['has none', { time: { created: 2 } }],
  ])('fails a turn with the error of its session, whether its message %s', async (_what, more) => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const error = { name: 'UnknownError', data: { message: 'FileSystem.realPath NotFound' } };
    const begun = assistantMessage(turn, '', { time: { created: 2 } });
    server.event('message.updated', { sessionID: 'ses_1', info: begun.info });
    server.messages.push(userMessage(turn), assistantMessage(turn, '', more));
    server.busy.clear();
    server.event('session.error', { sessionID: 'ses_1', error });
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(1_000);
    expect(outcome.error).toMatchObject({ name: 'TurnError', reason: 'failed', serverError: error });
  });

  it('answers a turn that has begun in spite of an error of its session', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const error = { name: 'UnknownError', data: { message: 'File not found: a.txt' } };
    server.event('session.error', { sessionID: 'ses_1', error });
    const begun = assistantMessage(turn, '', { time: { created: 2 } });
    server.event('message.updated', { sessionID: 'ses_1', info: begun.info });
    await pass(10);
    finish(turn, 'without the file');
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(1_000);
    expect(outcome.value).toMatchObject({ text: 'without the file' });
  });

  it('does not call a turn interrupted whose answer stays without an end though nothing has ended', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    server.messages.push(userMessage(turn), assistantMessage(turn, '', { time: { created: 2 } }));
    server.busy.clear();
    await pass(6_000);
    expect(outcome.error).toMatchObject({ name: 'TurnError', reason: 'unfinished' });
  });

  it('rejects a turn as stalled when the model is only asked again, or waited for, and gives the reason', async () => {
    const turn = session.stream('x', { stallTimeoutMs: 4_000 });
    const outcome = outcomeOf(turn);
    await pass(500);
    for (let ms = 0, attempt = 1; ms < 5_000; ms += 1_000, attempt += 1) {
      const status = { type: 'retry', attempt, message: 'overloaded', next: 1 };
      server.event('session.status', { sessionID: 'ses_1', status });
      await pass(1_000);
    }
    expect(outcome.error).toMatchObject({
      reason: 'stalled',
      message: expect.stringMatching(/stallTimeoutMs, 4000 ms.*overloaded/) as string,
    });
  });

  it('waits after a stalled turn for the server to be idle before it sends the next one', async () => {
    const first = session.stream('x', { stallTimeoutMs: 1_000 });
    const outcome = outcomeOf(first);
    const second = session.stream('y');
    second.result.catch(() => undefined);
    await pass(3_000);
    expect(outcome.error).toMatchObject({ reason: 'stalled' });
    expect(server.count(PROMPT)).toBe(1);
    finish(first, 'late');
    await pass(3_000);
    expect(server.count(PROMPT)).toBe(2);
  });

  it('streams the answer of a turn, also when the answer overtakes the events', async () => {
    const turn = await running();
    finish(turn, 'never streamed');
    await pass(5_100);
    const steps: TurnStep[] = [];
    for await (const step of turn) steps.push(step);
    expect(steps).toMatchObject([{ type: 'message' }, { type: 'text', delta: 'never streamed' }]);
  });

  it('streams the whole text of a turn, without a piece twice, when some of it fell into a gap', async () => {
    const turn = await running();
    server.messages.push(userMessage(turn));
    const begun = assistantMessage(turn, '', { time: { created: 2 } });
    const delta = (text: string): void =>
      server.event('message.part.delta', {
        sessionID: 'ses_1',
        messageID: 'msg_a',
        partID: 'prt_1',
        field: 'text',
        delta: text,
      });
    const updated = (part: Part): void =>
      server.event('message.part.updated', { sessionID: 'ses_1', part, time: 1 });
    server.event('message.updated', { sessionID: 'ses_1', info: begun.info });
    server.messages.push(begun);
    updated(textPart(''));
    delta('one ');
    await pass(10);
    server.cut();
    await pass(1_000);
    delta('three ');
    updated(textPart('one two three four'));
    await pass(10);
    finish(turn, 'one two three four');
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(300);
    let streamed = '';
    for await (const step of turn) if (step.type === 'text') streamed += step.delta;
    expect(streamed).toBe('one two three four');
  });

  it('ends a turn of a session that was deleted, though the server goes on to show it as busy', async () => {
    const outcome = outcomeOf(await running());
    server.answer('GET /session/ses_1/message', () => Response.json({}, { status: 404 }));
    server.event('session.deleted', { sessionID: 'ses_unknown' });
    await pass(4_000);
    expect(outcome).toEqual({});
    server.event('session.deleted', { sessionID: 'ses_1' });
    await pass(100);
    expect(outcome.error).toMatchObject({ name: 'RequestError', status: 404 });
    expect(repo.stats().holds.filter(({ kind }) => kind === 'turn')).toEqual([]);
  });

  it.each(['aborted', 'interrupted'] as const)(
    'gives no answer for a turn that is %s between two calls of the model',
    async (reason) => {
      const turn = await running();
      const outcome = outcomeOf(turn);
      const done = { status: 'completed', input: {}, output: '', title: '', metadata: {}, time: {} };
      const called = assistantMessage(turn, 'I will look.', { finish: 'tool-calls' });
      const tool = { ...textPart(''), id: 'prt_2', type: 'tool', tool: 'bash', callID: 'c', state: done };
      server.messages.push(userMessage(turn), {
        ...called,
        parts: [...called.parts, tool as unknown as Part],
      });
      if (reason === 'aborted') void turn.abort();
      else server.event('server.instance.disposed', { directory: DIRECTORY });
      server.busy.clear();
      await pass(5_100);
      expect(outcome.error).toMatchObject({ name: 'TurnError', reason });
    },
  );

  it('aborts a turn on the server too when it is answered under a prompt of another client', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const other = { messageID: 'msg_other' };
    const answer = assistantMessage(other, '', { time: { created: 2 } });
    server.messages.push(userMessage(turn), userMessage(other), answer);
    let isOver = false;
    void turn.abort().then(() => (isOver = true));
    await pass(500);
    expect(server.count('POST /session/ses_1/abort')).toBeGreaterThan(0);
    expect([outcome, isOver]).toEqual([{}, false]);
    const error = { name: 'MessageAbortedError', data: { message: 'Aborted' } };
    server.messages.splice(2, 1, assistantMessage(other, '', { error }));
    server.busy.clear();
    await pass(500);
    expect(outcome.error).toMatchObject({ reason: 'aborted' });
    expect(isOver).toBe(true);
  });

  it('rejects a turn that the server accepted and did not store, and says so', async () => {
    server.answer(PROMPT, () => new Response(null, { status: 204 }));
    const outcome = outcomeOf(await running());
    await pass(17_000);
    expect(outcome.error).toMatchObject({
      reason: 'not-started',
      message: expect.stringContaining('the prompt is not stored') as string,
    });
  });

  it('fails a turn with the error that is all the server reports of it', async () => {
    server.answer(PROMPT, () => new Response(null, { status: 204 }));
    const outcome = outcomeOf(await running());
    const error = { name: 'UnknownError', data: { message: 'Agent not found: nobody' } };
    server.event('session.error', { sessionID: 'ses_1', error });
    // The same once more, with a stack.
    server.event('session.error', { sessionID: 'ses_1', error: { ...error, data: { message: 'at x.js' } } });
    await pass(1_000);
    expect(outcome.error).toMatchObject({ reason: 'failed', serverError: error });
  });

  it('ends a turn without sending it when no event stream can be opened', async () => {
    server.answer('GET /global/event', () => new Promise(() => undefined));
    const outcome = outcomeOf(session.stream('x'));
    await pass(50_000);
    expect(outcome).toEqual({});
    await pass(15_000);
    expect(outcome.error).toBeInstanceOf(TimeoutError);
    expect(server.count(PROMPT)).toBe(0);
  });

  it('aborts a turn not before its answer has begun, but as soon as it has', async () => {
    server.answer(PROMPT, () => new Response(null, { status: 204 }));
    const turn = await running();
    const outcome = outcomeOf(turn);
    const aborting = turn.abort();
    // A cold instance: it has taken the prompt, and shows nothing of it yet.
    await pass(2_000);
    expect(outcome).toEqual({});
    server.busy.add('ses_1');
    server.messages.push(userMessage(turn));
    server.event('message.updated', { sessionID: 'ses_1', info: userMessage(turn).info });
    await pass(2_000);
    expect(outcome).toEqual({});
    expect(server.count('POST /session/ses_1/abort')).toBe(0);
    const begun = assistantMessage(turn, '', { time: { created: 2 } });
    server.messages.push(begun);
    server.event('message.updated', { sessionID: 'ses_1', info: begun.info });
    await pass(500);
    expect(server.count('POST /session/ses_1/abort')).toBeGreaterThan(0);
    const error = { name: 'MessageAbortedError', data: { message: 'Aborted' } };
    server.messages.splice(1, 1, assistantMessage(turn, '', { error }));
    server.busy.clear();
    await pass(500);
    await aborting;
    expect(outcome.error).toMatchObject({ reason: 'aborted' });
  });

  it('gives up a turn that cannot be aborted after a while', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    server.messages.push(userMessage(turn), assistantMessage(turn, '', { time: { created: 2 } }));
    let isOver = false;
    void turn.abort().then(() => (isOver = true));
    await pass(14_000);
    expect([outcome, isOver]).toEqual([{}, false]);
    await pass(2_000);
    expect(outcome.error).toMatchObject({ reason: 'aborted' });
    expect(isOver).toBe(true);
    expect(repo.stats().holds.filter(({ kind }) => kind === 'turn')).toEqual([]);
  });

  it.each([
    ['as soon as that is seen to be answered', true, 500],
    ['after a while', false, 16_000],
  ])('aborts a turn while the session works on a prompt of another client, %s', async (_when, isSeen, ms) => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const other = { messageID: 'msg_other' };
    const theirs = assistantMessage(other, '', { id: 'msg_theirs', time: { created: 2 } });
    server.messages.push(userMessage(other), theirs, userMessage(turn));
    const ids = { sessionID: 'ses_1', messageID: 'msg_theirs', partID: 'prt_9', field: 'text' };
    if (isSeen) server.event('message.part.delta', { ...ids, delta: 'x' });
    let isOver = false;
    void turn.abort().then(() => (isOver = true));
    await pass(ms);
    expect([server.count('POST /session/ses_1/abort') > 0, isOver]).toEqual([true, false]);
    server.busy.clear();
    await pass(4_000);
    expect(outcome.error).toMatchObject({ reason: 'aborted' });
    expect(isOver).toBe(true);
  });

  it('leaves a turn unfinished when another client has the session summarized between two calls of the model', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const compaction = { ...textPart(''), id: 'prt_c', messageID: 'msg_c', type: 'compaction', auto: false };
    const asked = { ...userMessage({ messageID: 'msg_c' }), parts: [compaction as unknown as Part] };
    const called = assistantMessage(turn, 'I will look.', { finish: 'tool-calls' });
    const summary = assistantMessage({ messageID: 'msg_c' }, 'the summary', { id: 'msg_s', summary: true });
    server.messages.push(userMessage(turn), called, asked, summary);
    server.busy.clear();
    await pass(5_100);
    expect(outcome.error).toMatchObject({
      name: 'TurnError',
      reason: 'unfinished',
      message: expect.stringContaining('summarized') as string,
    });
  });

  it('keeps a turn from stalling by the work of its child, and not by the work of others', async () => {
    const turn = session.stream('x', { stallTimeoutMs: 1_000 });
    const outcome = outcomeOf(turn);
    await pass(500);
    const child = { id: 'ses_child', parentID: 'ses_1', directory: DIRECTORY, title: '' };
    const info = { ...child, time: { created: 1, updated: 1 } };
    server.event('session.created', { sessionID: 'ses_child', info });
    const todo = (sessionID: string): void => server.event('todo.updated', { sessionID, todos: [] });
    for (let ms = 0; ms < 5_000; ms += 500) {
      todo('ses_child');
      await pass(500);
    }
    expect(outcome).toEqual({});
    for (let ms = 0; ms < 2_000; ms += 500) {
      todo('ses_other');
      await pass(500);
    }
    expect(outcome.error).toMatchObject({ reason: 'stalled' });
  });

  it('fails a turn by its error, not by the first of two idle events, which comes before its end', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const error = { name: 'APIError', data: { message: 'no credit', isRetryable: false } };
    server.messages.push(userMessage(turn), assistantMessage(turn, '', { time: { created: 2 } }));
    server.busy.clear();
    server.event('session.error', { sessionID: 'ses_1', error });
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(150);
    expect(outcome).toEqual({});
    server.messages.splice(1, 1, assistantMessage(turn, '', { error }));
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(300);
    expect(outcome.error).toMatchObject({ reason: 'provider', serverError: error });
  });

  it.each([
    ['interrupted', 'disposes its instance'],
    ['aborted', 'aborts it'],
  ])('ends a turn as %s when another client %s', async (reason) => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const error = { name: 'MessageAbortedError', data: { message: 'Aborted' } };
    server.messages.push(userMessage(turn), assistantMessage(turn, '', { error }));
    server.busy.clear();
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(200);
    expect(outcome).toEqual({});
    // Said only when it is done.
    if (reason === 'interrupted') server.event('server.instance.disposed', { directory: DIRECTORY });
    await pass(1_000);
    expect(outcome.error).toMatchObject({ name: 'TurnError', reason });
  });

  it('streams steps that fell into a gap when the gap is over, not only at the end of the turn', async () => {
    const turn = await running();
    const steps: TurnStep[] = [];
    const reading = (async () => {
      for await (const step of turn) steps.push(step);
    })();
    server.cut();
    server.messages.push(userMessage(turn), assistantMessage(turn, 'missed', { time: { created: 2 } }));
    await pass(3_000);
    expect(steps).toMatchObject([{ type: 'message' }, { type: 'text', delta: 'missed' }]);
    finish(turn, 'missed');
    await pass(5_100);
    await reading;
    expect(steps).toHaveLength(2);
  });

  it('aborts a turn on the server at once when its caller leaves, not at the next poll', async () => {
    const caller = new AbortController();
    const turn = session.stream('x', { signal: caller.signal });
    const outcome = outcomeOf(turn);
    await pass(500);
    const begun = assistantMessage(turn, '', { time: { created: 2 } });
    server.messages.push(userMessage(turn), begun);
    server.event('message.updated', { sessionID: 'ses_1', info: begun.info });
    await pass(500);
    caller.abort('left');
    await pass(50);
    expect(outcome.error).toBe('left');
    expect(server.count('POST /session/ses_1/abort')).toBe(1);
  });

  it('lets nobody answer for the session of a turn that has ended', async () => {
    const turn = session.stream('x', { onPermission: 'allow' });
    await pass(500);
    const ask = (id: string): void =>
      server.ask({ id, sessionID: 'ses_1', permission: 'bash', patterns: [], metadata: {}, always: [] });
    ask('per_1');
    await pass(500);
    expect(server.count('POST /permission/per_1/reply')).toBe(1);
    finish(turn, 'ok');
    await pass(5_100);
    await turn.result;
    ask('per_2');
    await pass(1_000);
    expect(server.count('POST /permission/per_2/reply')).toBe(0);
  });

  it('leaves no timer for a turn that has ended before it began', () => {
    const timers = vi.getTimerCount();
    const turn = session.stream('x', { signal: AbortSignal.abort('too late'), timeoutMs: 10_000 });
    expect(vi.getTimerCount()).toBe(timers);
    return expect(turn.result).rejects.toBe('too late');
  });

  it('ends a turn once: events after its time limit change neither its result nor its steps', async () => {
    const turn = session.stream('x', { timeoutMs: 2_000 });
    const outcome = outcomeOf(turn);
    await pass(500);
    const answer = assistantMessage(turn, '', { time: { created: 2 } });
    const ids = { sessionID: 'ses_1', messageID: 'msg_a', partID: 'prt_1', field: 'text' };
    server.messages.push(userMessage(turn), answer);
    server.event('message.updated', { sessionID: 'ses_1', info: answer.info });
    server.event('message.part.updated', { sessionID: 'ses_1', part: textPart(''), time: 1 });
    server.event('message.part.delta', { ...ids, delta: 'in time' });
    await pass(2_000);
    const { error } = outcome;
    expect(error).toBeInstanceOf(TimeoutError);
    expect(server.count('POST /session/ses_1/abort')).toBeGreaterThan(0);
    // Held as long as the server works on it.
    const isHeld = (): boolean => repo.stats().holds.some(({ kind }) => kind === 'turn');
    expect(isHeld()).toBe(true);
    server.event('message.part.delta', { ...ids, delta: ', too late' });
    finish(turn, 'in time, too late');
    await pass(1_000);
    expect(isHeld()).toBe(false);
    const steps: TurnStep[] = [];
    const reading = (async () => {
      for await (const step of turn) steps.push(step);
    })();
    await expect(reading).rejects.toBe(error);
    expect(steps).toMatchObject([{ type: 'message' }, { type: 'text', delta: 'in time' }]);
    expect(outcome).toEqual({ error });
  });

  it('gives every step from the beginning to each loop over a turn, and to one that begins when the turn has ended', async () => {
    const turn = await running();
    const read = async (): Promise<TurnStep[]> => {
      const steps: TurnStep[] = [];
      for await (const step of turn) steps.push(step);
      return steps;
    };
    const readers = [read(), read()];
    const answer = assistantMessage(turn, '', { time: { created: 2 } });
    server.event('message.updated', { sessionID: 'ses_1', info: userMessage(turn).info });
    server.event('message.updated', { sessionID: 'ses_1', info: answer.info });
    const ids = { sessionID: 'ses_1', messageID: 'msg_a', field: 'text' };
    for (const partID of ['prt_1', 'prt_2', 'prt_3', 'prt_4']) {
      const part = { ...textPart(''), id: partID };
      server.event('message.part.updated', { sessionID: 'ses_1', part, time: 1 });
      server.event('message.part.delta', { ...ids, partID, delta: partID });
      await pass(10);
    }
    finish(turn, 'prt_1');
    await pass(5_100);
    const all = ['message', 'prt_1', 'prt_2', 'prt_3', 'prt_4'];
    for (const steps of [...(await Promise.all(readers)), await read()]) {
      expect(steps.map((step) => (step.type === 'text' ? step.delta : step.type))).toEqual(all);
    }
  });

  it('keeps no more steps for a caller that does not read than the turn has to say', async () => {
    const turn = await running();
    const answer = assistantMessage(turn, '', { time: { created: 2 } });
    server.event('message.updated', { sessionID: 'ses_1', info: answer.info });
    const ids = { sessionID: 'ses_1', messageID: 'msg_a' };
    server.event('message.part.updated', { sessionID: 'ses_1', part: textPart(''), time: 1 });
    for (let count = 0; count < 100; count++)
      server.event('message.part.delta', { ...ids, partID: 'prt_1', field: 'text', delta: 'x' });
    const tool = { ...textPart(''), id: 'prt_2', type: 'tool', tool: 'bash', callID: 'c' };
    for (let count = 0; count < 100; count++) {
      const part = { ...tool, state: { status: 'running', input: { count }, time: { start: 1 } } };
      server.event('message.part.updated', { sessionID: 'ses_1', part, time: 1 });
    }
    await pass(10);
    finish(turn, 'x'.repeat(100));
    await pass(5_100);
    const steps: TurnStep[] = [];
    for await (const step of turn) steps.push(step);
    expect(steps).toMatchObject([
      { type: 'message' },
      { type: 'text', delta: 'x'.repeat(100) },
      { type: 'tool', status: 'running', input: { count: 99 } },
    ]);
  });

  it('asks the server for the answer alone when the events have shown the end of the turn', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const [STATUS, MESSAGES] = ['GET /session/status', 'GET /session/ses_1/message'] as const;
    const before = [server.count(STATUS), server.count(MESSAGES)];
    server.messages.push(userMessage(turn), assistantMessage(turn, 'done', { finish: 'stop' }));
    server.busy.clear();
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(10);
    expect(outcome.value).toMatchObject({ text: 'done' });
    expect([server.count(STATUS), server.count(MESSAGES)]).toEqual([before[0], (before[1] ?? 0) + 1]);
  });

  it('says which providers there are when the one of the turn refuses its key', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    const error = { name: 'APIError', data: { message: 'invalid key', statusCode: 401, isRetryable: false } };
    server.answer('GET /config/providers', () =>
      Response.json({ providers: [{ id: 'local' }], default: {} }),
    );
    server.messages.push(userMessage(turn), assistantMessage(turn, '', { error }));
    server.busy.clear();
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(1_000);
    expect(outcome.error).toMatchObject({ reason: 'provider', serverError: error });
    expect((outcome.error as TurnError).message).toMatch(
      /failed at the model provider \(APIError: invalid key\)\. Configured providers: local\. .*'provider\/model'\.$/,
    );
  });

  it('asks also what the session does when the answer alone does not show the end', async () => {
    const turn = await running();
    const outcome = outcomeOf(turn);
    server.messages.push(userMessage(turn), assistantMessage(turn, 'more', { finish: 'tool-calls' }));
    server.event('session.idle', { sessionID: 'ses_1' });
    await pass(10);
    expect(server.count('GET /session/status')).toBeGreaterThan(0);
    expect(outcome).toEqual({});
    finish(turn, 'done');
    await pass(5_100);
    expect(outcome.value).toMatchObject({ text: 'done' });
  });

  it.each([
    ['the session is read', 'GET /session/ses_1'],
    ['the event stream is opened', 'GET /global/event'],
    ['the prompt is sent', PROMPT],
    ['the session is followed', 'GET /session/status'],
    ['the answer is read', 'GET /session/ses_1/message'],
  ])(
    'leaves nothing on the signal of the caller when the turn is aborted while %s',
    async (_where, operation) => {
      const arrived = deferred();
      server.answer(operation, () => {
        arrived.resolve();
        return new Promise(() => undefined);
      });
      // What was accepted has ended at once.
      if (operation.endsWith('/message')) server.answer(PROMPT, () => new Response(null, { status: 204 }));
      const caller = new AbortController();
      const outcome = outcomeOf(session.stream('x', { signal: caller.signal }));
      // It waits 5 s for an event before it asks the server.
      await pass(6_000);
      await arrived.promise;
      const reason = { because: 'the user left' };
      caller.abort(reason);
      await pass(0);
      expect(outcome.error).toBe(reason);
      expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    },
  );
});
