import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  JarvisOpenCode,
  TurnError,
  type JarvisOptions,
  type Logger,
  type PermissionAsk,
  type PermissionPolicy,
  type RepoClient,
  type Turn,
  type TurnStep,
} from 'jarvis-opencode';
import type { ModelStep } from '../../src/testing/real/model-steps.js';
import type { ModelTurn } from '../../src/testing/real/model-turn.js';
import { waitFor } from '../../src/testing/script/steps.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';
import { text, toolCall } from '../support/model-steps.js';
import { deferred, until } from '../support/wait.js';

const PASSWORD = 'asks';
const PATIENCE = { timeout: 20_000, interval: 50 };

const warn = vi.fn<Logger['warn']>();
const logger: Logger = { debug: () => undefined, info: () => undefined, warn, error: () => undefined };

let real: RealServerOptions;
let git: GitRepo;
let jarvis: JarvisOpenCode;
let repo: RepoClient;
const clients: JarvisOpenCode[] = [];

beforeAll(async () => {
  real = await realServerOptions({ config: { permission: { '*': 'allow', bash: 'ask' } } });
  git = await gitRepo();
  jarvis = await JarvisOpenCode.start({ ...real.startOptions, password: PASSWORD, idle: false, logger });
  repo = jarvis.forRepo(git.directory);
});
afterAll(async () => {
  await jarvis.close();
  await git.dispose();
  await real.dispose();
});
beforeEach(() => {
  warn.mockClear();
  real.model.use(bash('echo allowed'));
});
afterEach(async () => {
  repo.permissions.policy = undefined;
  repo.questions.policy = undefined;
  for (const client of clients.splice(0)) await client.close();
});

/** Another client of the same server. */
async function connect(options: JarvisOptions): Promise<RepoClient> {
  const client = await JarvisOpenCode.connect({
    url: jarvis.server.url,
    password: PASSWORD,
    idle: false,
    ...options,
  });
  clients.push(client);
  return client.forRepo(git.directory);
}

/** Calls the shell with each command at once, then says `done`. */
function bash(...commands: readonly string[]): (turn: ModelTurn) => ModelStep[] {
  return ({ step }) =>
    step === 0
      ? commands.map((command) => toolCall('bash', { command, description: command }))
      : [text('done')];
}

const COLOUR = {
  question: 'Which colour?',
  header: 'Colour',
  options: [
    { label: 'red', description: 'Red' },
    { label: 'blue', description: 'Blue' },
  ],
};

/** Asks the user once, then says `noted`. */
function asksColour({ step }: ModelTurn): ModelStep[] {
  return step === 0 ? [toolCall('question', { questions: [COLOUR] })] : [text('noted')];
}

/** What the tools of a turn returned, or their errors. */
async function outputsOf(turn: Turn): Promise<(string | undefined)[]> {
  const { messages } = await turn.result;
  return messages
    .flatMap((message) => message.parts)
    .flatMap((part) => {
      if (part.type !== 'tool') return [];
      return part.state.status === 'completed'
        ? part.state.output
        : [`error: ${String(Reflect.get(part.state, 'error'))}`];
    });
}

/** Reads the turn until it asks. */
async function nextPermission(turn: Turn): Promise<PermissionAsk> {
  for await (const step of turn) if (step.type === 'permission') return step;
  return expect.fail('the turn ended without asking');
}

/** Whatever the model was told last. */
function lastModelInput(): string {
  return JSON.stringify(real.model.requests().at(-1)?.messages.at(-1));
}

describe('a permission step', () => {
  it('runs the call that a permission step allows, and answers "gone" the second time', async () => {
    const session = await repo.sessions.create();
    const turn = session.stream('x');
    const outcomes: string[] = [];
    for await (const step of turn) {
      if (step.type !== 'permission') continue;
      expect(step.directory).toBe(repo.directory);
      expect(step.request).toMatchObject({ permission: 'bash', sessionID: session.id });
      outcomes.push(await step.allow(), await step.stop());
      outcomes.push(await repo.permissions.reply(step.request.id, { reply: 'reject' }));
    }
    expect(outcomes).toEqual(['answered', 'gone', 'gone']);
    expect(await outputsOf(turn)).toEqual(['allowed\n']);
  });

  it('tells the model why a permission was denied, and the model goes on', async () => {
    const turn = (await repo.sessions.create()).stream('x');
    expect(await (await nextPermission(turn)).deny('Use the tests instead.')).toBe('answered');
    expect((await turn.result).text).toBe('done');
    expect(lastModelInput()).toContain('Use the tests instead.');
    expect((await outputsOf(turn))[0]).toContain('error: ');
  });

  it('gives the model a default message with a denial that has none', async () => {
    const turn = (await repo.sessions.create()).stream('x');
    await (await nextPermission(turn)).deny();
    expect((await turn.result).text).toBe('done');
    expect(lastModelInput()).toContain('does not allow this');
    await expect((await nextPermissionOf()).deny(' ')).rejects.toThrow(TypeError);
  });

  it('stops the turn and all its other asks with one answer', async () => {
    real.model.use(bash('echo one', 'echo two'));
    const turn = (await repo.sessions.create()).stream('x');
    const asks: PermissionAsk[] = [];
    for await (const step of turn) {
      if (step.type === 'permission') asks.push(step);
      if (asks.length === 2) break;
    }
    expect(await asks[0]?.stop()).toBe('answered');
    const { message } = await turn.result;
    expect(message.finish).toBe('tool-calls');
    expect(await asks[1]?.allow()).toBe('gone');
    expect(await repo.permissions.pending()).toEqual([]);
  });

  it('drops a permission of an aborted turn, although the server still lists it', async () => {
    const turn = (await repo.sessions.create()).stream('x');
    const ask = await nextPermission(turn);
    expect((await repo.permissions.pending()).map(({ request }) => request)).toEqual([ask.request]);
    await turn.abort();
    await expect(turn.result).rejects.toThrow(TurnError);
    expect((await repo.permissions.list()).map(({ id }) => id)).toContain(ask.request.id);
    expect(await repo.permissions.pending()).toEqual([]);
    expect(await ask.allow()).toBe('gone');
    // A client that saw nothing of it.
    expect(await (await connect({})).permissions.pending()).toEqual([]);
  });

  it('revives no permission of an aborted turn with the next turn, also not for a client that saw none of it', async () => {
    const decide = vi.fn(() => 'allow' as const);
    const session = await repo.sessions.create();
    const first = session.stream('x');
    const old = await nextPermission(first);
    const other = await connect({});
    const [oldThere] = await other.permissions.pending();
    await first.abort();
    await first.result.catch(() => undefined);
    const second = session.stream('y');
    const ask = await nextPermission(second);
    expect((await repo.permissions.list()).map(({ id }) => id)).toContain(old.request.id);
    // Sent, it would reject what the second turn asks.
    expect(await oldThere?.stop()).toBe('gone');
    expect((await other.permissions.pending()).map(({ request }) => request)).toEqual([ask.request]);
    const helpful = await connect({ permissions: decide, policyScope: 'all' });
    await helpful.warm();
    expect(await outputsOf(second)).toEqual(['allowed\n']);
    expect(decide).toHaveBeenCalledTimes(1);
  });

  it('answers "gone" for an unknown request', async () => {
    expect(await repo.permissions.reply('per_unknown', { reply: 'once' })).toBe('gone');
    expect(await repo.questions.reply('que_unknown', { answers: [['a']] })).toBe('gone');
    expect(await repo.questions.reject('que_unknown')).toBe('gone');
  });

  /** An ask that is never sent. */
  async function nextPermissionOf(): Promise<PermissionAsk> {
    const turn = (await repo.sessions.create()).stream('x');
    const ask = await nextPermission(turn);
    void turn.abort();
    await turn.result.catch(() => undefined);
    return ask;
  }
});

describe('a policy', () => {
  it('answers by a policy without a step', async () => {
    const steps: TurnStep[] = [];
    const turn = (await repo.sessions.create()).stream('x', { onPermission: 'allow' });
    for await (const step of turn) steps.push(step);
    expect(await outputsOf(turn)).toEqual(['allowed\n']);
    expect(steps.map((step) => step.type)).not.toContain('permission');
  });

  it('denies by a policy, which lets the model go on or stops the turn', async () => {
    const session = await repo.sessions.create();
    expect((await session.prompt('x', { onPermission: 'deny' })).text).toBe('done');
    const { message, text: answer } = await session.prompt('y', { onPermission: 'stop' });
    expect(message.finish).toBe('tool-calls');
    expect(answer).toBe('');
  });

  it('allows always by a policy, also for later calls of the repository', async () => {
    const other = await gitRepo();
    try {
      const calls = vi.fn(() => 'always' as const);
      const session = await jarvis.forRepo(other.directory).sessions.create();
      expect((await session.prompt('x', { onPermission: calls })).text).toBe('done');
      expect((await session.prompt('y', { onPermission: calls })).text).toBe('done');
      expect(calls).toHaveBeenCalledTimes(1);
    } finally {
      await jarvis.forRepo(other.directory).dispose();
      await other.dispose();
    }
  });

  it('decides by a policy function, and by its default after a time limit', async () => {
    const session = await repo.sessions.create();
    const seen: string[] = [];
    const first = session.stream('x', {
      onPermission: async ({ patterns }, { directory }) => {
        await Promise.resolve();
        seen.push(directory, ...patterns);
        return { deny: 'Not today.' };
      },
    });
    expect((await first.result).text).toBe('done');
    expect(seen).toEqual([repo.directory, 'echo allowed']);
    expect(lastModelInput()).toContain('Not today.');

    const ended = deferred<unknown>();
    const second = session.stream('y', {
      onPermission: {
        decide: (_request, { signal }) => {
          signal.addEventListener('abort', () => ended.resolve(signal.reason));
          return new Promise(() => undefined);
        },
        timeoutMs: 50,
        otherwise: 'allow',
      },
    });
    expect(await outputsOf(second)).toEqual(['allowed\n']);
    expect(await ended.promise).toMatchObject({ name: 'TimeoutError', phase: 'ask' });
  });

  it('logs a policy that fails, and denies', async () => {
    const session = await repo.sessions.create();
    const failing: PermissionPolicy[] = [
      () => Promise.reject(new Error('no idea')),
      (() => 'perhaps') as unknown as PermissionPolicy,
    ];
    for (const onPermission of failing) {
      warn.mockClear();
      expect((await session.prompt('x', { onPermission })).text).toBe('done');
      expect(lastModelInput()).toContain('does not allow this');
      expect(warn).toHaveBeenCalledWith('policy failed, its default decides', expect.anything());
    }
  });

  it('leaves a request to the reader of the turn when the policy says so', async () => {
    const turn = (await repo.sessions.create()).stream('x', { onPermission: () => 'ask' });
    expect(await (await nextPermission(turn)).allow()).toBe('answered');
    expect(await outputsOf(turn)).toEqual(['allowed\n']);
  });

  it('prefers the policy of the turn to those of the session, the repository and the client', async () => {
    const said: string[] = [];
    const policy = (level: string): PermissionPolicy => {
      return () => {
        said.push(level);
        return 'allow';
      };
    };
    const mine = await connect({ permissions: policy('client') });
    const session = await mine.sessions.create();
    await session.prompt('1');
    mine.permissions.policy = policy('repo');
    await session.prompt('2');
    session.permissionPolicy = policy('session');
    await mine.sessions.session(session.id).prompt('3');
    await session.prompt('4', { onPermission: policy('turn') });
    session.permissionPolicy = undefined;
    await session.prompt('5');
    expect(said).toEqual(['client', 'repo', 'session', 'turn', 'repo']);
  });

  it('applies the policy to what child sessions ask', async () => {
    real.model.use(({ prompt, step }) => {
      if (prompt === 'delegate' && step === 0) {
        return [toolCall('task', { description: 'sub', prompt: 'child work', subagent_type: 'general' })];
      }
      if (prompt.includes('child work') && step === 0)
        return [toolCall('bash', { command: 'echo from-the-child', description: 'Echo' })];
      return [text(prompt.includes('child work') ? 'child done' : 'parent done')];
    });
    const session = await repo.sessions.create();
    const asked: string[] = [];
    const steps: TurnStep[] = [];
    const turn = session.stream('delegate', {
      onPermission: ({ sessionID }) => {
        asked.push(sessionID);
        return 'allow';
      },
    });
    for await (const step of turn) steps.push(step);
    expect((await turn.result).text).toBe('parent done');
    const children = steps.filter((step) => step.type === 'child');
    expect(children.map((step) => step.status)).toEqual(['started', 'ended']);
    const [child] = children;
    expect(asked).toEqual([child?.sessionID]);
    expect(steps).toContainEqual(
      expect.objectContaining({ type: 'tool', sessionID: child?.sessionID, output: 'from-the-child\n' }),
    );

    const again = session.stream('delegate');
    const ask = await nextPermission(again);
    expect(ask.request.sessionID).not.toBe(session.id);
    expect(await ask.allow()).toBe('answered');
    expect((await again.result).text).toBe('parent done');
  });

  it('answers for sessions of other clients only with policyScope "all"', async () => {
    const decide = vi.fn(() => 'allow' as const);
    const careful = await connect({ permissions: decide });
    await careful.warm();
    const events = careful.events({ types: ['permission.asked'] });
    await events.ready;
    const turn = (await repo.sessions.create()).stream('x');
    const steps = turn[Symbol.asyncIterator]();
    for await (const event of events) if (event.type === 'permission.asked') break;
    expect(await careful.permissions.pending()).toHaveLength(1);
    expect(decide).not.toHaveBeenCalled();

    // Also what was asked before it came.
    const helpful = await connect({ permissions: decide, policyScope: 'all' });
    await helpful.warm();
    expect(await outputsOf(turn)).toEqual(['allowed\n']);
    expect(decide).toHaveBeenCalledTimes(1);
    await steps.return(undefined);
  });

  it('answers for every session of the repository on a server that this process started', async () => {
    const decide = vi.fn(() => 'allow' as const);
    repo.permissions.policy = decide;
    const other = await connect({});
    const session = await other.sessions.create();
    expect((await session.prompt('x')).text).toBe('done');
    expect(decide).toHaveBeenCalledTimes(1);
  });
});

describe('a question', () => {
  beforeEach(() => real.model.use(asksColour));

  it('yields a question as a step with answers', async () => {
    const turn = (await repo.sessions.create()).stream('x');
    for await (const step of turn) {
      if (step.type !== 'question') continue;
      expect((await repo.questions.pending()).map(({ request }) => request)).toEqual([step.request]);
      await expect(step.answer([])).rejects.toThrow(/list of texts for each of 1 questions/);
      expect(await step.answer([['blue']])).toBe('answered');
      expect(await step.answer([['red']])).toBe('gone');
    }
    expect((await turn.result).text).toBe('noted');
    expect(lastModelInput()).toContain('blue');
  });

  it('denies a question, and the model goes on', async () => {
    const session = await repo.sessions.create();
    expect((await session.prompt('x', { onQuestion: { deny: 'Ask me tomorrow.' } })).text).toBe('noted');
    expect(lastModelInput()).toContain('Ask me tomorrow.');
    session.questionPolicy = 'deny';
    expect((await session.prompt('y')).text).toBe('noted');
    expect(lastModelInput()).toContain('Decide for yourself');
  });

  it('stops a question, which ends the turn', async () => {
    repo.questions.policy = 'stop';
    const { text: answer, message } = await (await repo.sessions.create()).prompt('x');
    expect(answer).toBe('');
    expect(message.finish).toBe('tool-calls');
  });

  it('denies a question when the fixed answer of the policy does not fit', async () => {
    const onQuestion = { answers: [['red'], ['blue']] };
    expect((await (await repo.sessions.create()).prompt('x', { onQuestion })).text).toBe('noted');
    expect(lastModelInput()).toContain('Decide for yourself');
    expect(warn).toHaveBeenCalledWith('decision not sent', expect.anything());
  });
});

describe('an ask that nobody hears', () => {
  it('logs an ask that nobody reads, which can still be answered', async () => {
    const session = await repo.sessions.create();
    const result = session.prompt('x');
    await vi.waitFor(() => expect(warn).toHaveBeenCalled(), PATIENCE);
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('nobody listens'), expect.objectContaining({ sessionID: session.id })],
    ]);
    const [ask] = await repo.permissions.pending();
    expect(await ask?.allow()).toBe('answered');
    expect((await result).text).toBe('done');
  });
});

describe('an ask that comes while the event stream is down', () => {
  /** A client whose event stream can be cut and kept down. */
  async function flaky(options: JarvisOptions): Promise<{ mine: RepoClient; cut(): void; mend(): void }> {
    let stream = new AbortController();
    let up = deferred();
    up.resolve();
    const mine = await connect({
      ...options,
      fetch: async (input, init) => {
        const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
        if (!url.endsWith('/global/event')) return fetch(input, init);
        await up.promise;
        stream = new AbortController();
        const signal = AbortSignal.any([stream.signal, ...(init?.signal ? [init.signal] : [])]);
        return fetch(input, { ...init, signal });
      },
    });
    return {
      mine,
      cut: () => {
        up = deferred();
        stream.abort(new Error('cut'));
      },
      mend: () => up.resolve(),
    };
  }

  it('hands an ask from a stream gap to the policy, once', async () => {
    const decide = vi.fn(() => 'allow' as const);
    const { mine, cut, mend } = await flaky({ permissions: decide });
    const gate = deferred();
    real.model.use(({ step }) =>
      step === 0
        ? [waitFor(gate.promise), toolCall('bash', { command: 'echo late', description: 'Late' })]
        : [text('done')],
    );
    const session = await mine.sessions.create();
    const turn = session.stream('late');
    await real.model.waitForRequest(({ prompt }) => prompt === 'late');
    cut();
    gate.resolve();
    await until(async () => (await repo.permissions.pending()).length > 0);
    expect(decide).not.toHaveBeenCalled();
    mend();
    expect(await outputsOf(turn)).toEqual(['late\n']);
    expect(decide).toHaveBeenCalledTimes(1);
  });

  it('hands an ask from a stream gap to the reader of the turn once, also an ask of a child', async () => {
    const { mine, cut, mend } = await flaky({});
    const gate = deferred();
    real.model.use(async function* ({ prompt, step }): AsyncGenerator<ModelStep> {
      if (prompt === 'delegate late' && step === 0) {
        yield waitFor(gate.promise);
        yield toolCall('task', { description: 'sub', prompt: 'late child', subagent_type: 'general' });
      } else if (prompt.includes('late child') && step === 0)
        yield toolCall('bash', { command: 'echo child', description: 'Late' });
      else yield text('done');
      await Promise.resolve();
    });
    const session = await mine.sessions.create();
    const turn = session.stream('delegate late');
    await real.model.waitForRequest(({ prompt }) => prompt === 'delegate late');
    cut();
    gate.resolve();
    await until(async () => (await repo.permissions.pending()).length > 0);
    mend();
    const asked: string[] = [];
    for await (const step of turn) {
      if (step.type !== 'permission') continue;
      asked.push(step.request.sessionID);
      expect(await mine.permissions.pending()).toEqual([step]);
      await step.allow();
    }
    expect((await turn.result).text).toBe('done');
    expect(asked).toHaveLength(1);
    expect(asked).not.toEqual([session.id]);
  });

  it('drops an ask that was answered during a stream gap', async () => {
    const { mine, cut, mend } = await flaky({});
    const session = await mine.sessions.create();
    const turn = session.stream('x');
    const ask = await nextPermission(turn);
    cut();
    expect(await repo.permissions.reply(ask.request.id, { reply: 'once' })).toBe('answered');
    mend();
    expect(await ask.stop()).toBe('gone');
    expect(await mine.permissions.pending()).toEqual([]);
    expect(await outputsOf(turn)).toEqual(['allowed\n']);
  });
});
