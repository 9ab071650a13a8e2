import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DisposeRefusedError, type RepoClient, type Session, type TurnResult } from 'jarvis-opencode';
import { httpError } from '../../src/testing/real/model-steps.js';
import { waitFor } from '../../src/testing/script/steps.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text, toolCall } from '../support/model-steps.js';
import { deferred } from '../support/wait.js';

// For each reason to keep an instance: a disposal attempt while it lasts is refused by its name, and what runs is unharmed.
// Own turns, leases and the housekeeping that asks nobody are in instances.test.ts.

let world: RealJarvis;
let repo: RepoClient;

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  repo = world.jarvis.forRepo((await world.repo()).directory);
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => world.model.use(() => [text('ok')]));

const PATIENCE = { timeout: 20_000 };

function busyChild(sessionID: string): unknown {
  return expect.objectContaining({ kind: 'session-busy', detail: sessionID });
}

/** What a disposal attempt names as its obstacles, as `kind: detail`. */
async function obstacles(): Promise<readonly string[]> {
  const error = await repo.dispose().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DisposeRefusedError);
  expect(repo.stats()).toMatchObject({ loaded: true, state: 'busy' });
  return (error as DisposeRefusedError).holds.map(({ kind, detail }) => `${kind}: ${detail}`);
}

/** Sends a request past the library, as another client of the server does. */
async function elsewhere(path: string, body: object): Promise<void> {
  const { url, authorization = '' } = world.jarvis.server;
  const headers = { authorization, 'content-type': 'application/json' };
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(response.status).toBeLessThan(300);
}

/** Prompts by another client; resolves when the model has been asked. */
async function promptElsewhere(session: Session, prompt: string): Promise<void> {
  await elsewhere(`/session/${session.id}/prompt_async`, { parts: [{ type: 'text', text: prompt }] });
  await world.model.waitForRequest((request) => request.prompt === prompt);
}

/** Runs `act`, which ends the work, and resolves with the text of the session's last answer when it is idle. */
async function answerAfter(session: Session, act: () => unknown): Promise<string> {
  const idle = repo.events({ types: ['session.idle'], sessionID: session.id });
  await idle.ready;
  await act();
  for await (const event of idle) if (event.type === 'session.idle') break;
  const parts = (await session.messages()).at(-1)?.parts ?? [];
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

const ASK_FOR_BASH = { permission: [{ permission: 'bash', pattern: '*', action: 'ask' as const }] };
const COLOUR = {
  question: 'Which colour?',
  header: 'Colour',
  options: [{ label: 'red', description: 'Red' }],
};

describe('an instance is not disposed during', () => {
  it('keeps an instance during a request in flight', async () => {
    const gate = deferred();
    world.model.use(() => [text('long '), waitFor(gate.promise), text('answer')]);
    const session = await repo.sessions.create();
    const path = `/session/${session.id}/message`;
    const fetching = repo.fetch(repo.baseUrl + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ parts: [{ type: 'text', text: 'a long request' }] }),
    });
    await world.model.waitForRequest((request) => request.prompt === 'a long request');
    expect(await obstacles()).toContain(`request: POST ${path}`);
    gate.resolve();
    const { parts } = (await (await fetching).json()) as Pick<TurnResult, 'parts'>;
    expect(parts).toContainEqual(expect.objectContaining({ type: 'text', text: 'long answer' }));
  });

  it('keeps an instance during a turn of a child session', async () => {
    const gate = deferred();
    world.model.use(({ prompt, step }) => {
      if (prompt.includes('child work')) return [waitFor(gate.promise), text('from the child')];
      const task = { description: 'sub', prompt: 'child work', subagent_type: 'general' };
      return step === 0 ? [toolCall('task', task)] : [text('done')];
    });
    const session = await repo.sessions.create();
    const turn = session.stream('delegate');
    let child = '';
    for await (const step of turn) {
      if (step.type !== 'child') continue;
      child = step.sessionID;
      break;
    }
    await world.model.waitForRequest((request) => request.prompt.includes('child work'));
    // The event may be later than the request.
    await vi.waitFor(() => expect(repo.stats().holds).toContainEqual(busyChild(child)), PATIENCE);
    expect(await obstacles()).toEqual(
      expect.arrayContaining([`turn: ${session.id}`, `session-busy: ${child}`]),
    );
    gate.resolve();
    const result = await turn.result;
    expect(result.text).toBe('done');
    expect(JSON.stringify(result.messages)).toContain('from the child');
  });

  it('keeps an instance during a turn of another client, while its provider fails too', async () => {
    let calls = 0;
    const retryLater = { 'retry-after-ms': '1000' };
    world.model.use(() => (calls++ === 0 ? [httpError(429, undefined, retryLater)] : [text('in the end')]));
    const session = await repo.sessions.create();
    const retrying = repo.events({ types: ['session.status'], sessionID: session.id });
    await retrying.ready;
    const answer = answerAfter(session, () => promptElsewhere(session, 'from elsewhere'));
    for await (const event of retrying)
      if (event.type === 'session.status' && event.properties.status.type === 'retry') break;
    expect(await obstacles()).toEqual([`session-busy: ${session.id}`]);
    expect(await answer).toBe('in the end');
    expect(calls).toBe(2);
  });

  it('keeps an instance while a permission is pending', async () => {
    world.model.use(({ step }) =>
      step === 0 ? [toolCall('bash', { command: 'echo allowed', description: 'Echo' })] : [text('done')],
    );
    const session = await repo.sessions.create(ASK_FOR_BASH);
    const turn = session.stream('x');
    for await (const step of turn) {
      if (step.type !== 'permission') continue;
      expect(await obstacles()).toContain(`permission: ${step.request.id}`);
      await repo.permissions.reply(step.request.id, { reply: 'once' });
    }
    const result = await turn.result;
    expect(result.text).toBe('done');
    expect(JSON.stringify(result.messages)).toContain(String.raw`"output":"allowed\n"`);
  });

  it('keeps an instance during a question in a turn of another client', async () => {
    world.model.use(({ step }) =>
      step === 0 ? [toolCall('question', { questions: [COLOUR] })] : [text('noted')],
    );
    const session = await repo.sessions.create();
    const asked = repo.events({ types: ['question.asked'], sessionID: session.id });
    await asked.ready;
    await promptElsewhere(session, 'ask me');
    for await (const event of asked) {
      if (event.type !== 'question.asked') continue;
      const { id } = event.properties;
      expect(await obstacles()).toContain(`question: ${id}`);
      const answer = await answerAfter(session, () => repo.questions.reply(id, { answers: [['red']] }));
      expect(answer).toBe('noted');
      break;
    }
  });

  it('keeps an instance during a running terminal, with and without a connection', async () => {
    const { id } = await repo.pty.create({
      command: '/bin/sh',
      args: ['-c', 'stty -echo; while read -r line; do echo "<$line>"; done'],
    });
    // The hold of the call becomes that of the terminal with the event that reports it.
    await vi.waitFor(async () => expect(await obstacles()).toEqual([`pty: ${id}`]), { timeout: 10_000 });
    await using connection = await repo.pty.connect(id);
    expect(await obstacles()).toEqual(
      expect.arrayContaining([`pty: ${id}`, `request: GET /pty/${id}/connect`]),
    );
    connection.write('still here\r');
    let output = '';
    for await (const chunk of connection) {
      output += chunk;
      if (output.includes('<still here>')) break;
    }
    expect(output).toContain('<still here>');
    await repo.pty.remove(id);
  });
});

describe('an instance is disposed', () => {
  it('disposes an instance in spite of what an aborted turn has asked and nobody can answer any more', async () => {
    const session = await repo.sessions.create(ASK_FOR_BASH);
    world.model.use(() => [toolCall('bash', { command: 'echo never', description: 'Echo' })]);
    const turn = session.stream('x');
    turn.result.catch(() => undefined);
    for await (const step of turn) if (step.type === 'permission') await turn.abort();
    expect(await repo.permissions.list()).toHaveLength(1);
    expect(await repo.dispose()).toMatchObject({ disposed: true });
    expect(await repo.permissions.list()).toEqual([]);
  });
});
