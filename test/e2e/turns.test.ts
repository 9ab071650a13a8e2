import { getEventListeners } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  filePart,
  RequestError,
  TimeoutError,
  TurnError,
  type RepoClient,
  type Session,
  type TurnStep,
} from 'jarvis-opencode';
import { cut, httpError } from '../../src/testing/real/model-steps.js';
import { hang, usage, waitFor } from '../../src/testing/script/steps.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { reasoning, text, toolCall } from '../support/model-steps.js';
import { deferred } from '../support/wait.js';

let world: RealJarvis;
let repo: RepoClient;

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  const command = '---\ndescription: Count\nsubtask: true\nagent: general\n---\nCount $ARGUMENTS\n';
  const files = { '.opencode/command/count.md': command };
  repo = world.jarvis.forRepo((await world.repo({ files })).directory);
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => world.model.use(() => [text('ok')]));

/** The error a promise rejects with. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.fail(`expected a rejection, got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

describe('a turn', () => {
  it('answers a turn with what the server stores, in one model call', async () => {
    world.model.use(() => [reasoning('hm'), text('The answer is 42.', { chunks: 4 })]);
    const session = await repo.sessions.create({ title: 'one call' });
    const calls = world.model.calls;
    const result = await session.prompt('What is the answer?');
    expect(result.text).toBe('The answer is 42.');
    expect(world.model.calls - calls).toBe(1);
    const stored = await session.messages();
    expect(stored.map((message) => message.info.role)).toEqual(['user', 'assistant']);
    expect(stored[1]).toEqual({ info: result.message, parts: result.parts });
    expect(result.message.parentID).toBe(stored[0]?.info.id);
    expect(await session.message(result.message.id)).toEqual(stored[1]);
  });

  it('shows the model the lines of a file that the prompt names, and no more', async () => {
    const name = `a b%20ü#?+'.ts`;
    await writeFile(join(repo.directory, name), 'one\ntwo\nthree\nfour\n');
    const session = await repo.sessions.create();
    const parts = [
      { type: 'text' as const, text: 'Read it.' },
      filePart(name, { repo, lines: { start: 2, end: 3 } }),
    ];
    await session.prompt({ parts });
    const [asked] = await session.messages();
    const shown = asked?.parts.flatMap((part) => (part.type === 'text' ? part.text : [])).join('\n');
    expect(shown).toContain('2: two\n3: three\n');
    expect(shown).not.toMatch(/1: one|4: four/);
  });

  it('streams text, reasoning, tools and usage in order, and the deltas make up the stored text', async () => {
    world.model.use(({ step }) =>
      step === 0
        ? [reasoning('let me look'), toolCall('bash', { command: 'echo from-the-tool', description: 'Echo' })]
        : [text('It said: from-the-tool', { chunks: 5, delayMs: 5 })],
    );
    const session = await repo.sessions.create();
    const turn = session.stream('Run the tool.');
    const steps: TurnStep[] = [];
    for await (const step of turn) steps.push(step);
    const result = await turn.result;
    const deltas = steps.filter((step) => step.type === 'text');
    expect(deltas.map((step) => step.delta).join('')).toBe(result.text);
    expect(result.text).toBe('It said: from-the-tool');
    expect(
      steps
        .filter((step) => step.type === 'reasoning')
        .map((step) => step.delta)
        .join(''),
    ).toBe('let me look');
    const tools = steps.filter((step) => step.type === 'tool');
    expect(tools.at(-1)).toMatchObject({ tool: 'bash', status: 'completed', output: 'from-the-tool\n' });
    expect(steps.filter((step) => step.type === 'usage')).toHaveLength(2);
    expect(result.messages).toHaveLength(2);
    expect(result.messages.map((message) => message.info)).toContainEqual(result.message);
  });

  it('runs the prompts of one session one after the other, each with its own answer', async () => {
    world.model.use(({ prompt }) => [text(`re: ${prompt}`)]);
    const session = await repo.sessions.create();
    const results = await Promise.all(['one', 'two', 'three'].map((prompt) => session.prompt(prompt)));
    expect(results.map((result) => result.text)).toEqual(['re: one', 're: two', 're: three']);
  });

  it('runs the prompts of several sessions at the same time', async () => {
    const gates = [deferred(), deferred()];
    world.model.use(({ prompt }) => {
      gates[Number(prompt)]?.resolve();
      return [waitFor(Promise.all(gates.map((gate) => gate.promise))), text('both ran')];
    });
    const sessions = await Promise.all([repo.sessions.create(), repo.sessions.create()]);
    const results = await Promise.all(sessions.map((session, index) => session.prompt(String(index))));
    expect(results.map((result) => result.text)).toEqual(['both ran', 'both ran']);
  });

  it('releases the instance before a turn answers, so that it can be disposed at once', async () => {
    const session = await repo.sessions.create();
    await session.prompt('x');
    expect(await repo.dispose()).toMatchObject({ disposed: true });
  });

  it('leaves a cold instance usable when a turn is aborted before it has begun', async () => {
    const session = await repo.sessions.create();
    await repo.dispose();
    const turn = session.stream('x');
    const busy = repo.events({ types: ['session.status'], sessionID: session.id });
    for await (const event of busy) if (event.type === 'session.status') break;
    await turn.abort();
    await turn.result.catch(() => undefined);
    expect((await session.prompt('y')).text).toBe('ok');
  });

  it('goes on with a turn when the caller stops listening', async () => {
    const gate = deferred();
    world.model.use(() => [text('first '), waitFor(gate.promise), text('second')]);
    const session = await repo.sessions.create();
    const turn = session.stream('go on');
    for await (const step of turn) if (step.type === 'text') break;
    gate.resolve();
    expect((await turn.result).text).toBe('first second');
  });
});

describe('a turn that ends without an answer', () => {
  it('rejects a turn with reason provider and the error of the provider', async () => {
    world.model.use(() => [httpError(400, { error: { message: 'no such thing' } })]);
    const session = await repo.sessions.create();
    const error = await errorOf(session.prompt('x'));
    expect(error).toBeInstanceOf(TurnError);
    expect(error).toMatchObject({
      reason: 'provider',
      sessionID: session.id,
      serverError: { name: 'APIError' },
    });
    expect((error as Error).message).toContain('no such thing');
    world.model.use(() => [text('again')]);
    expect((await session.prompt('y')).text).toBe('again');
  });

  it('rejects a turn for an unknown agent, which the server only reports by an event', async () => {
    const session = await repo.sessions.create();
    const error = await errorOf(session.prompt({ agent: 'nobody', parts: [{ type: 'text', text: 'x' }] }));
    expect(error).toBeInstanceOf(TurnError);
    expect(error).toMatchObject({ reason: 'failed' });
    expect((await session.prompt('y')).text).toBe('ok');
  });

  it('rejects a turn for an unknown model', async () => {
    const session = await repo.sessions.create();
    const model = { providerID: 'scripted', modelID: 'nothing' };
    const error = await errorOf(session.prompt({ model, parts: [{ type: 'text', text: 'x' }] }));
    expect(error).toBeInstanceOf(TurnError);
    expect((error as Error).message).toContain('scripted/nothing');
    expect((error as Error).message).not.toContain('\n');
  });

  it('reports retries while the provider fails for a while', async () => {
    let calls = 0;
    world.model.use(() => (calls++ === 0 ? [text('half'), cut()] : [text('whole')]));
    const session = await repo.sessions.create();
    const turn = session.stream('x');
    const types = new Set<string>();
    for await (const step of turn) types.add(step.type);
    expect(types).toContain('retry');
    expect((await turn.result).text).toBe('whole');
  });

  it('ends a turn by turn.abort(), quietly for its reader, and leaves the session usable', async () => {
    world.model.use(() => [text('start'), hang()]);
    const session = await repo.sessions.create();
    const turn = session.stream('x');
    for await (const step of turn) if (step.type === 'text') await turn.abort();
    const error = await errorOf(turn.result);
    expect(error).toMatchObject({ name: 'TurnError', reason: 'aborted' });
    expect(await repo.sessions.status()).toEqual({});
    await turn.abort();
    world.model.use(() => [text('back')]);
    expect((await session.prompt('y')).text).toBe('back');
  });

  it('ends a turn when another client aborts it', async () => {
    world.model.use(() => [text('start'), hang()]);
    const session = await repo.sessions.create();
    const turn = session.stream('x');
    for await (const step of turn) {
      if (step.type === 'text') break;
    }
    await repo.sessions.session(session.id).abort();
    expect(await errorOf(turn.result)).toMatchObject({ name: 'TurnError', reason: 'aborted' });
  });

  it('rejects with the reason of the caller and aborts the turn on the server', async () => {
    world.model.use(() => [text('start'), hang()]);
    const session = await repo.sessions.create();
    const controller = new AbortController();
    const reason = { because: 'the user left' };
    const turn = session.stream('x', { signal: controller.signal });
    for await (const step of turn) if (step.type === 'text') controller.abort(reason);
    expect(await errorOf(turn.result)).toBe(reason);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    world.model.use(() => [text('free again')]);
    expect((await session.prompt('y')).text).toBe('free again');
  });

  it('never sends a turn whose signal aborts before it or while it waits in the queue', async () => {
    const gate = deferred();
    world.model.use(() => [waitFor(gate.promise), text('ok')]);
    const session = await repo.sessions.create();
    const calls = world.model.calls;
    const first = session.prompt('first');
    const queued = new AbortController();
    const second = session.prompt('second', { signal: queued.signal });
    const third = session.prompt('third', { signal: AbortSignal.abort('too late') });
    const fourth = session.stream('fourth');
    queued.abort('changed my mind');
    expect(await errorOf(second)).toBe('changed my mind');
    expect(await errorOf(third)).toBe('too late');
    await fourth.abort();
    expect(await errorOf(fourth.result)).toMatchObject({ reason: 'aborted' });
    gate.resolve();
    expect((await first).text).toBe('ok');
    const prompts = (await session.messages()).filter((message) => message.info.role === 'user');
    expect(prompts).toHaveLength(1);
    expect(world.model.calls - calls).toBe(1);
    expect(getEventListeners(queued.signal, 'abort')).toEqual([]);
  });

  it('rejects with TimeoutError when the time limit of the turn is over, and aborts the turn', async () => {
    world.model.use(() => [hang()]);
    const session = await repo.sessions.create();
    const error = await errorOf(session.prompt('x', { timeoutMs: 300 }));
    expect(error).toBeInstanceOf(TimeoutError);
    world.model.use(() => [text('next')]);
    expect((await session.prompt('y')).text).toBe('next');
  });

  it('rejects a turn as stalled when nothing happens for stallTimeoutMs, however long it has been at work before', async () => {
    world.model.use(() => [text('some '), text('work', { chunks: 4, delayMs: 100 }), hang()]);
    const session = await repo.sessions.create();
    const error = await errorOf(session.prompt('x', { stallTimeoutMs: 700 }));
    expect(error).toMatchObject({ name: 'TurnError', reason: 'stalled' });
    world.model.use(() => [text('next')]);
    expect((await session.prompt('y')).text).toBe('next');
  });

  it('rejects a turn with status 404 for a session that is gone', async () => {
    const session = await repo.sessions.create();
    await session.delete();
    const error = await errorOf(session.prompt('x'));
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ status: 404, serverError: 'NotFoundError' });
  });

  it('ends the turn of a session that is deleted while the turn runs', async () => {
    world.model.use(() => [text('start'), hang()]);
    const session = await repo.sessions.create();
    const turn = session.stream('x');
    const steps = turn[Symbol.asyncIterator]();
    await steps.next();
    await session.delete();
    const error = await errorOf(turn.result);
    expect([TurnError.name, RequestError.name]).toContain((error as Error).name);
    expect(await repo.sessions.status()).toEqual({});
  });

  it('ends the turn of a session that another client deletes while the turn runs', async () => {
    world.model.use(() => [text('start'), hang()]);
    const own = world.jarvis.forRepo((await world.repo()).directory);
    const session = await own.sessions.create();
    const turn = session.stream('x');
    const queued = session.stream('y');
    for await (const step of turn) if (step.type === 'text') break;
    await own.fetch(`${own.baseUrl}/session/${session.id}`, { method: 'DELETE' });
    // The server works on, and cannot be told to stop; what then cannot be stored it may try again for minutes.
    expect(await errorOf(turn.result)).toMatchObject({ name: 'RequestError', status: 404 });
    expect(await errorOf(queued.result)).toMatchObject({ name: 'RequestError', status: 404 });
    expect(Object.keys(await own.sessions.status())).toEqual([session.id]);
    await own.dispose({ force: true });
    expect(await own.sessions.status()).toEqual({});
  });

  it('refuses an invalid prompt', async () => {
    const session = await repo.sessions.create();
    expect(() => session.prompt({ parts: [] })).toThrow(TypeError);
    expect(() => session.prompt(42 as unknown as string)).toThrow(/Invalid prompt: .*expected/i);
    expect(() => session.prompt('x', { timeoutMs: -1 })).toThrow(RangeError);
  });
});

describe('a turn that goes on under another prompt', () => {
  /** Prompts a session past the client that runs its turn. */
  async function promptElsewhere(sessionID: string, prompt: string): Promise<void> {
    const { status } = await repo.fetch(`${repo.baseUrl}/session/${sessionID}/prompt_async`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ parts: [{ type: 'text', text: prompt }] }),
    });
    expect(status).toBe(204);
  }

  it.each<[string, (session: Session) => Promise<unknown>]>([
    ['another client has prompted', ({ id }) => promptElsewhere(id, 'more')],
    ['a context was added', (session) => session.addContext('more')],
  ])('waits for the end of a turn to answer it, although %s meanwhile', async (why, interfere) => {
    const session = await repo.sessions.create();
    const asked = deferred();
    world.model.use(({ prompt, step }) => {
      if (prompt !== 'more' && step === 0)
        return [toolCall('bash', { command: 'echo done', description: 'Echo' }), waitFor(asked.promise)];
      return [text(`the answer to ${prompt}`)];
    });
    const turn = session.stream(why);
    const streamed: string[] = [];
    const reading = (async () => {
      for await (const step of turn) if (step.type === 'text') streamed.push(step.delta);
    })();
    await world.model.waitForRequest(({ prompt }) => prompt === why);
    await interfere(session);
    asked.resolve();
    const result = await turn.result;
    expect(result.text).toBe('the answer to more');
    const stored = await session.messages();
    expect(result.messages).toEqual(stored.filter(({ info }) => info.role === 'assistant'));
    expect(result.messages).toHaveLength(2);
    await reading;
    expect(streamed.join('')).toBe(result.text);
  });

  it.each([
    [
      'it is full',
      [usage({ input: 199_000, output: 10 }), toolCall('bash', { command: 'true', description: 'Do' })],
    ],
    [
      'the provider says that it is',
      [httpError(400, { error: { code: 'context_length_exceeded', message: 'too long' } })],
    ],
  ])(
    'waits for the end of a turn to answer it, although the context was compacted when %s',
    async (_why, first) => {
      const session = await repo.sessions.create();
      await session.prompt('before');
      const answers = [first, [text('the summary')], [text('after it')]];
      world.model.use(() => answers.shift() ?? [text('too many')]);
      const turn = session.stream('go on');
      const streamed: string[] = [];
      for await (const step of turn) if (step.type === 'text') streamed.push(step.delta);
      const result = await turn.result;
      expect(result.text).toBe('after it');
      expect(streamed.join('')).toBe('after it');
      const stored = (await session.messages()).filter(({ info }) => info.role === 'assistant');
      expect(result.messages).toEqual(stored.slice(1));
      expect(result.messages.map(({ info }) => 'summary' in info && info.summary === true)).toEqual([
        false,
        true,
        false,
      ]);
      world.model.use(() => [text('and on')]);
      expect((await session.prompt('next')).text).toBe('and on');
    },
  );

  it('returns the answer to the prompt, not the reply to the server, when the context was compacted at the end of the turn', async () => {
    const session = await repo.sessions.create();
    await session.prompt('before');
    const full = usage({ input: 199_000, output: 10 });
    const answers = [[text('the answer'), full], [text('the summary')], [text('nothing left to do')]];
    world.model.use(() => answers.shift() ?? [text('too many')]);
    const turn = session.stream('ask');
    const streamed: string[] = [];
    for await (const step of turn) {
      if (step.type === 'message') streamed.push('');
      if (step.type === 'text') streamed.push((streamed.pop() ?? '') + step.delta);
    }
    const result = await turn.result;
    expect(result.text).toBe('the answer');
    expect(streamed).toEqual(['the answer', 'nothing left to do']);
    expect(result.transcript).toBe('the answer\n\nnothing left to do');
    const stored = (await session.messages()).filter(({ info }) => info.role === 'assistant');
    expect(result.messages).toEqual(stored.slice(1));
    expect(stored[1]).toEqual({ info: result.message, parts: result.parts });
  });

  it('rejects with reason format when the context was compacted after a tool and the prompt asked for an object', async () => {
    const session = await repo.sessions.create();
    const full = usage({ input: 199_000, output: 10 });
    const call = toolCall('bash', { command: 'true', description: 'Do' });
    const answers = [[call, full], [text('the summary')], [text('done')]];
    world.model.use(() => answers.shift() ?? [text('too many')]);
    const format = { schema: { type: 'object', properties: {} } };
    const outcome = await session.prompt('ask', { format }).catch((error: unknown) => error);
    expect(outcome).toMatchObject({ name: 'TurnError', reason: 'format' });
    world.model.use(() => [text('and on')]);
    expect((await session.prompt('next')).text).toBe('and on');
  });

  it('waits for the end of a turn to answer it, although its command ran as a subtask', async () => {
    world.model.use(({ prompt }) => [text(prompt.startsWith('Count') ? 'three' : 'They counted.')]);
    const session = await repo.sessions.create();
    const result = await session.command({ command: 'count', arguments: 'all' });
    expect(result.text).toBe('They counted.');
    expect(result.messages).toHaveLength(2);
  });
});

describe('what the server asks', () => {
  it('yields a permission as a step, and the turn goes on when it is answered', async () => {
    const session = await repo.sessions.create({
      permission: [{ permission: 'bash', pattern: '*', action: 'ask' }],
    });
    world.model.use(({ step }) =>
      step === 0 ? [toolCall('bash', { command: 'echo allowed', description: 'Echo' })] : [text('done')],
    );
    const turn = session.stream('x');
    for await (const step of turn) {
      if (step.type !== 'permission') continue;
      expect((await repo.permissions.list()).map((request) => request.id)).toEqual([step.request.id]);
      await repo.permissions.reply(step.request.id, { reply: 'once' });
    }
    const result = await turn.result;
    expect(result.text).toBe('done');
    const parts = result.messages.flatMap((message) => message.parts);
    expect(parts.find((part) => part.type === 'tool')).toMatchObject({
      state: { status: 'completed', output: 'allowed\n' },
    });
    expect(await repo.permissions.list()).toEqual([]);
  });

  it('ends the turn with the last message when the reader rejects a permission', async () => {
    const session = await repo.sessions.create({
      permission: [{ permission: 'bash', pattern: '*', action: 'ask' }],
    });
    world.model.use(() => [toolCall('bash', { command: 'echo no', description: 'Echo' })]);
    const turn = session.stream('x');
    for await (const step of turn) {
      if (step.type === 'permission') await repo.permissions.reply(step.request.id, { reply: 'reject' });
    }
    const { message } = await turn.result;
    expect(message.finish).toBe('tool-calls');
  });

  it('yields a question of the model as a step', async () => {
    const session = await repo.sessions.create();
    const question = {
      question: 'Which colour?',
      header: 'Colour',
      options: [
        { label: 'red', description: 'Red' },
        { label: 'blue', description: 'Blue' },
      ],
    };
    world.model.use(({ step }) =>
      step === 0 ? [toolCall('question', { questions: [question] })] : [text('noted')],
    );
    const turn = session.stream('x');
    for await (const step of turn) {
      if (step.type !== 'question') continue;
      expect(step.request.questions[0]?.question).toBe('Which colour?');
      expect((await repo.questions.list()).map((request) => request.id)).toEqual([step.request.id]);
      await repo.questions.reply(step.request.id, { answers: [['blue']] });
    }
    expect((await turn.result).text).toBe('noted');
  });
});

describe('a child session', () => {
  it('yields a child session as a step of the turn, in the same repository, and its activity holds the instance', async () => {
    const gate = deferred();
    const session = await repo.sessions.create();
    world.model.use(({ prompt, step }) => {
      if (prompt === 'delegate' && step === 0) {
        return [toolCall('task', { description: 'sub', prompt: 'child work', subagent_type: 'general' })];
      }
      if (prompt.includes('child work')) return [waitFor(gate.promise), text('child done')];
      return [text('parent done')];
    });
    const turn = session.stream('delegate');
    let child: string | undefined;
    for await (const step of turn) {
      if (step.type !== 'child' || step.status === 'ended') continue;
      child = step.sessionID;
      await world.model.waitForRequest((request) => request.prompt.includes('child work'));
      expect(world.jarvis.sessions.directoryOf(child)).toBe(repo.directory);
      const busy = [session.id, child].sort();
      await vi.waitFor(
        () => {
          const holds = repo.stats().holds.filter((hold) => hold.kind === 'session-busy');
          expect(holds.map((hold) => hold.detail).sort()).toEqual(busy);
        },
        { timeout: 20_000 },
      );
      gate.resolve();
    }
    expect(child).toMatch(/^ses_/);
    expect((await turn.result).text).toBe('parent done');
  });
});
