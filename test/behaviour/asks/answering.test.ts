import type {
  PermissionDecision,
  PermissionPolicy,
  PermissionRequest,
  QuestionDecision,
  QuestionPolicy,
  Turn,
  TurnStep,
} from 'jarvis-opencode';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { FakeOpenCode } from '../../support/fake-opencode.js';
import { deferred } from '../../support/wait.js';
import { DIRECTORY, permission, question, setUp, untilRunning } from '../../unit/client/asks/set-up.js';

vi.mock('../../../src/core/real-time.js', () => import('../../support/global-time.js'));

const PATIENCE = { timeout: 5_000 };

/** Lets a test advance every timer. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

/** A policy that never decides, and the signals it was given. */
function undecided(): { readonly signals: AbortSignal[]; readonly decide: () => Promise<never> } {
  const signals: AbortSignal[] = [];
  const decide = (_request?: unknown, context?: { readonly signal: AbortSignal }): Promise<never> => {
    if (context !== undefined) signals.push(context.signal);
    return new Promise(() => undefined);
  };
  return { signals, decide };
}

/** What was sent to answer a request. */
function repliesTo(server: FakeOpenCode, requestID: string): unknown[] {
  return server.requests
    .filter(({ method, path }) => method === 'POST' && path.includes(`/${requestID}/`))
    .map(({ body }) => body);
}

/** The first ask of a turn. */
async function firstAsk(turn: Turn): Promise<TurnStep> {
  for await (const step of turn) if (step.type === 'permission' || step.type === 'question') return step;
  return expect.fail('the turn ended without asking');
}

/** The server stores a tool call of `ses_1` that asks, or has asked. */
function toolCall(server: FakeOpenCode, requestID: string, status: 'running' | 'error'): PermissionRequest {
  const ids = { sessionID: 'ses_1', messageID: 'msg_1' };
  const ended = status === 'error' && { error: 'Tool execution aborted' };
  const state = { status, input: {}, time: { start: 0, ...(ended && { end: 1 }) }, ...ended };
  const part = { ...ids, id: 'prt_1', callID: 'call_1', type: 'tool', tool: 'bash', state };
  server.answer('GET /session/ses_1/message/msg_1', () =>
    Response.json({
      info: {
        ...{ id: 'msg_1', sessionID: 'ses_1', role: 'assistant', parentID: 'msg_0', time: { created: 0 } },
        ...{ cost: 0, tokens: { input: 0, output: 0, reasoning: 0, cache: { read: 0, write: 0 } } },
      },
      parts: [part],
    }),
  );
  return { ...permission(requestID), tool: { messageID: 'msg_1', callID: 'call_1' } };
}

describe('the level whose policy answers', () => {
  it('answers by the policy of the turn before session, repository and client, questions too', async () => {
    const said: string[] = [];
    const say = (level: string) => (): QuestionDecision => {
      said.push(level);
      return 'deny';
    };
    const { server, repo, session } = setUp({ questions: say('client') });
    server.sessions.set('ses_2', {});
    const answered = async (id: string, sessionID = 'ses_1'): Promise<void> => {
      server.askQuestion(question(id, sessionID));
      await vi.waitFor(() => expect(server.questions).toEqual([]));
    };
    await untilRunning(server, session.stream('x'));
    await answered('que_1');
    repo.questions.policy = say('repo');
    await answered('que_2');
    session.questionPolicy = say('session');
    await answered('que_3');
    const other = repo.sessions.session('ses_2');
    other.questionPolicy = say('session');
    await untilRunning(server, other.stream('y', { onQuestion: say('turn') }));
    await answered('que_4', 'ses_2');
    expect(said).toEqual(['client', 'repo', 'session', 'turn']);
  });

  it("answers by the policy of a child's turn before that of its parent", async () => {
    const said: string[] = [];
    const say = (whose: string) => (): PermissionDecision => {
      said.push(whose);
      return 'allow';
    };
    const { server, repo, session } = setUp();
    server.sessions.set('ses_2', { parentID: 'ses_1' });
    await untilRunning(server, session.stream('x', { onPermission: say('parent') }));
    const child = repo.sessions.session('ses_2');
    await untilRunning(server, child.stream('y', { onPermission: say('child') }));
    server.ask(permission('per_1', 'ses_2'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    expect(said).toEqual(['child']);
  });

  it.each<[string, (world: ReturnType<typeof setUp>) => unknown]>([
    ['a session', ({ session }) => (session.permissionPolicy = 'allow')],
    ['a repository', ({ repo }) => (repo.permissions.policy = 'allow')],
  ])('answers by the policy of %s alone, without any turn of this client', async (_level, set) => {
    const world = setUp({ policyScope: 'own' });
    const { server, jarvis, session } = world;
    jarvis.sessions.bind('chat-1', session);
    await session.refresh();
    set(world);
    await vi.waitFor(() => expect(server.count('GET /permission')).toBe(1));
    server.ask(permission('per_1'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
  });

  it('answers questions by a policy for questions alone', async () => {
    const { server, repo, session } = setUp({ policyScope: 'all' });
    repo.questions.policy = 'deny';
    await session.refresh();
    server.questions.push(question('que_1'));
    server.busy.add('ses_1');
    await vi.waitFor(() => expect(server.questions).toEqual([]));
  });

  it('answers asks also after the turns of this client are over', async () => {
    const { server, repo, session } = setUp({ policyScope: 'all' });
    repo.permissions.policy = 'allow';
    const turn = session.stream('x');
    turn.result.catch(() => undefined);
    await untilRunning(server, turn);
    server.busy.delete('ses_1');
    void turn.abort();
    await turn.result.catch(() => undefined);
    server.ask(permission('per_1'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
  });

  it('answers by the policy at the time of the ask, and by a changed one from the next ask on', async () => {
    const first = deferred<PermissionDecision>();
    const asked = deferred();
    const { server, repo, session } = setUp();
    repo.permissions.policy = () => {
      asked.resolve();
      return first.promise;
    };
    await untilRunning(server, session.stream('x'));
    server.ask(permission('per_1'));
    await asked.promise;
    const next = vi.fn(() => 'deny' as const);
    repo.permissions.policy = next;
    server.ask(permission('per_2'));
    await vi.waitFor(() => expect(repliesTo(server, 'per_2')).toHaveLength(1));
    first.resolve('allow');
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    expect(repliesTo(server, 'per_1')).toEqual([{ reply: 'once' }]);
    expect(next).toHaveBeenCalledTimes(1);
  });
});

describe('a function that decides', () => {
  it.each<[string, (decide: () => Promise<never>) => PermissionPolicy]>([
    ['a bare one', (decide) => decide],
    ['one in an object', (decide) => ({ decide })],
  ])(
    'denies with a message when a policy has not decided after five minutes: %s',
    async (_what, policyOf) => {
      fakeTimers();
      const { server, session } = setUp();
      const turn = session.stream('x', { onPermission: policyOf(undecided().decide) });
      turn.result.catch(() => undefined);
      await vi.advanceTimersByTimeAsync(1_000);
      server.ask(permission('per_1'));
      await vi.advanceTimersByTimeAsync(299_000);
      expect(repliesTo(server, 'per_1')).toEqual([]);
      await vi.advanceTimersByTimeAsync(1_000);
      const denial = { reply: 'reject', message: expect.stringContaining('does not allow this') };
      expect(repliesTo(server, 'per_1')).toEqual([denial]);
    },
  );

  it('leaves the request to the reader of the turn when a policy fails and `otherwise` is ask', async () => {
    const { server, warn, session } = setUp();
    const decide = (): never => {
      throw new Error('no idea');
    };
    const turn = session.stream('x', { onPermission: { decide, otherwise: 'ask' } });
    await untilRunning(server, turn);
    server.ask(permission('per_1'));
    expect(await firstAsk(turn)).toMatchObject({ request: { id: 'per_1' } });
    expect(warn.mock.calls).toEqual([
      ['policy failed, its default decides', expect.objectContaining({ error: 'Error: no idea' })],
    ]);
  });

  it('does not take the answer to one of two questions for a decision', async () => {
    const { server, warn, session } = setUp();
    const onQuestion: QuestionPolicy = () => ({ answers: [['red']] });
    await untilRunning(server, session.stream('x', { onQuestion }));
    server.askQuestion(question('que_1', 'ses_1', 2));
    await vi.waitFor(() => expect(server.questions).toEqual([]));
    const text = expect.stringContaining('Decide for yourself');
    expect(repliesTo(server, 'que_1')).toEqual([{ answers: [[text], [text]] }]);
    expect(warn).toHaveBeenCalledWith('policy failed, its default decides', expect.anything());
  });

  it('asks a policy once, however often the request comes, and through a reconnect', async () => {
    const slow = deferred<PermissionDecision>();
    const decide = vi.fn(() => slow.promise);
    const { server, repo, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: decide }));
    server.ask(permission('per_1'));
    server.event('permission.asked', permission('per_1'));
    await vi.waitFor(() => expect(decide).toHaveBeenCalled());
    await using events = repo.events({ types: ['permission.asked'] });
    await events.ready;
    server.cut();
    for await (const { type } of events) if (type === 'jarvis.gap') break;
    await vi.waitFor(() => expect(server.count('GET /permission')).toBe(1), PATIENCE);
    await session.refresh();
    slow.resolve('allow');
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    expect(decide).toHaveBeenCalledTimes(1);
    expect(repliesTo(server, 'per_1')).toEqual([{ reply: 'once' }]);
  });

  it("does not count an answer that comes after another client's as a failure", async () => {
    const slow = deferred<PermissionDecision>();
    const { server, warn, repo, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: () => slow.promise }));
    server.ask(permission('per_1'));
    const [ask] = await repo.permissions.pending();
    // Answered there, and not told of yet.
    server.permissions.splice(0, 1);
    slow.resolve('allow');
    await vi.waitFor(() => expect(repliesTo(server, 'per_1')).toHaveLength(1));
    expect(await ask?.stop()).toBe('gone');
    expect(await repo.questions.reject('que_1')).toBe('gone');
    expect(warn).not.toHaveBeenCalled();
  });

  it('leaves the request to the reader of the turn when the answer cannot be sent', async () => {
    fakeTimers();
    const { server, session } = setUp();
    server.answer('POST /permission/per_1/reply', () => new Response('', { status: 500 }));
    const turn = session.stream('x', { onPermission: 'allow' });
    turn.result.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    const reading = firstAsk(turn);
    server.ask(permission('per_1'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await reading).toMatchObject({ request: { id: 'per_1' } });
    expect(repliesTo(server, 'per_1')).toHaveLength(5);
  });
});

describe('what ends an ask', () => {
  it('closes an ask at the end of its own turn, not at that of another', async () => {
    const { signals, decide } = undecided();
    const { server, repo, session } = setUp({ permissions: decide });
    server.sessions.set('ses_2', {});
    const turn = session.stream('x');
    turn.result.catch(() => undefined);
    await untilRunning(server, turn);
    await untilRunning(server, repo.sessions.session('ses_2').stream('y'));
    server.ask(permission('per_1'));
    server.ask(permission('per_2', 'ses_2'));
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    server.event('session.idle', { sessionID: 'ses_3' });
    void turn.abort();
    await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true));
    expect(signals[1]?.aborted).toBe(false);
    server.event('session.idle', { sessionID: 'ses_1' });
    await session.refresh();
    expect(signals[1]?.aborted).toBe(false);
  });

  it.each(['question.replied', 'question.rejected'])('closes a question at %s', async (type) => {
    const { signals, decide } = undecided();
    const { server, session } = setUp();
    await untilRunning(server, session.stream('x', { onQuestion: decide }));
    server.askQuestion(question('que_1'));
    await vi.waitFor(() => expect(signals).toHaveLength(1));
    server.event(type, { sessionID: 'ses_1', requestID: 'que_1', answers: [] });
    await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true));
  });

  it('closes an ask at the end of the server, where no turn of this client asked', async () => {
    const { signals, decide } = undecided();
    const { server, handle, repo, session } = setUp({ policyScope: 'all' });
    repo.permissions.policy = decide;
    await session.refresh();
    server.permissions.push(permission('per_1'));
    server.busy.add('ses_1');
    await vi.waitFor(() => expect(signals).toHaveLength(1));
    handle.change({ state: 'restarting', attempt: 1 });
    expect(signals[0]?.aborted).toBe(true);
  });

  it('lists no ask that is over, although the next turn of its session is at work', async () => {
    const { server, repo, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: undecided().decide }));
    server.ask(permission('per_1'));
    server.askQuestion(question('que_1'));
    await vi.waitFor(async () => expect(await repo.questions.pending()).toHaveLength(1));
    server.event('session.idle', { sessionID: 'ses_1' });
    await vi.waitFor(async () => expect(await repo.questions.pending()).toEqual([]));
    expect(await repo.permissions.pending()).toEqual([]);
    expect(server.busy).toContain('ses_1');
  });

  it('asks the server whether an ask has ended when no event told its end', async () => {
    const { server, repo } = setUp();
    server.permissions.push(toolCall(server, 'per_1', 'error'), permission('per_2'));
    server.busy.add('ses_1');
    expect((await repo.permissions.pending()).map(({ request }) => request.id)).toEqual(['per_2']);
  });

  it('sends no answer to an ask that ended after it was listed', async () => {
    const { server, repo } = setUp();
    const request = toolCall(server, 'per_1', 'running');
    server.permissions.push(request);
    server.busy.add('ses_1');
    const [ask] = await repo.permissions.pending();
    toolCall(server, 'per_1', 'error');
    expect(await ask?.stop()).toBe('gone');
    expect(repliesTo(server, 'per_1')).toEqual([]);
  });

  it('takes an ask whose call cannot be read for pending', async () => {
    const { server, repo } = setUp();
    server.permissions.push(toolCall(server, 'per_1', 'error'));
    server.busy.add('ses_1');
    server.answer('GET /session/ses_1/message/msg_1', () => Response.json({ info: {}, parts: [] }));
    expect(await repo.permissions.pending()).toHaveLength(1);
    server.answer('GET /session/ses_1/message/msg_1', () => new Response('', { status: 404 }));
    const [ask] = await repo.permissions.pending();
    expect(await ask?.allow()).toBe('answered');
  });

  it('hands no ask that ended in a gap to the policy of the next turn', async () => {
    const decide = vi.fn(() => 'stop' as const);
    const { server, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: decide }));
    server.cut();
    server.permissions.push(toolCall(server, 'per_1', 'error'), permission('per_2'));
    await vi.waitFor(() => expect(repliesTo(server, 'per_2')).toHaveLength(1), PATIENCE);
    await session.refresh();
    expect(decide).toHaveBeenCalledTimes(1);
    expect(repliesTo(server, 'per_1')).toEqual([]);
  });
});

describe('who asks', () => {
  it('reads the asking session again when the first read fails', async () => {
    const { server, session } = setUp();
    server.sessions.set('ses_2', { parentID: 'ses_1' });
    let isFirst = true;
    server.answer('GET /session/ses_2', (request) => {
      if (!isFirst) return server.usual(request);
      isFirst = false;
      return new Response('', { status: 500 });
    });
    await untilRunning(server, session.stream('x', { onPermission: 'allow' }));
    server.ask(permission('per_1', 'ses_2'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]), PATIENCE);
  });

  it('answers for a known child of an unknown session', async () => {
    const { server, session } = setUp();
    server.sessions.set('ses_2', { parentID: 'ses_1' });
    server.sessions.set('ses_3', { parentID: 'ses_2' });
    const turn = session.stream('x');
    await untilRunning(server, turn);
    const info: unknown = await server
      .usual({ method: 'GET', path: '/session/ses_3', body: '', directory: '' })
      .json();
    server.event('session.created', { sessionID: 'ses_3', info });
    server.ask(permission('per_1', 'ses_3'));
    expect(await firstAsk(turn)).toMatchObject({ request: { id: 'per_1' } });
  });

  it('answers for a session whose parent was deleted', async () => {
    const { server, repo } = setUp();
    server.sessions.set('ses_3', { parentID: 'ses_2' });
    await untilRunning(server, repo.sessions.session('ses_3').stream('x', { onPermission: 'allow' }));
    server.ask(permission('per_1', 'ses_3'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]), PATIENCE);
    expect(server.count('GET /session/ses_2')).toBe(1);
  });
});

describe('a gap', () => {
  it('keeps an ask when more events come in a gap than the hub holds back', async () => {
    const { server, jarvis, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: 'allow' }));
    const other = jarvis.forRepo('/srv/other');
    await other.sessions.status();
    await other.events().ready;
    // What the other repository does is known late, and events are kept until then.
    const read = deferred();
    server.answer('GET /session/status', async (request) => {
      if (request.directory === other.directory) await read.promise;
      return server.usual(request);
    });
    server.cut();
    await vi.waitFor(() => expect(server.count('GET /question')).toBe(1), PATIENCE);
    await session.refresh();
    server.ask(permission('per_1'));
    for (let count = 0; count < 10_001; count++) server.event('session.idle', { sessionID: 'ses_9' });
    // Every frame before it has been taken.
    const info = { id: 'ses_8', directory: DIRECTORY, title: '', time: { created: 0, updated: 0 } };
    server.event('session.created', { sessionID: 'ses_8', info });
    await vi.waitFor(() => expect(jarvis.sessions.directoryOf('ses_8')).toBe(DIRECTORY), PATIENCE);
    read.resolve();
    await vi.waitFor(() => expect(server.permissions).toEqual([]), PATIENCE);
  });
});
