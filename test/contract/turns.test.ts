import { getEventListeners } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  filePart,
  JarvisError,
  readTurn,
  TimeoutError,
  TurnError,
  type JarvisOpenCode,
  type RepoClient,
  type Session,
  type Turn,
  type TurnStep,
} from 'jarvis-opencode';
import { empty, fail, hang, text, tool, wait, waitFor } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { gate } from './helpers.js';
import { worlds, type World } from './worlds.js';

const PATIENCE = { timeout: 20_000, interval: 10 };
const echo = tool('bash', { command: 'echo listed', description: 'List' }, 'listed\n');

describe.each(worlds)('turns in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(() => [text('ok')]));

  /** Idle again, and able to answer. */
  async function expectUsable(sessionID: string): Promise<void> {
    await vi.waitFor(async () => expect(await repo.sessions.status()).toEqual({}), PATIENCE);
    world.script(() => [text('still here')]);
    expect((await repo.sessions.session(sessionID).prompt('Are you there?')).text).toBe('still here');
  }

  /** The turn of the prompt 'first', as soon as it has come to a step of a type. */
  async function firstTurn(session: Session, type: TurnStep['type'] = 'text'): Promise<Turn> {
    const turn = session.stream('first');
    for await (const step of turn) if (step.type === type) break;
    return turn;
  }

  /** The same session, of another client. */
  async function ofAnotherClient({ id }: Session): Promise<Session> {
    return (await world.connect({ idle: false })).forRepo(repo.directory).sessions.session(id);
  }

  it('answers a turn with the text, the message, its parts and its usage', async () => {
    world.script(({ prompt }) => [text(`You said: ${prompt}`)]);
    const session = await repo.sessions.create();
    const turn = session.stream('Hello');
    const result = await turn.result;
    expect(result).toMatchObject({ sessionID: session.id, text: 'You said: Hello' });
    expect(result.message).toMatchObject({
      role: 'assistant',
      sessionID: session.id,
      parentID: turn.messageID,
      finish: 'stop',
      path: { cwd: repo.directory, root: repo.directory },
    });
    expect(result.message.error).toBeUndefined();
    expect(result.message.time.completed).toBeGreaterThanOrEqual(result.message.time.created);
    expect(result.parts.map((part) => part.type)).toEqual(['step-start', 'text', 'step-finish']);
    expect(result.tokens).toMatchObject({ input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } });
    expect(result.cost).toBeTypeOf('number');
    expect(result.messages).toEqual([{ info: result.message, parts: result.parts }]);

    const stored = await session.messages();
    expect(stored.map(({ info }) => info.id)).toEqual([turn.messageID, result.message.id]);
    expect(stored[0]?.parts).toMatchObject([{ type: 'text', text: 'Hello' }]);
    expect((await session.refresh()).tokens).toMatchObject({ input: 10, output: 5 });
  });

  it('streams the text of a turn in pieces that add up to the answer', async () => {
    const middle = gate();
    world.script(() => [
      text('Once upon a ', { chunks: 4 }),
      waitFor(middle.promise),
      text('time.', { chunks: 2 }),
    ]);
    const turn = (await repo.sessions.create()).stream('Tell me a story');
    let streamed = '';
    const steps: TurnStep[] = [];
    for await (const step of turn) {
      steps.push(step);
      if (step.type !== 'text') continue;
      streamed += step.delta;
      if (streamed === 'Once upon a ') middle.open();
    }
    const { text: answer, message } = await turn.result;
    expect(answer).toBe('Once upon a time.');
    expect(streamed).toBe(answer);
    const texts = steps.filter((step) => step.type === 'text');
    expect(new Set(texts.map((step) => step.messageID))).toEqual(new Set([message.id]));
    expect(new Set(texts.map((step) => step.partID)).size).toBe(1);
    expect(steps.at(-1)).toMatchObject({ type: 'usage', tokens: { input: 10, output: 5 } });
  });

  it('gives every reader of a turn every step, also one that begins when the turn has ended', async () => {
    world.script(() => [text('Let me look.'), echo, text('It is fine.', { chunks: 3 })]);
    const turn = (await repo.sessions.create()).stream('Look');
    const read = async (): Promise<string> => {
      let all = '';
      for await (const step of turn) all += step.type === 'text' ? step.delta : `<${step.type}>`;
      return all.replaceAll(/(<tool>)+/g, '<tool>');
    };
    const texts = async (): Promise<string> => {
      let all = '';
      for await (const piece of turn.text) all += piece;
      return all;
    };
    const steps = '<message>Let me look.<tool><usage><message>It is fine.<usage>';
    expect(await Promise.all([read(), read(), texts()])).toEqual([
      steps,
      steps,
      'Let me look.\n\nIt is fine.',
    ]);
    const { transcript } = await turn.result;
    expect([await read(), await texts()]).toEqual([steps, transcript]);
  });

  it('gives the steps, the result and the error of a turn through an HTTP response', async () => {
    world.script(() => [text('Let me look.'), echo, text('It is fine.')]);
    const session = await repo.sessions.create();
    const turn = session.stream('Look');
    const local: TurnStep[] = [];
    const remote = readTurn(turn.toResponse());
    const types: string[] = [];
    for await (const step of remote) types.push(step.type);
    for await (const step of turn) local.push(step);
    expect([...new Set(types)].sort()).toEqual([...new Set(local.map((step) => step.type))].sort());
    expect(await remote.result).toEqual(await turn.result);

    world.script(() => [fail('APIError', 'No such model')]);
    const failing = readTurn(session.stream('Fail').toResponse());
    await expect(failing.result).rejects.toMatchObject({
      code: 'REMOTE_TURN_FAILED',
      problem: { status: 502, code: 'TURN_FAILED', reason: 'provider' },
    });
  });

  it('reports the progress of a tool and counts every model call', async () => {
    world.script(() => [text('I will look.'), echo, text('Seen.')]);
    const turn = (await repo.sessions.create()).stream('Look');
    const tools: Extract<TurnStep, { type: 'tool' }>[] = [];
    for await (const step of turn) if (step.type === 'tool') tools.push(step);
    const { text: answer, messages, message, tokens } = await turn.result;

    expect([...new Set(tools.map((step) => step.status))]).toEqual(['pending', 'running', 'completed']);
    expect(new Set(tools.map((step) => step.callID)).size).toBe(1);
    expect(tools.at(-1)).toMatchObject({
      tool: 'bash',
      status: 'completed',
      input: { command: 'echo listed' },
      output: 'listed\n',
    });
    expect(tools[0]?.output).toBeUndefined();
    expect(answer).toBe('Seen.');
    expect(messages).toHaveLength(2);
    expect(messages.map(({ info }) => info.role === 'assistant' && info.finish)).toEqual([
      'tool-calls',
      'stop',
    ]);
    expect(messages.map(({ info }) => info.role === 'assistant' && info.parentID)).toEqual([
      turn.messageID,
      turn.messageID,
    ]);
    expect(messages[0]?.parts).toContainEqual(
      expect.objectContaining({ type: 'text', text: 'I will look.' }),
    );
    expect(messages[1]?.info).toEqual(message);
    expect(tokens).toMatchObject({ input: 20, output: 10 });
  });

  it('runs the tools that the model calls together in one message', async () => {
    const other = tool('bash', { command: 'echo other', description: 'Other' }, 'other\n');
    world.script(() => [echo, other, text('Both seen.')]);
    const { text: answer, messages } = await (await repo.sessions.create()).prompt('Look twice');
    expect(answer).toBe('Both seen.');
    expect(messages).toHaveLength(2);
    const outputs = messages[0]?.parts.flatMap((part) =>
      part.type === 'tool' && part.state.status === 'completed' ? [part.state.output] : [],
    );
    expect(outputs).toEqual(['listed\n', 'other\n']);
  });

  it('rejects a turn with the error of the model provider and leaves a usable session', async () => {
    world.script(() => [fail('APIError', 'the context is too long')]);
    const session = await repo.sessions.create();
    const turn = session.stream('Fail');
    const error: unknown = await turn.result.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TurnError);
    expect(error).toMatchObject({
      reason: 'provider',
      sessionID: session.id,
      messageID: turn.messageID,
      serverError: { name: 'APIError', data: { message: 'the context is too long', statusCode: 400 } },
    });
    await expect(async () => {
      for await (const _step of turn);
    }).rejects.toBe(error);
    await expectUsable(session.id);
  });

  it('repeats the model call after an empty response and answers the turn', async () => {
    world.script(() => [empty(), empty(), empty(), text('Well.')]);
    const { text: answer, messages } = await (await repo.sessions.create()).prompt('Speak');
    expect(answer).toBe('Well.');
    expect(messages.map(({ info }) => info.role === 'assistant' && info.finish)).toEqual([
      'unknown',
      'unknown',
      'unknown',
      'stop',
    ]);
  });

  it('stalls a turn when the model gives only empty responses', async () => {
    world.script(function* () {
      for (;;) yield empty();
    });
    const session = await repo.sessions.create();
    const error: unknown = await session.prompt('Speak').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'TurnError', reason: 'stalled' });
    // The real server goes on asking until the turn is aborted, so a busy machine may count more.
    const [, asked] = /asked (\d+) times in a row/.exec(String(error)) ?? [];
    expect(Number(asked)).toBeGreaterThanOrEqual(10);
    await vi.waitFor(() => expect(repo.stats().holds).toEqual([]), PATIENCE);
    await expectUsable(session.id);
  });

  it('ends a turn by turn.abort() in the middle and leaves a usable session', async () => {
    world.script(() => [text('Thinking'), hang()]);
    const session = await repo.sessions.create();
    const turn = session.stream('Think');
    for await (const step of turn) if (step.type === 'text') await turn.abort();
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', reason: 'aborted' });
    expect(await repo.sessions.status()).toEqual({});

    const [, cut] = await session.messages();
    expect(cut?.info).toMatchObject({ role: 'assistant', error: { name: 'MessageAbortedError' } });
    expect(cut?.parts).toContainEqual(expect.objectContaining({ type: 'text', text: 'Thinking' }));
    await expectUsable(session.id);
  });

  it('ends a turn by session.abort(), whoever calls it', async () => {
    world.script(() => [text('Thinking'), hang()]);
    const turn = (await repo.sessions.create()).stream('Think');
    for await (const step of turn) if (step.type === 'text') break;
    const elsewhere = (await world.connect({ idle: false })).forRepo(repo.directory);
    await elsewhere.sessions.session(turn.sessionID).abort();
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', reason: 'aborted' });
    await expectUsable(turn.sessionID);
  });

  it('ends a turn while a tool runs, and the tool with it', async () => {
    const sleep = tool('bash', { command: 'sleep 60', description: 'Sleep' }, '');
    world.script(() => [sleep, hang()]);
    const session = await repo.sessions.create();
    const turn = session.stream('Sleep');
    for await (const step of turn) {
      if (step.type === 'tool' && step.status === 'running') await turn.abort();
    }
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
    const messages = await session.messages();
    const tools = messages.flatMap(({ parts }) => parts.filter((part) => part.type === 'tool'));
    expect(tools).toMatchObject([{ tool: 'bash', state: { output: expect.stringContaining('aborted') } }]);
    await expectUsable(session.id);
  });

  it('ends a turn by a signal with its reason untouched and leaves a usable session', async () => {
    world.script(() => [text('Thinking'), hang()]);
    const session = await repo.sessions.create();
    const caller = new AbortController();
    const reason = { why: 'the tab was closed' };
    const turn = session.stream('Think', { signal: caller.signal });
    for await (const step of turn) if (step.type === 'text') caller.abort(reason);
    await expect(turn.result).rejects.toBe(reason);
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    await expectUsable(session.id);
  });

  /** A client, and the moment when the server has taken a prompt of it. */
  async function watchedClient(): Promise<{
    readonly client: JarvisOpenCode;
    readonly taken: Promise<void>;
  }> {
    const taken = gate();
    const client = await world.connect({
      idle: false,
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        if (response.status === 204) taken.open();
        return response;
      },
    });
    return { client, taken: taken.promise };
  }

  it('ends a turn by turn.abort() as soon as the server has the prompt, and breaks nothing', async () => {
    world.script(() => [text('Thinking'), hang()]);
    const { client, taken } = await watchedClient();
    const session = await client.forRepo(repo.directory).sessions.create();
    const turn = session.stream('Think');
    await taken;
    await turn.abort();
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
    await expectUsable(session.id);
    // The answer to the aborted prompt was cut off, or never begun.
    const answers = (await session.messages()).filter(
      ({ info }) => info.role === 'assistant' && info.parentID === turn.messageID,
    );
    for (const { info } of answers) expect(info).toMatchObject({ error: { name: 'MessageAbortedError' } });
  });

  it('survives the deletion of a session as soon as it is busy', async () => {
    world.script(() => [text('Thinking'), hang()]);
    const other = await repo.sessions.create();
    const session = await repo.sessions.create();
    const turn = session.stream('Think');
    await vi.waitFor(async () => expect(await repo.sessions.status()).not.toEqual({}), PATIENCE);
    await session.delete();
    await expect(turn.result).rejects.toThrow(JarvisError);
    await expectUsable(other.id);
  });

  it('refuses to begin a turn with an aborted signal', async () => {
    const session = await repo.sessions.create();
    const reason = new Error('too late');
    await expect(session.prompt('Hello', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await session.messages()).toEqual([]);
  });

  it('aborts a turn when its time limit is over', async () => {
    world.script(() => [text('Thinking'), hang()]);
    const session = await repo.sessions.create();
    await session.prompt('Think', { timeoutMs: 3_000 }).then(
      () => expect.unreachable(),
      (error: unknown) => expect(error).toBeInstanceOf(TimeoutError),
    );
    await expectUsable(session.id);
  });

  it('goes on with a turn that nobody reads any more', async () => {
    const end = gate();
    world.script(() => [text('Thinking '), waitFor(end.promise), text('done.')]);
    const turn = (await repo.sessions.create()).stream('Think');
    for await (const step of turn) if (step.type === 'text') break;
    end.open();
    expect((await turn.result).text).toBe('Thinking done.');
  });

  it('runs the turns of one session one after the other', async () => {
    const end = gate();
    world.script(({ prompt }) =>
      prompt === 'first' ? [text('One '), waitFor(end.promise), text('done.')] : [text('Two done.')],
    );
    const session = await repo.sessions.create();
    const first = session.stream('first');
    const second = repo.sessions.session(session.id).stream('second');
    for await (const step of first) if (step.type === 'text') break;
    expect((await session.messages()).filter(({ info }) => info.role === 'user')).toHaveLength(1);
    end.open();
    expect((await first.result).text).toBe('One done.');
    expect((await second.result).text).toBe('Two done.');
    const ids = (await session.messages()).map(({ info }) => info.id);
    const answers = [(await first.result).message.id, (await second.result).message.id];
    expect(ids).toEqual([first.messageID, answers[0], second.messageID, answers[1]]);
  });

  it('counts the time before a prompt is sent by queueTimeoutMs, and never sends a prompt that waits longer', async () => {
    const end = gate();
    world.script(() => [text('One '), waitFor(end.promise), text('done.')]);
    const session = await repo.sessions.create();
    const first = await firstTurn(session);
    const second = session.prompt('second', { queueTimeoutMs: 50 });
    await expect(second).rejects.toMatchObject({ name: 'TimeoutError', phase: 'queue', timeoutMs: 50 });
    const third = session.prompt('third', { timeoutMs: PATIENCE.timeout });
    end.open();
    expect((await first.result).text).toBe('One done.');
    expect((await third).text).toBe('One done.');
    expect((await session.messages()).filter(({ info }) => info.role === 'user')).toHaveLength(2);
  });

  it('aborts queued turns, which it never sends', async () => {
    const end = gate();
    world.script(() => [text('One '), waitFor(end.promise), text('done.')]);
    const session = await repo.sessions.create();
    const first = session.stream('first');
    const second = session.stream('second');
    for await (const step of first) if (step.type === 'text') break;
    await second.abort();
    await expect(second.result).rejects.toMatchObject({ reason: 'aborted' });
    end.open();
    expect((await first.result).text).toBe('One done.');
    expect(await session.messages()).toHaveLength(2);
  });

  it('waits with a prompt while another client keeps the session at work, unless it is told not to', async () => {
    const end = gate();
    world.script(({ prompt }) =>
      prompt === 'first' ? [text('One '), waitFor(end.promise), text('done.')] : [text('Two done.')],
    );
    const session = await repo.sessions.create();
    const first = await firstTurn(session);
    const lines: string[] = [];
    const info = (line: string): number => lines.push(line);
    const logger = { debug: () => undefined, info, warn: info, error: info };
    const client = (await world.connect({ idle: false, logger })).forRepo(repo.directory);
    const elsewhere = client.sessions.session(session.id);
    const rejected = elsewhere.prompt('refused', { whenBusy: 'reject' });
    await expect(rejected).rejects.toMatchObject({ name: 'TurnError', reason: 'busy' });
    await expect(elsewhere.prompt('late', { queueTimeoutMs: 300 })).rejects.toMatchObject({
      name: 'TimeoutError',
      phase: 'queue',
    });
    const caller = new AbortController();
    const aborted = elsewhere.stream('aborted', { signal: caller.signal });
    const types: string[] = [];
    for await (const step of aborted) {
      types.push(step.type);
      caller.abort('enough');
    }
    await expect(aborted.result).rejects.toBe('enough');
    expect(types).toEqual(['waiting']);
    expect(lines).toContainEqual(expect.stringContaining('waits until it is idle'));
    const second = elsewhere.stream('second');
    for await (const step of second) {
      if (step.type === 'waiting') end.open();
    }
    expect((await second.result).text).toBe('Two done.');
    expect((await first.result).text).toBe('One done.');
    const prompts = (await session.messages()).filter(({ info: { role } }) => role === 'user');
    expect(prompts.map(({ info: { id } }) => id)).toEqual([first.messageID, second.messageID]);
    expect(client.stats().holds).toEqual([]);
    expect(() => elsewhere.prompt('x', { whenBusy: 'queue' as 'wait' })).toThrow(TypeError);
  });

  it('answers a prompt that waited for a turn which fails, and fails that turn by its own error', async () => {
    const end = gate();
    world.script(({ prompt }) =>
      prompt === 'first' ? [waitFor(end.promise), fail('APIError', 'refused')] : [text('Two done.')],
    );
    const session = await repo.sessions.create();
    const first = await firstTurn(session, 'message');
    const elsewhere = await ofAnotherClient(session);
    const second = elsewhere.stream('second');
    for await (const step of second) if (step.type === 'waiting') end.open();
    expect((await second.result).text).toBe('Two done.');
    await expect(first.result).rejects.toMatchObject({ name: 'TurnError', reason: 'provider' });
  });

  it('ends the turn that is aborted, and not the prompt that waited for that', async () => {
    world.script(({ prompt }) =>
      prompt === 'first'
        ? [text('One '), waitFor(new Promise(() => undefined))]
        : [text('Two '), wait(1_000), text('done.')],
    );
    const session = await repo.sessions.create();
    const first = await firstTurn(session);
    const elsewhere = await ofAnotherClient(session);
    const joined = await elsewhere.attach();
    const second = elsewhere.stream('second');
    for await (const step of second) {
      if (step.type === 'waiting') await Promise.all([joined?.abort(), first.abort()]);
    }
    expect((await second.result).text).toBe('Two done.');
    await expect(first.result).rejects.toMatchObject({ name: 'TurnError', reason: 'aborted' });
    await expect(joined?.result).rejects.toMatchObject({ name: 'TurnError', reason: 'aborted' });
  });

  it('sends a prompt into the turn that another client runs when it is told to join', async () => {
    const end = gate();
    world.script(() => [text('One '), waitFor(end.promise), text('done.')]);
    const session = await repo.sessions.create();
    const first = await firstTurn(session);
    const elsewhere = await ofAnotherClient(session);
    const second = elsewhere.prompt('second', { whenBusy: 'join' });
    await vi.waitFor(async () => {
      expect((await session.messages()).filter(({ info }) => info.role === 'user')).toHaveLength(2);
    }, PATIENCE);
    end.open();
    expect((await first.result).text).toBe('One done.');
    expect((await second).text).not.toBe('');
  });

  it('joins the turn that another client runs: what is stored of it first, then what comes', async () => {
    const end = gate();
    world.script(() => [text('Let me look.'), echo, text('It is '), waitFor(end.promise), text('fine.')]);
    const session = await repo.sessions.create();
    const turn = session.stream('Look');
    for await (const step of turn) if (step.type === 'text' && step.delta.endsWith('is ')) break;
    const elsewhere = (await world.connect({ idle: false })).forRepo(repo.directory);
    const joined = await elsewhere.sessions.session(session.id).attach();
    expect(joined).toMatchObject({ sessionID: session.id, messageID: turn.messageID });
    const first = await joined?.[Symbol.asyncIterator]().next();
    expect(first?.value).toMatchObject({ type: 'message' });
    end.open();
    const stepsOf = async (read: Turn | undefined): Promise<string> => {
      let all = '';
      for await (const step of read ?? []) all += step.type === 'text' ? step.delta : `<${step.type}>`;
      return all.replaceAll(/(<tool>)+/g, '<tool>');
    };
    expect(await stepsOf(joined)).toBe('<message>Let me look.<tool><usage><message>It is fine.<usage>');
    expect(await joined?.result).toEqual(await turn.result);
    expect(elsewhere.stats().holds).toEqual([]);
    expect(await session.attach()).toBeUndefined();
  });

  it('joins a turn that ends meanwhile whole or not at all', async () => {
    world.script(() => [text('Short.')]);
    const session = await repo.sessions.create();
    const elsewhere = await ofAnotherClient(session);
    for (let round = 0; round < 3; round++) {
      const turn = session.stream('Quick');
      const joining: Promise<Turn | undefined>[] = [];
      for await (const _step of turn) joining.push(elsewhere.attach());
      joining.push(elsewhere.attach());
      const result = await turn.result;
      for (const joined of await Promise.all(joining)) {
        if (joined === undefined) continue;
        let all = '';
        for await (const piece of joined.text) all += piece;
        expect([all, await joined.result]).toEqual(['Short.', result]);
      }
    }
  });

  it('leaves a turn that it has joined to itself, and aborts it when asked to', async () => {
    world.script(() => [text('Thinking'), hang()]);
    const session = await repo.sessions.create();
    const turn = session.stream('Think');
    for await (const step of turn) if (step.type === 'text') break;
    const elsewhere = await ofAnotherClient(session);
    const caller = new AbortController();
    const left = await elsewhere.attach({ signal: caller.signal });
    const late = await elsewhere.attach({ timeoutMs: 1 });
    await expect(late?.result).rejects.toMatchObject({ name: 'TimeoutError', timeoutMs: 1 });
    caller.abort('enough');
    await expect(left?.result).rejects.toBe('enough');
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    expect(Object.keys(await repo.sessions.status())).toContain(session.id);
    const joined = await elsewhere.attach();
    await joined?.abort();
    await expect(joined?.result).rejects.toMatchObject({ name: 'TurnError', reason: 'aborted' });
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', reason: 'aborted' });
    await expectUsable(session.id);
  });

  it('joins nothing in a session that is gone, in a client that is closed, and with wrong options', async () => {
    const session = await repo.sessions.create();
    const client = await world.connect({ idle: false });
    const other = client.forRepo(repo.directory).sessions.session(session.id);
    expect(await other.attach()).toBeUndefined();
    await expect(other.attach({ signal: AbortSignal.abort('no') })).rejects.toBe('no');
    await expect(other.attach({ timeoutMs: 0 })).rejects.toThrow(RangeError);
    await expect(other.attach({ priority: 1 } as object)).rejects.toThrow(TypeError);
    await session.delete();
    await expect(other.attach()).rejects.toMatchObject({ name: 'RequestError', status: 404 });
    await client.close();
    await expect(other.attach()).rejects.toMatchObject({ name: 'ClosedError' });
  });

  it('reads the result of the last turn that has ended from what is stored', async () => {
    const session = await repo.sessions.create();
    const elsewhere = await ofAnotherClient(session);
    expect(await elsewhere.lastResult()).toBeUndefined();
    await session.addContext('Only context');
    expect(await elsewhere.lastResult()).toBeUndefined();
    world.script(() => [text('Let me look.'), echo, text('It is fine.')]);
    const first = await session.prompt('Look');
    expect(await elsewhere.lastResult()).toEqual(first);

    world.script(() => [fail('APIError', 'No more money')]);
    const failure: unknown = await session.prompt('Fail').catch((error: unknown) => error);
    const { reason, serverError, messageID } = failure as TurnError;
    await expect(elsewhere.lastResult()).rejects.toMatchObject({ reason, serverError, messageID });

    const end = gate();
    world.script(() => [text('Second '), waitFor(end.promise), text('answer.')]);
    const second = session.stream('Again');
    for await (const step of second) if (step.type === 'text') break;
    await expect(elsewhere.lastResult()).rejects.toMatchObject({ messageID });
    end.open();
    const result = await second.result;
    expect(await elsewhere.lastResult()).toEqual(result);
  });

  it('runs the turns of two sessions at the same time', async () => {
    const end = gate();
    world.script(({ prompt }) => [text(`${prompt} `), waitFor(end.promise), text('done.')]);
    const turns = [(await repo.sessions.create()).stream('A'), (await repo.sessions.create()).stream('B')];
    for (const turn of turns) for await (const step of turn) if (step.type === 'text') break;
    expect(Object.keys(await repo.sessions.status()).sort()).toEqual(
      turns.map((turn) => turn.sessionID).sort(),
    );
    end.open();
    const results = await Promise.all(turns.map((turn) => turn.result));
    expect(results.map((result) => result.text)).toEqual(['A done.', 'B done.']);
  });

  it('takes parts, agent and model of a turn from the prompt', async () => {
    const session = await repo.sessions.create({ title: 'Kept' });
    world.script(({ prompt }) => [text(prompt.includes('Second line') ? 'both lines' : 'not all')]);
    const result = await session.prompt({
      agent: 'plan',
      parts: [
        { type: 'text', text: 'First line' },
        { type: 'text', text: 'Second line' },
      ],
    });
    expect(result.text).toBe('both lines');
    expect(result.message).toMatchObject({ agent: 'plan', mode: 'plan' });
    expect((await session.messages())[0]?.parts.map((part) => part.type)).toEqual(['text', 'text']);
    expect((await session.refresh()).title).toBe('Kept');
  });

  it('answers by the agent and the model of the session, unless the prompt names others', async () => {
    const created = await repo.sessions.create({ agent: 'plan', model: 'scripted/scripted' });
    const own = { agent: 'plan', providerID: 'scripted', modelID: 'scripted' };
    expect((await created.prompt('One')).message).toMatchObject(own);
    const parts = [{ type: 'text' as const, text: 'Two' }];
    expect((await created.prompt({ parts, agent: 'build' })).message.agent).toBe('build');
    expect((await created.prompt('Three')).message).toMatchObject(own);
    await created.addContext({ parts, agent: 'build' });
    expect((await created.prompt('Four')).message).toMatchObject(own);
    // Nothing is known of it here but what the server tells.
    const elsewhere = (await world.connect({ idle: false })).forRepo(repo.directory);
    expect((await elsewhere.sessions.session(created.id).prompt('Five')).message).toMatchObject(own);
  });

  it.each([
    ['scripted/scripted'],
    [{ providerID: 'scripted', modelID: 'scripted' }],
    [{ providerID: 'scripted', id: 'scripted' }],
  ])('takes a model as %j', async (model) => {
    const session = await repo.sessions.create({ model });
    expect(session.info?.model).toMatchObject({ providerID: 'scripted', id: 'scripted' });
    const { message } = await session.prompt({ parts: [{ type: 'text', text: 'Hello' }], model });
    expect(message).toMatchObject({ providerID: 'scripted', modelID: 'scripted' });
    await session.summarize(model);
  });

  it('stores a file part with its URL, its media type and its name', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'jarvis-file-'));
    const name = `a b%20ü#?+'.ts`;
    await writeFile(join(directory, name), 'one\ntwo\nthree\n');
    const session = await repo.sessions.create();
    const file = filePart(name, { repo: { directory }, lines: { start: 2, end: 3 } });
    const folder = filePart('.', { repo: { directory }, filename: 'the folder' });
    await session.prompt({ parts: [{ type: 'text', text: 'Read these' }, file, folder] });
    const [asked] = await session.messages();
    expect(asked?.parts.filter((part) => part.type === 'file')).toMatchObject([file, folder]);
    await rm(directory, { recursive: true });
  });
});
