import { getEventListeners } from 'node:events';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  RequestError,
  type PermissionDecision,
  type PermissionPolicy,
  type QuestionPolicy,
  type RepoClient,
  type Turn,
} from 'jarvis-opencode';
import type { FakeClock } from '../../../support/fake-clock.js';
import type { FakeOpenCode } from '../../../support/fake-opencode.js';
import { deferred } from '../../../support/wait.js';
import { DIRECTORY, permission, question, setUp, untilRunning } from './set-up.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

async function untilWarned(warn: ReturnType<typeof setUp>['warn'], clock: FakeClock) {
  await vi.waitFor(() => expect(clock.timers).toBeGreaterThan(0));
  clock.advance(1_000);
  return warn.mock.calls.filter(([message]) => message.includes('nobody listens'));
}

describe('an ask without a policy', () => {
  it('warns once per session of an ask that nobody reads', async () => {
    const { server, warn, clock, session } = setUp();
    const turn = session.stream('x');
    await untilRunning(server, turn);
    server.ask(permission('per_1'));
    expect(await untilWarned(warn, clock)).toHaveLength(1);
    server.ask(permission('per_2'));
    const seen = turn[Symbol.asyncIterator]();
    await seen.next();
    await seen.next();
    clock.advance(10_000);
    expect(warn.mock.calls.filter(([message]) => message.includes('nobody listens'))).toHaveLength(1);
  });

  it.each<[string, (repo: RepoClient, turn: Turn) => unknown]>([
    ['who iterates the turn', (_repo, turn) => void turn[Symbol.asyncIterator]().next()],
    ['a subscriber', (repo) => repo.events({ types: ['permission.asked'] }).ready],
    [
      'a subscriber of repo.fetch',
      async (repo) => void (await repo.fetch(`${repo.baseUrl}/event`)).body?.getReader(),
    ],
  ])('leaves an ask to %s without a warning', async (_who, listen) => {
    const { server, warn, clock, repo, session } = setUp();
    const turn = session.stream('x');
    await untilRunning(server, turn);
    await listen(repo, turn);
    server.ask(permission('per_1'));
    expect(await untilWarned(warn, clock)).toEqual([]);
  });

  it('warns of a question that nobody reads', async () => {
    const { server, warn, clock, session } = setUp();
    await untilRunning(server, session.stream('x'));
    server.askQuestion(question('que_1'));
    const [told] = await untilWarned(warn, clock);
    expect(told?.[0]).toMatch(/answer to a question request.*question\.asked.*the option questions/);
  });

  it('leaves a question to its subscribers without a warning', async () => {
    const { server, warn, clock, repo, session } = setUp();
    await untilRunning(server, session.stream('x'));
    await repo.events({ types: ['question.asked'] }).ready;
    server.askQuestion(question('que_1'));
    expect(await untilWarned(warn, clock)).toEqual([]);
  });

  it('warns of no ask that is answered in time', async () => {
    const { server, warn, clock, session } = setUp();
    await untilRunning(server, session.stream('x'));
    server.ask(permission('per_1'));
    await vi.waitFor(() => expect(clock.timers).toBe(1));
    server.event('permission.replied', { sessionID: 'ses_1', requestID: 'per_1', reply: 'once' });
    await vi.waitFor(() => expect(clock.timers).toBe(0));
    clock.advance(10_000);
    expect(warn).not.toHaveBeenCalled();
  });

  it('warns of an ask although somebody subscribes to other events', async () => {
    const { server, warn, clock, repo, session } = setUp();
    const turn = session.stream('x');
    await untilRunning(server, turn);
    await repo.events({ types: ['session.idle'] }).ready;
    await repo.events({ sessionID: 'ses_2' }).ready;
    server.ask(permission('per_1'));
    expect(await untilWarned(warn, clock)).toHaveLength(1);
  });

  it('leaves an ask to who lists what is pending without a warning', async () => {
    const { server, warn, clock, repo, session } = setUp();
    await untilRunning(server, session.stream('x'));
    server.ask(permission('per_1'));
    await vi.waitFor(() => expect(clock.timers).toBe(1));
    expect(await repo.permissions.pending()).toHaveLength(1);
    expect(await untilWarned(warn, clock)).toEqual([]);
  });
});

describe('a server without measure', () => {
  it('takes 1,000 asks that wait, and warns of the excess once', async () => {
    const { server, warn, session } = setUp();
    const turn = session.stream('x');
    await untilRunning(server, turn);
    for (let n = 0; n < 1_005; n += 1) server.ask(permission(`per_${n}`));
    await vi.waitFor(() => expect(warn).toHaveBeenCalled());
    expect(warn.mock.calls).toEqual([
      [
        expect.stringMatching(/^1000 requests wait for an answer, which is the limit/),
        { directory: DIRECTORY, requestID: 'per_1000' },
      ],
    ]);
    const seen: string[] = [];
    for await (const step of turn) {
      if (step.type === 'permission') seen.push(step.request.id);
      if (seen.length === 1_000) break;
    }
    expect(seen.at(-1)).toBe('per_999');
    server.event('permission.replied', { sessionID: 'ses_1', requestID: 'per_0', reply: 'once' });
    server.ask(permission('per_next'));
    for await (const step of turn) {
      if (step.type === 'permission') seen.push(step.request.id);
      if (seen.at(-1) === 'per_next') break;
    }
    expect(seen).toHaveLength(2_001);
  });

  it('reads the parents of a session up to 100 levels', async () => {
    const { server, repo, session } = setUp();
    for (let level = 0; level < 200; level += 1)
      server.sessions.set(`ses_c${level}`, { parentID: `ses_c${level + 1}` });
    await untilRunning(server, session.stream('x'));
    server.ask(permission('per_1', 'ses_c0'));
    await vi.waitFor(() => expect(server.count('GET /session/ses_c99')).toBe(1));
    for (let n = 0; n < 3; n += 1) await repo.sessions.get('ses_1');
    expect(server.count('GET /session/ses_c100')).toBe(0);
  });
});

describe('a policy', () => {
  it('asks a policy once when its answer is lost on the way', async () => {
    const decide = vi.fn(() => 'allow' as const);
    const { server, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: decide }));
    let sent = 0;
    server.answer('POST /permission/per_1/reply', () => {
      sent += 1;
      if (sent < 3) return Promise.reject(new TypeError('reset'));
      return Response.json(true);
    });
    server.ask(permission('per_1'));
    await vi.waitFor(() => expect(sent).toBe(3), { timeout: 5_000 });
    expect(decide).toHaveBeenCalledTimes(1);
  });

  it('aborts the signal of a policy whose answer is not needed any more, and sends no late one', async () => {
    const asked = deferred<AbortSignal>();
    const late = deferred<PermissionDecision>();
    const { server, warn, session } = setUp();
    await untilRunning(
      server,
      session.stream('x', {
        onPermission: (_request, { signal }) => {
          asked.resolve(signal);
          return late.promise;
        },
      }),
    );
    server.ask(permission('per_1'));
    const signal = await asked.promise;
    expect(signal.aborted).toBe(false);
    server.event('permission.replied', { sessionID: 'ses_1', requestID: 'per_1', reply: 'once' });
    await vi.waitFor(() => expect(signal.aborted).toBe(true));
    late.resolve('allow');
    await vi.waitFor(() => expect(getEventListeners(signal, 'abort')).toEqual([]));
    expect(server.count('POST /permission/per_1/reply')).toBe(0);
    expect(warn).not.toHaveBeenCalled();
  });

  it.each<[string, object]>([
    ['session.idle', { sessionID: 'ses_1' }],
    ['session.deleted', { sessionID: 'ses_1', info: {} }],
    ['server.instance.disposed', { directory: DIRECTORY }],
  ])('calls a policy off at %s', async (type, properties) => {
    const asked = deferred<AbortSignal>();
    const { server, session } = setUp();
    await untilRunning(
      server,
      session.stream('x', {
        onPermission: (_request, { signal }) => {
          asked.resolve(signal);
          return new Promise(() => undefined);
        },
      }),
    );
    server.ask(permission('per_1'));
    const signal = await asked.promise;
    server.event(type, properties);
    await vi.waitFor(() => expect(signal.aborted).toBe(true));
  });

  it('calls a policy off when the client is closed', async () => {
    const asked = deferred<AbortSignal>();
    const { server, jarvis, session } = setUp();
    const turn = session.stream('x', {
      onPermission: {
        decide: (_request, { signal }) => {
          asked.resolve(signal);
          return new Promise(() => undefined);
        },
        timeoutMs: false,
      },
    });
    await untilRunning(server, turn);
    server.ask(permission('per_1'));
    const signal = await asked.promise;
    await jarvis.close();
    expect(signal.aborted).toBe(true);
    await expect(turn.result).rejects.toThrow('closed');
  });

  it.each<[string, (caller: AbortController, turn: Turn) => unknown]>([
    ['its signal', (caller) => caller.abort('enough')],
    ['turn.abort()', (_caller, turn) => turn.abort()],
  ])('allows nothing more in a turn that was ended by %s', async (_by, end) => {
    const decided: string[] = [];
    const called = deferred<AbortSignal>();
    const { server, repo, session } = setUp({
      permissions: ({ id }, { signal }) => {
        decided.push(id);
        if (id !== 'per_1') return 'allow';
        called.resolve(signal);
        return new Promise(() => undefined);
      },
    });
    server.sessions.set('ses_2', {});
    const caller = new AbortController();
    const turn = session.stream('x', { signal: caller.signal });
    turn.result.catch(() => undefined);
    await untilRunning(server, turn);
    await untilRunning(server, repo.sessions.session('ses_2').stream('y'));
    server.ask(permission('per_1'));
    const signal = await called.promise;
    void end(caller, turn);
    expect(signal.aborted).toBe(true);
    server.ask(permission('per_2'));
    server.ask(permission('per_3', 'ses_2'));
    await vi.waitFor(() => expect(server.count('POST /permission/per_3/reply')).toBe(1));
    expect(decided).toEqual(['per_1', 'per_3']);
  });

  it('answers for a child of which no event came', async () => {
    const decide = vi.fn(() => 'allow' as const);
    const { server, session } = setUp();
    server.sessions.set('ses_2', { parentID: 'ses_1' });
    server.sessions.set('ses_3', { parentID: 'ses_2' });
    await untilRunning(server, session.stream('x', { onPermission: decide }));
    server.ask(permission('per_1', 'ses_3'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    expect(decide).toHaveBeenCalledTimes(1);
  });

  it('answers for the children of a session, by the nearest policy', async () => {
    const said: string[] = [];
    const { server, repo, session } = setUp();
    server.sessions.set('ses_2', { parentID: 'ses_1' });
    const say = (word: string) => (): PermissionDecision => {
      said.push(word);
      return 'allow';
    };
    server.sessions.set('ses_3', { parentID: 'ses_1' });
    await repo.sessions.session('ses_2').refresh();
    await session.refresh();
    session.permissionPolicy = say('parent');
    repo.sessions.session('ses_2').permissionPolicy = say('child');
    repo.permissions.policy = say('repo');
    await untilRunning(server, session.stream('x'));
    server.ask(permission('per_1', 'ses_2'));
    server.ask(permission('per_2', 'ses_1'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    expect(said).toEqual(['child', 'parent']);
    server.ask(permission('per_3', 'ses_3'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    expect(said).toEqual(['child', 'parent', 'parent']);
  });

  it('takes an ask from the policy above one that says ask', async () => {
    const { server, session } = setUp({ permissions: 'allow' });
    session.permissionPolicy = 'ask';
    const turn = session.stream('x');
    await untilRunning(server, turn);
    server.ask(permission('per_1'));
    for await (const step of turn) {
      expect(step).toMatchObject({ type: 'permission', request: permission('per_1') });
      break;
    }
    expect(server.permissions).toHaveLength(1);
  });

  it('answers once after a reconnect, also what was asked while the stream was down', async () => {
    const decide = vi.fn(() => 'allow' as const);
    const { server, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: decide }));
    server.cut();
    server.permissions.push(permission('per_1'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]), { timeout: 5_000 });
    server.event('permission.asked', permission('per_1'));
    server.ask(permission('per_2'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    expect(decide).toHaveBeenCalledTimes(2);
  });

  it.each<[unknown, string]>([
    ['maybe', `Expected policy to be 'ask', a function, { decide }, 'allow', 'always', 'deny', 'stop'`],
    [42, 'got 42'],
    [null, 'got null'],
    [{ deny: '' }, 'got {"deny":""}'],
    [{ decide: 'allow' }, 'Expected policy.decide to be a function, got "allow"'],
    [{ decide: () => 'allow', timeoutMs: -1 }, 'Expected policy.timeoutMs to be a positive number'],
    [{ decide: () => 'allow', otherwise: 'perhaps' }, 'Expected policy.otherwise to be'],
  ])('refuses %j as a policy', (value, message) => {
    const { repo, session } = setUp();
    const set = (): void => {
      repo.permissions.policy = value as PermissionPolicy;
    };
    expect(set).toThrow(message);
    expect(repo.permissions.policy).toBeUndefined();
    expect(() => session.stream('x', { onPermission: value as PermissionPolicy })).toThrow(Error);
    expect(() => setUp({ permissions: value as PermissionPolicy })).toThrow(Error);
  });

  it('refuses allow as a policy for questions', () => {
    const { repo } = setUp();
    expect(() => {
      repo.questions.policy = 'allow' as unknown as QuestionPolicy;
    }).toThrow(`{ deny: message } or { answers }`);
    expect(() => setUp({ policyScope: 'mine' as 'own' })).toThrow(/'own' or 'all', got "mine" \(string\)/);
  });

  it('returns the policy that was set', () => {
    const { repo, session } = setUp();
    const policy = { decide: () => 'allow' as const, timeoutMs: 5 };
    session.permissionPolicy = policy;
    session.questionPolicy = 'stop';
    repo.permissions.policy = 'deny';
    expect(repo.sessions.session('ses_1').permissionPolicy).toBe(policy);
    expect(session.questionPolicy).toBe('stop');
    expect(repo.permissions.policy).toBe('deny');
    expect(repo.questions.policy).toBeUndefined();
  });
});

describe('what is pending', () => {
  it('lists nothing that an aborted turn asked', async () => {
    const { server, repo } = setUp();
    server.permissions.push(permission('per_1'), permission('per_2', 'ses_2'));
    server.busy.add('ses_2');
    expect((await repo.permissions.pending()).map((ask) => ask.request.id)).toEqual(['per_2']);
    server.questions.push(question('que_1'), question('que_2', 'ses_2'));
    expect((await repo.questions.pending()).map((ask) => ask.request.id)).toEqual(['que_2']);
  });

  it('answers a pending ask in its own directory', async () => {
    const { server, repo } = setUp();
    server.permissions.push(permission('per_1'));
    server.busy.add('ses_1');
    const [ask] = await repo.permissions.pending();
    expect(await ask?.deny('no')).toBe('answered');
    expect(await ask?.deny('no')).toBe('gone');
    expect(server.requests.at(-1)).toEqual({
      method: 'POST',
      path: '/permission/per_1/reply',
      directory: DIRECTORY,
      body: { reply: 'reject', message: 'no' },
    });
  });

  it('rejects with any other refusal than that an ask is gone', async () => {
    const { server, repo } = setUp();
    server.permissions.push(permission('per_1'));
    server.busy.add('ses_1');
    const [ask] = await repo.permissions.pending();
    server.answer('POST /permission/per_1/reply', () => new Response('no such page', { status: 404 }));
    await expect(ask?.allow()).rejects.toThrow(RequestError);
  });

  it('lists what is pending within the time limit of the caller', async () => {
    const { server, repo } = setUp();
    const asked = deferred();
    server.answer('GET /permission', () => {
      asked.resolve();
      return new Promise(() => undefined);
    });
    const caller = new AbortController();
    const pending = repo.permissions.pending({ signal: caller.signal });
    await asked.promise;
    caller.abort('enough');
    await expect(pending).rejects.toBe('enough');
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });
});

describe('after a gap', () => {
  const LISTS = ['GET /permission', 'GET /question'];
  const counts = (server: FakeOpenCode): number[] => LISTS.map((list) => server.count(list));

  it('reads what is pending once after a gap for turns, policies and subscribers together', async () => {
    const decide = vi.fn(() => 'allow' as const);
    const { server, repo, session } = setUp({ permissions: decide });
    await using events = repo.events({ types: ['permission.asked'] });
    await events.ready;
    await untilRunning(server, session.stream('x'));
    await vi.waitFor(() => expect(counts(server)).toEqual([1, 1]));
    server.cut();
    server.permissions.push(permission('per_1'));
    for await (const { type } of events) if (type === 'jarvis.gap') break;
    await vi.waitFor(() => expect(server.permissions).toEqual([]));
    await session.refresh();
    expect(counts(server)).toEqual([2, 2]);
    expect(decide).toHaveBeenCalledTimes(1);
  });

  it('reads what is pending once after a gap where only a policy is at work', async () => {
    const { server, warn, repo, session } = setUp();
    repo.permissions.policy = 'allow';
    await session.refresh();
    await vi.waitFor(() => expect(counts(server)).toEqual([1, 1]));
    server.cut();
    server.busy.add('ses_1');
    await vi.waitFor(() => expect(counts(server)).toEqual([2, 2]), { timeout: 5_000 });
    await session.refresh();
    expect(counts(server)).toEqual([2, 2]);
    expect(warn.mock.calls.map(([message]) => message)).toEqual(['event stream ended']);
  });

  it('reads what is pending again when the first read after a gap fails', async () => {
    const { server, session } = setUp();
    await untilRunning(server, session.stream('x', { onPermission: 'allow' }));
    let isFirst = true;
    server.answer('GET /permission', (request) => {
      if (!isFirst) return server.usual(request);
      isFirst = false;
      return new Response('', { status: 500 });
    });
    server.cut();
    server.permissions.push(permission('per_1'));
    await vi.waitFor(() => expect(server.permissions).toEqual([]), { timeout: 5_000 });
  });

  it('reads what is pending again when nothing answers after a gap', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { server, session } = setUp();
    session.stream('x', { onPermission: 'allow' }).result.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.busy).toContain('ses_1');
    // The reading of the registry, and the first two of the asks.
    let asked = 0;
    server.answer('GET /permission', (request) =>
      ++asked > 3 ? server.usual(request) : new Promise(() => undefined),
    );
    server.cut();
    server.permissions.push(permission('per_1'));
    await vi.advanceTimersByTimeAsync(40_000);
    expect(server.permissions).toEqual([]);
  });

  it('closes after a gap what nobody asks any more', async () => {
    const asked = deferred<AbortSignal>();
    const { server, session } = setUp();
    const onPermission: PermissionPolicy = (_request, { signal }) => {
      asked.resolve(signal);
      return new Promise(() => undefined);
    };
    await untilRunning(server, session.stream('x', { onPermission }));
    server.ask(permission('per_1'));
    const signal = await asked.promise;
    server.cut();
    server.permissions.splice(0, Infinity);
    await vi.waitFor(() => expect(signal.aborted).toBe(true), { timeout: 5_000 });
  });

  it('ends the pause before the next read when the client is closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { server, warn, jarvis, repo, session } = setUp();
    server.answer('GET /permission', () => new Response('', { status: 500 }));
    repo.permissions.policy = 'allow';
    await session.refresh();
    for (let ms = 0; ms < 2_000 && warn.mock.calls.length === 0; ms += 10)
      await vi.advanceTimersByTimeAsync(10);
    expect(warn).toHaveBeenCalledWith('could not read the open requests again', expect.anything());
    await jarvis.close();
    expect(vi.getTimerCount()).toBe(0);
    expect(server.count('GET /permission')).toBe(1);
  });
});
