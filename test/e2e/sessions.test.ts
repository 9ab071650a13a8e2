import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RequestError, TurnError, type RepoClient, type Session } from 'jarvis-opencode';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text, toolCall } from '../support/model-steps.js';

// Every operation must reach this directory, whose name the server itself would decode once too often.
const NAME = `a b%20ü日#?+'`;

let world: RealJarvis;
let repo: RepoClient;
let session: Session;

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  const files = { '.opencode/command/greet.md': '---\ndescription: Greets\n---\nSay hello to $ARGUMENTS' };
  repo = world.jarvis.forRepo((await world.repo({ name: NAME, files })).directory);
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
  world.model.use(({ prompt }) => [text(`re: ${prompt}`)]);
  session = await repo.sessions.create();
});

describe('a session', () => {
  it('updates a session and shows what the server made of it', async () => {
    const info = await session.update({
      title: 'Renamed',
      metadata: { ticket: 7 },
      permission: [{ permission: 'bash', pattern: '*', action: 'deny' }],
      time: { archived: 1_700_000_000_000 },
    });
    expect(info).toMatchObject({
      title: 'Renamed',
      metadata: { ticket: 7 },
      permission: [{ permission: 'bash', pattern: '*', action: 'deny' }],
      time: { archived: 1_700_000_000_000 },
      directory: repo.directory,
    });
    expect(session.info).toBe(info);
    expect((await repo.sessions.get(session.id)).info).toMatchObject({ title: 'Renamed' });
  });

  it('lists a session by title, and a root session among the roots', async () => {
    await session.update({ title: 'needle in the list' });
    const child = await repo.sessions.create({ parentID: session.id, title: 'needle child' });
    const ids = async (input: Parameters<typeof repo.sessions.list>[0]): Promise<string[]> =>
      (await repo.sessions.list(input)).map((entry) => entry.id);
    expect(await ids({ search: 'NEEDLE' })).toEqual([child.id, session.id]);
    expect(await ids({ search: 'needle', roots: true })).toEqual([session.id]);
    expect(await ids({ limit: 1 })).toEqual([child.id]);
    expect(await ids({ start: Date.now() + 60_000 })).toEqual([]);
    expect((await session.children()).map((entry) => entry.id)).toEqual([child.id]);
  });

  it('forks a session, in whole and up to a message', async () => {
    await session.prompt('one');
    await session.prompt('two');
    const messages = await session.messages();
    const whole = await session.fork();
    expect(whole.directory).toBe(repo.directory);
    expect(await whole.messages()).toHaveLength(4);
    const second = messages[2]?.info.id ?? '';
    expect(await (await session.fork({ messageID: second })).messages()).toHaveLength(2);
  });

  it('pages the messages of a session, and walks through all of them from the newest to the oldest', async () => {
    for (const prompt of ['one', 'two', 'three']) await session.prompt(prompt);
    const all = await session.messages();
    expect(all).toHaveLength(6);
    expect((await session.messages({ limit: 2 })).map((message) => message.info.id)).toEqual(
      all.slice(-2).map((message) => message.info.id),
    );
    const walked: string[] = [];
    for await (const message of session.messages({ limit: 2 })) walked.push(message.info.id);
    expect(walked).toEqual(all.map((message) => message.info.id).reverse());
  });

  it('adds context to a session without asking the model', async () => {
    const calls = world.model.calls;
    const message = await session.addContext('The build is red.');
    expect(message.info.role).toBe('user');
    expect(world.model.calls).toBe(calls);
    await session.prompt('So?');
    expect(JSON.stringify(world.model.requests().at(-1)?.messages)).toContain('The build is red.');
  });

  it('deletes single messages and parts of a session, and replaces parts', async () => {
    const result = await session.prompt('x');
    const part = result.parts.find((candidate) => candidate.type === 'text');
    if (part?.type !== 'text') expect.fail('no text part');
    const replaced = await session.updatePart({ ...part, text: 'edited' });
    expect(replaced).toMatchObject({ id: part.id, text: 'edited' });
    await session.deletePart(part.messageID, part.id);
    expect((await session.message(part.messageID)).parts.map((left) => left.id)).not.toContain(part.id);
    await session.deleteMessage(part.messageID);
    await expect(session.message(part.messageID)).rejects.toMatchObject({ status: 404 });
  });

  it('summarises a session', async () => {
    await session.prompt('a long story');
    const compacted = session.events({ types: ['session.compacted'] });
    await compacted.ready;
    world.model.use(() => [text('the summary')]);
    await session.summarize({ providerID: 'scripted', modelID: 'scripted' });
    for await (const event of compacted) {
      expect(event.properties).toEqual({ sessionID: session.id });
      break;
    }
  });

  it('reverts a session to a message and undoes the revert', async () => {
    await session.prompt('one');
    await session.prompt('two');
    const [, , second] = await session.messages();
    const messageID = second?.info.id ?? '';
    expect((await session.revert({ messageID })).revert).toMatchObject({ messageID });
    expect((await session.unrevert()).revert).toBeUndefined();
  });

  it('lists the todos of the agent and an empty diff', async () => {
    expect(await session.diff()).toEqual([]);
    const todos = [{ content: 'write it', status: 'pending', priority: 'high' }];
    world.model.use(({ step }) => (step === 0 ? [toolCall('todowrite', { todos })] : [text('noted')]));
    await session.prompt('plan');
    expect(await session.todos()).toEqual(todos);
  });

  it('refuses to share a session where the configuration forbids it', async () => {
    const error = await session.share().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ status: 500, path: expect.stringContaining('/share') as string });
    expect((await session.unshare()).share).toBeUndefined();
  });

  it('answers a permission request by its own session, and by no other', async () => {
    const asking = await repo.sessions.create({
      permission: [{ permission: 'bash', pattern: '*', action: 'ask' }],
    });
    world.model.use(({ step }) =>
      step === 0 ? [toolCall('bash', { command: 'pwd', description: 'Where' })] : [text('done')],
    );
    const other = await repo.sessions.create();
    const turn = asking.stream('x');
    for await (const step of turn) {
      if (step.type !== 'permission') continue;
      const { id } = step.request;
      expect(await other.replyPermission(id, { reply: 'reject' })).toBe('gone');
      expect(await asking.replyPermission(id, { reply: 'once' })).toBe('answered');
      expect(await asking.replyPermission(id, { reply: 'once' })).toBe('gone');
    }
    const parts = (await turn.result).messages.flatMap((message) => message.parts);
    expect(parts.find((part) => part.type === 'tool')).toMatchObject({
      state: { status: 'completed', output: `${repo.directory}\n` },
    });
  });
});

describe('a turn without a prompt', () => {
  it('runs a command of the repository', async () => {
    const result = await session.command({ command: 'greet', arguments: 'the world' });
    expect(result.text).toBe('re: Say hello to the world');
    const model = { providerID: 'scripted', modelID: 'scripted' };
    expect((await session.command({ command: 'greet', arguments: 'you', model })).text).toBe(
      're: Say hello to you',
    );
  });

  it('fails for a command that does not exist, and the session goes on', async () => {
    const error = await session.command({ command: 'nonsense' }).catch((reason: unknown) => reason);
    expect([RequestError, TurnError].some((type) => error instanceof type)).toBe(true);
    expect((await session.prompt('still here')).text).toBe('re: still here');
  });

  it('runs a shell command in the directory of the repository', async () => {
    const calls = world.model.calls;
    const result = await session.shell({ command: 'pwd; echo written > here.txt', agent: 'build' });
    expect(result.parts).toMatchObject([{ type: 'tool', tool: 'bash', state: { status: 'completed' } }]);
    expect(JSON.stringify(result.parts)).toContain(JSON.stringify(repo.directory).slice(1, -1));
    expect(await readFile(join(repo.directory, 'here.txt'), 'utf8')).toBe('written\n');
    expect(world.model.calls).toBe(calls);
  });

  it('aborts a turn without a prompt, and its shell command with it', async () => {
    const controller = new AbortController();
    const running = session.shell({ command: 'sleep 600', agent: 'build' }, { signal: controller.signal });
    running.catch(() => undefined);
    await vi.waitFor(async () => expect(Object.keys(await repo.sessions.status())).toContain(session.id), {
      timeout: 20_000,
    });
    controller.abort('enough');
    await expect(running).rejects.toBe('enough');
    expect((await session.prompt('next')).text).toBe('re: next');
  });

  it('runs the study of the repository by init()', async () => {
    const result = await session.init({ providerID: 'scripted', modelID: 'scripted' });
    expect(result.text).toContain('AGENTS.md');
  });
});

describe('a revert', () => {
  it('names the file that locks the snapshots, and reverts nothing', { timeout: 60_000 }, async () => {
    await using snapshots = await realJarvis({ idle: false, config: { snapshot: true } });
    const { directory } = await snapshots.repo();
    const file = join(directory, 'a.txt');
    const one = await snapshots.jarvis.forRepo(directory).sessions.create();
    const write = async (content: string): Promise<string> => {
      snapshots.model.use(({ step }) =>
        step === 0 ? [toolCall('write', { filePath: file, content })] : [text('written')],
      );
      const turn = one.stream('Write');
      await turn.result;
      return turn.messageID;
    };
    const first = await write('v1');
    const messageID = await write('v2');
    expect((await one.revert({ messageID })).revert).toMatchObject({ messageID });
    expect(await readFile(file, 'utf8')).toBe('v1');
    await one.unrevert();
    expect(await readFile(file, 'utf8')).toBe('v2');

    const { dataDirectory = '' } = snapshots.jarvis.server as { dataDirectory?: string };
    const below = await readdir(join(dataDirectory, 'snapshot'), { recursive: true });
    const head = below.find((path) => path.split(sep).length === 3 && path.endsWith('HEAD'));
    const lockFile = join(
      dataDirectory,
      'snapshot',
      dirname(head ?? expect.fail('no snapshots')),
      'index.lock',
    );
    // What a git leaves behind that was killed.
    await writeFile(lockFile, '');
    await expect(one.revert({ messageID })).rejects.toMatchObject({
      name: 'RevertError',
      reason: 'snapshot-locked',
      lockFile,
      message: expect.stringContaining(lockFile) as string,
    });
    expect((await one.refresh()).revert).toBeUndefined();
    const unrecorded = await write('v3');
    await rm(lockFile);
    await expect(one.revert({ messageID: unrecorded })).rejects.toMatchObject({ reason: 'no-snapshot' });
    expect(await readFile(file, 'utf8')).toBe('v3');
    expect((await one.revert({ messageID })).revert).toMatchObject({ messageID });
    expect(await readFile(file, 'utf8')).toBe('v1');

    await writeFile(lockFile, '');
    const locked = { name: 'RevertError', reason: 'snapshot-locked', lockFile };
    await expect(one.unrevert()).rejects.toMatchObject({
      ...locked,
      messageID,
      message: expect.stringContaining('was not undone') as string,
    });
    await expect(one.revert({ messageID: first })).rejects.toMatchObject(locked);
    expect((await one.refresh()).revert).toMatchObject({ messageID });
    expect(await readFile(file, 'utf8')).toBe('v1');

    // A lock that passes is waited for.
    const unreverted = one.unrevert();
    await rm(lockFile);
    expect((await unreverted).revert).toBeUndefined();
    expect(await readFile(file, 'utf8')).toBe('v3');
  });
});
