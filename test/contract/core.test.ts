import {
  SessionDirectoryError,
  TurnError,
  type CreateSessionInput,
  type RepoClient,
  type TurnStep,
} from 'jarvis-opencode';
import { ask, fail, question, text, tool, waitFor, type MockStep } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeClock } from '../support/fake-clock.js';
import { coreWorlds, type CoreWorld } from './core-worlds.js';
import { ODD_NAME } from './worlds.js';

const IDLE_MS = 600_000;
const LONG = { timeout: 20_000 };
const asking: CreateSessionInput = { permission: [{ permission: 'bash', pattern: '*', action: 'ask' }] };

/** A promise that a script waits for, and what settles it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

// What an application does all day: the same on every server.
describe.each(coreWorlds)('an application on $name', ({ opencode, open }) => {
  const clock = fakeClock();
  let world: CoreWorld;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open({ clock, idle: { idleTimeoutMs: IDLE_MS } });
    repo = world.jarvis.forRepo(await world.repo());
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(({ prompt }) => [text(`Re: ${prompt}`)]));

  /** Lets the model call a shell command, then answer with what it put out. */
  function scriptShell(command: string, isAsked = false): void {
    world.script(() => {
      const call = { command, description: 'Run it' };
      const step: MockStep = isAsked ? ask('bash', call, { output: 'done\n' }) : tool('bash', call, 'done\n');
      return [step, text('It is done.')];
    });
  }

  async function stepsOf(turn: AsyncIterable<TurnStep>): Promise<TurnStep[]> {
    const steps: TurnStep[] = [];
    for await (const step of turn) steps.push(step);
    return steps;
  }

  it('tells which major version of OpenCode it has', () => {
    expect(world.jarvis.server.opencode ?? 1).toBe(opencode);
  });

  it('makes, reads, lists, renames, copies and deletes sessions of one repository', async () => {
    const session = await repo.sessions.create({ title: 'First' });
    expect(session.info).toMatchObject({ title: 'First', directory: repo.directory });
    await session.prompt('one');
    await session.update({ title: 'Renamed' });
    expect((await repo.sessions.get(session.id)).info?.title).toBe('Renamed');
    const copy = await session.fork();
    expect(copy.id).not.toBe(session.id);
    const said = (await copy.messages()).map(({ info }) => info.role);
    expect(said).toEqual(['user', 'assistant']);
    const listed = (await repo.sessions.list()).map(({ id }) => id);
    expect(listed).toEqual(expect.arrayContaining([session.id, copy.id]));
    await copy.delete();
    expect((await repo.sessions.list()).map(({ id }) => id)).not.toContain(copy.id);
    await expect(repo.sessions.get(copy.id)).rejects.toMatchObject({ name: 'RequestError', status: 404 });
  });

  it('answers prompts of two repositories at the same time, each from its own', async () => {
    const other = world.jarvis.forRepo(await world.repo());
    const arrived: string[] = [];
    const both = gate();
    world.script(({ prompt, directory }) => {
      arrived.push(directory);
      if (arrived.length === 2) both.open();
      return [waitFor(both.opened), text(`${prompt} in ${directory}`)];
    });
    const sessions = [await repo.sessions.create(), await other.sessions.create()];
    const results = await Promise.all(sessions.map((session) => session.prompt('Where?')));
    expect(results.map((result) => result.text)).toEqual([
      `Where? in ${repo.directory}`,
      `Where? in ${other.directory}`,
    ]);
  });

  it('streams the text of an answer in its pieces and sums up what it cost', async () => {
    world.script(() => [text('one two three', { chunks: 3, delayMs: 5 })]);
    const session = await repo.sessions.create();
    const turn = session.stream('Count');
    const steps = await stepsOf(turn);
    const said = steps.flatMap((step) => (step.type === 'text' ? [step.delta] : [])).join('');
    const result = await turn.result;
    expect(said).toBe('one two three');
    expect(result).toMatchObject({ text: 'one two three', transcript: 'one two three' });
    expect(result.messages).toHaveLength(1);
    expect(result.tokens.output).toBeGreaterThan(0);
  });

  it('shows the call of a tool with its input and output, and answers after it', async () => {
    scriptShell('echo done');
    const session = await repo.sessions.create();
    const turn = session.stream('Run it');
    const calls = (await stepsOf(turn)).filter((step) => step.type === 'tool');
    const name = opencode === 2 ? 'shell' : 'bash';
    expect(calls.at(-1)).toMatchObject({
      tool: name,
      status: 'completed',
      input: { command: 'echo done' },
      output: expect.stringContaining('done'),
    });
    const { text: answer, messages } = await turn.result;
    expect(answer).toBe('It is done.');
    expect(messages).toHaveLength(2);
  });

  it('lets the application allow, refuse with a word, and stop what a tool asks for', async () => {
    scriptShell('echo done', true);
    const session = await repo.sessions.create(asking);
    const patterns: string[][] = [];
    const allowed = await session.prompt('Run it', {
      onPermission: ({ patterns: asked }) => {
        patterns.push(asked);
        return 'allow';
      },
    });
    expect(patterns).toEqual([['echo done']]);
    expect(allowed.text).toBe('It is done.');
    const denied = await session.prompt('Again', { onPermission: () => ({ deny: 'Not today.' }) });
    expect(denied.text).toBe('It is done.');
    const stopped = await session.prompt('Once more', { onPermission: () => 'stop' });
    expect(stopped.text).toBe('');
    expect(stopped.parts.find(({ type }) => type === 'tool')).toMatchObject({ state: { status: 'error' } });
    world.script(() => [text('Still here.')]);
    expect((await session.prompt('Hello?')).text).toBe('Still here.');
  });

  it('hands the questions of the model to the application and its answers to the model', async () => {
    world.script(() => [question({ question: 'Which?', options: ['red', 'blue'] }), text('Thanks.')]);
    const session = await repo.sessions.create();
    const asked: string[] = [];
    const result = await session.prompt('Ask me', {
      onQuestion: ({ questions }) => {
        asked.push(
          ...questions.flatMap(({ question: text, options }) => [text, ...options.map(({ label }) => label)]),
        );
        return { answers: [['blue']] };
      },
    });
    expect(asked).toEqual(['Which?', 'red', 'blue']);
    expect(result.text).toBe('Thanks.');
    const tools = result.messages.flatMap(({ parts }) => parts).filter(({ type }) => type === 'tool');
    expect(JSON.stringify(tools)).toContain('blue');
  });

  it('aborts a turn and prompts the same session again', async () => {
    const begun = gate();
    world.script(() => {
      begun.open();
      return [text('Slow'), waitFor(new Promise(() => undefined))];
    });
    const session = await repo.sessions.create();
    const turn = session.stream('Take your time');
    for await (const step of turn) if (step.type === 'text') break;
    await turn.abort();
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', reason: 'aborted' });
    world.script(() => [text('Again.')]);
    expect((await session.prompt('Again')).text).toBe('Again.');
  });

  it('tells what the model provider refused', async () => {
    world.script(() => [fail('no such model')]);
    const session = await repo.sessions.create();
    const error = await session.prompt('Fail').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TurnError);
    expect((error as TurnError).message).toContain('no such model');
  });

  it('keeps two clones of one project apart', async () => {
    const [first, second] = (await world.clones()).map((clone) => world.jarvis.forRepo(clone));
    if (first === undefined || second === undefined) throw new Error('no clones');
    const session = await first.sessions.create({ title: 'Of the first' });
    await second.sessions.create({ title: 'Of the second' });
    expect((await first.sessions.list()).map(({ info }) => info?.title)).toEqual(['Of the first']);
    expect((await second.sessions.list()).map(({ info }) => info?.title)).toEqual(['Of the second']);
    await expect(second.sessions.get(session.id)).rejects.toBeInstanceOf(SessionDirectoryError);
    await expect(second.sessions.create().then(() => session.prompt('Mine'))).resolves.toMatchObject({
      text: 'Re: Mine',
    });
  });

  it('works in a directory whose name an encoding too many would change', async () => {
    const odd = world.jarvis.forRepo(await world.repo(ODD_NAME));
    world.script(({ directory }) => [text(directory)]);
    const session = await odd.sessions.create({ title: 'Odd' });
    expect((await session.prompt('Where?')).text).toBe(odd.directory);
    expect((await odd.sessions.list()).map(({ id }) => id)).toEqual([session.id]);
  });

  it('joins a turn that runs, from its beginning', async () => {
    const goOn = gate();
    world.script(() => [text('First. '), waitFor(goOn.opened), text('Second.')]);
    const session = await repo.sessions.create();
    const turn = session.stream('Tell');
    for await (const step of turn) if (step.type === 'text') break;
    const joined = await session.attach();
    goOn.open();
    let said = '';
    for await (const piece of joined?.text ?? []) said += piece;
    expect(said).toBe('First. Second.');
    expect((await joined?.result)?.text).toBe('First. Second.');
    await turn.result;
    expect(await session.attach()).toBeUndefined();
  });

  it('disposes an idle instance while another is at work, and wakes it for the next prompt', async () => {
    const busy = world.jarvis.forRepo(await world.repo());
    const goOn = gate();
    const session = await repo.sessions.create();
    await session.prompt('Before');
    world.script(() => [text('Working. '), waitFor(goOn.opened), text('Done.')]);
    const turn = (await busy.sessions.create()).stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    await vi.waitFor(() => expect(repo.stats().holds).toEqual([]), LONG);
    clock.advance(IDLE_MS + 1);
    await vi.waitFor(() => expect(repo.stats().loaded).toBe(false), LONG);
    expect(busy.stats().loaded).toBe(true);
    goOn.open();
    expect((await turn.result).text).toBe('Working. Done.');
    world.script(() => [text('Awake.')]);
    expect((await session.prompt('After')).text).toBe('Awake.');
    expect(repo.stats().loaded).toBe(true);
  });

  it('rejects a turn whose server is killed, and prompts the same session on the next one', async () => {
    world.script(() => [text('Half'), waitFor(new Promise(() => undefined))]);
    const session = await repo.sessions.create();
    const turn = session.stream('Go');
    for await (const step of turn) if (step.type === 'text') break;
    world.crash();
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', reason: 'interrupted' });
    world.script(() => [text('Back.')]);
    expect((await session.prompt('Again')).text).toBe('Back.');
  });
});
