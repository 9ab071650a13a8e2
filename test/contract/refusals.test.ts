import { TurnError, type OpenCodeEvent, type RepoClient, type Session } from 'jarvis-opencode';
import { retry, subtask, text, tool } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { worlds, type World } from './worlds.js';

const NOBODY = { agent: 'nobody' };
const NOWHERE = { model: { providerID: 'scripted', modelID: 'nothing' } };
const parts = [{ type: 'text' as const, text: 'Hello' }];

describe.each(worlds)('what cannot be answered in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  let session: Session;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
    await (await repo.sessions.create()).prompt('Warm up');
  });
  afterAll(() => world?.close());
  beforeEach(async () => {
    world.script(() => [text('ok')]);
    session = await repo.sessions.create();
  });

  /** What the session tells, as `type status` and the message of errors, until it has told what is waited for. */
  async function toldUntil(events: AsyncIterable<OpenCodeEvent>, last: RegExp): Promise<string[]> {
    const told: string[] = [];
    for await (const event of events) {
      if (event.type === 'session.status') told.push(`status ${event.properties.status.type}`);
      else if (event.type === 'session.error')
        told.push(`error ${String(event.properties.error?.data?.['message']).split('\n', 1)[0]}`);
      else told.push(event.type);
      if (last.test(told.at(-1) ?? '')) break;
    }
    return told;
  }

  const post = (path: string, json: object): Promise<Response> =>
    world.fetch(`/session/${session.id}${path}`, { method: 'POST', directory: repo.directory, json });
  const types = ['session.status', 'session.error', 'session.idle', 'message.updated'] as const;
  const noAgent = /^Agent not found: "nobody"\. Available agents: build, explore, general, plan$/;

  it('reports only an error for a prompt with an unknown agent', async () => {
    await using events = session.events({ types: [...types] });
    await events.ready;
    const answer = await post('/message', { parts, ...NOBODY });
    expect([answer.status, await answer.json()]).toMatchObject([500, { name: 'UnknownError' }]);
    expect((await post('/prompt_async', { parts, ...NOBODY })).status).toBe(204);
    const told = await toldUntil(events, /^error UnknownError/);
    const message = expect.stringMatching(/^error Agent not found: "nobody"/) as string;
    expect(told).toEqual([message, message, 'error UnknownError: UnknownError']);
    expect(await session.messages()).toEqual([]);
    expect(await repo.sessions.status()).toEqual({});

    const error: unknown = await session.prompt({ parts, ...NOBODY }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TurnError);
    expect(error).toMatchObject({
      reason: 'failed',
      serverError: { name: 'UnknownError', data: { message: expect.stringMatching(noAgent) } },
    });
  });

  it('stores a prompt with an unknown model and makes the session idle again', async () => {
    await using events = session.events({ types: [...types] });
    await events.ready;
    expect((await post('/prompt_async', { parts, ...NOWHERE })).status).toBe(204);
    expect(await toldUntil(events, /^error Provider/)).toEqual([
      'message.updated',
      'status busy',
      'error Model not found: scripted/nothing.',
      'status idle',
      'session.idle',
      'error ProviderModelNotFoundError: Model not found: scripted/nothing.',
    ]);
    expect((await session.messages()).map(({ info }) => info.role)).toEqual(['user']);
    // The session keeps the model, so that the next prompt fails as well.
    const answer = await post('/message', { parts });
    expect([answer.status, await answer.json()]).toMatchObject([500, { name: 'UnknownError' }]);
    expect((await session.refresh()).model).toMatchObject({ providerID: 'scripted', id: 'nothing' });

    const error: unknown = await session.prompt({ parts, ...NOWHERE }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'TurnError',
      reason: 'failed',
      serverError: { name: 'UnknownError', data: { message: 'Model not found: scripted/nothing.' } },
    });
    const model = { providerID: 'scripted', modelID: 'scripted' };
    expect((await session.prompt({ parts, model })).text).toBe('ok');
  });

  it('fails only the turn that names an unknown model or agent', async () => {
    const { providerID, modelID, agent } = (await session.prompt('Hello')).message;
    for (const wrong of [NOWHERE, NOBODY]) {
      await expect(session.prompt({ parts, ...wrong })).rejects.toMatchObject({ reason: 'failed' });
      expect((await session.prompt('Hello')).message).toMatchObject({ providerID, modelID, agent });
    }
    const fresh = await repo.sessions.create();
    await expect(fresh.prompt({ parts, ...NOWHERE })).rejects.toMatchObject({ reason: 'failed' });
    // Another object of the same session.
    const { message } = await repo.sessions.session(fresh.id).prompt('Hello');
    expect(message).toMatchObject({ providerID, modelID, agent });
  });

  it('refuses a shell command for an unknown agent and a summary by an unknown model', async () => {
    await using events = session.events({ types: [...types] });
    await events.ready;
    expect((await post('/shell', { agent: 'nobody', command: 'true' })).status).toBe(500);
    expect(await toldUntil(events, /idle/)).toEqual([
      'status busy',
      expect.stringMatching(/^error Agent not found/),
      'status idle',
    ]);
    expect((await post('/summarize', NOWHERE.model)).status).toBe(500);
    expect(await repo.sessions.status()).toEqual({});
  });

  it('refuses prompts in a session with an unknown agent, unless a prompt names another agent', async () => {
    const other = await repo.sessions.create({ agent: 'nobody' });
    expect(other.info?.agent).toBe('nobody');
    await expect(other.prompt('Hello')).rejects.toMatchObject({ reason: 'failed' });
    expect((await other.prompt({ parts, agent: 'plan' })).message.agent).toBe('plan');
    await expect(other.prompt('Hello')).rejects.toMatchObject({ reason: 'failed' });
  });

  it('fails the tool of a subtask for an unknown agent and goes on with the turn', async () => {
    world.script(() => [subtask('Count', { agent: 'nobody' }), text('Nobody counted.')]);
    const { text: answer, messages } = await session.prompt('Delegate');
    expect(answer).toBe('Nobody counted.');
    expect(messages[0]?.parts.find(({ type }) => type === 'tool')).toMatchObject({
      tool: 'task',
      state: { status: 'error', error: expect.stringContaining('nobody') },
    });
    expect(await session.children()).toEqual([]);
  });
});

describe.each(worlds)('a provider that refuses in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
  });
  afterAll(() => world?.close());

  it('retries a refusing provider until it answers', async () => {
    const look = tool('bash', { command: 'echo a.ts', description: 'List' }, 'a.ts\n');
    world.script(() => [
      retry('too many requests'),
      retry('busy', { afterMs: 50 }),
      look,
      retry(),
      text('One.'),
    ]);
    const session = await repo.sessions.create();
    const turn = session.stream('Look');
    const retries: object[] = [];
    for await (const step of turn) {
      if (step.type === 'retry') retries.push({ attempt: step.attempt, message: step.message });
    }
    expect(retries).toEqual([
      { attempt: 1, message: 'too many requests' },
      { attempt: 2, message: 'busy' },
      { attempt: 1, message: 'scripted overload' },
    ]);
    const { text: answer, messages } = await turn.result;
    expect(answer).toBe('One.');
    expect(messages.map(({ info }) => info.role === 'assistant' && info.finish)).toEqual([
      'tool-calls',
      'stop',
    ]);
    expect(await session.prompt('Again')).toMatchObject({ text: 'One.' });
  });

  it('shows the retry in the status of the session, and stops it by an abort', async () => {
    world.script(({ prompt }) => [
      ...(prompt === 'Hello' ? [retry('busy', { afterMs: 60_000 })] : []),
      text('Here.'),
    ]);
    const session = await repo.sessions.create();
    const turn = session.stream('Hello');
    for await (const step of turn) {
      if (step.type !== 'retry') continue;
      const status = (await repo.sessions.status())[session.id];
      expect(status).toMatchObject({ type: 'retry', attempt: 1, message: 'busy', next: step.next });
      await turn.abort();
    }
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
    // Nothing in it says why.
    expect((await session.messages())[1]?.info).toMatchObject({ time: { completed: expect.any(Number) } });
    expect((await session.messages())[1]?.info).not.toHaveProperty('error');
    expect((await session.prompt('Are you there?')).text).toBe('Here.');
  });

  it('rejects the turn as aborted when another client aborts during a retry', async () => {
    world.script(() => [retry('busy', { afterMs: 60_000 })]);
    const turn = (await repo.sessions.create()).stream('Hello');
    for await (const step of turn) if (step.type === 'retry') break;
    const elsewhere = (await world.connect({ idle: false })).forRepo(repo.directory);
    await elsewhere.sessions.session(turn.sessionID).abort();
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
  });

  it('ends the turn after the fifth retry', async () => {
    world.script(() => Array.from({ length: 6 }, () => retry('no capacity', { afterMs: 1 })));
    const session = await repo.sessions.create();
    await expect(session.prompt('Hello')).rejects.toMatchObject({
      reason: 'provider',
      serverError: { name: 'APIError', data: { message: 'no capacity', statusCode: 503, isRetryable: true } },
    });
  });

  it('rejects a scripted retry after the answer has begun', async () => {
    world.script(() => [text('On '), retry()]);
    const session = await repo.sessions.create();
    const error: unknown = await session.prompt('Hello').catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'TurnError',
      serverError: { data: { message: expect.stringContaining('retry() must come before') } },
    });
  });
});
