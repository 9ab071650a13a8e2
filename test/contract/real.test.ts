import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import {
  ask,
  mockOpenCode,
  realOpenCode,
  text,
  type MockScript,
  type RealOpenCode,
} from 'jarvis-opencode/testing';
import { setupServer } from 'msw/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operationsOf, readDoc } from '../../scripts/api-coverage/doc.js';
import { MOCKED_ROUTES } from '../../src/testing/mock-opencode.js';
import { opencodeBinary } from '../support/opencode-binary.js';

const script: MockScript = ({ prompt, session, directory }) =>
  prompt === 'Edit'
    ? [ask('bash', { command: 'echo hi', description: 'Greet' }, { output: 'hi\n' }), text('Done.')]
    : [text([prompt, session.title, session.parentID ?? 'no parent', directory].join(', '))];

// One test, two servers: only the line that makes the server differs.
describe.each([
  ['mockOpenCode', async () => mockOpenCode({ script, asks: ['bash'] })],
  ['realOpenCode', () => realOpenCode({ script, asks: ['bash'], command: opencodeBinary() })],
] as const)('%s', (_name, make) => {
  let opencode: Awaited<ReturnType<typeof make>>;
  const server = setupServer();
  beforeAll(async () => {
    opencode = await make();
    server.listen({ onUnhandledRequest: 'error' });
    server.use(...opencode.handlers);
  });
  afterAll(async () => {
    await opencode?.close();
    server.close();
  });

  it('answers as the script says, and gives it prompt, session and directory', async () => {
    const repo = (await opencode.client()).forRepo(await opencode.repo('app'));
    const session = await repo.sessions.create({ title: 'Title' });
    const { text: answer } = await session.prompt('Hello');
    expect(answer).toBe(`Hello, Title, no parent, ${repo.directory}`);
    opencode.reply('Only here.', { directory: repo.directory });
    expect((await session.prompt('Hello')).text).toBe('Only here.');
    const other = (await opencode.client()).forRepo(await opencode.repo('app'));
    expect(other.directory).not.toBe(repo.directory);
    expect((await (await other.sessions.create({ title: 'T' })).prompt('Hi')).text).toMatch(/^Hi, T, /);
  });

  it('makes repositories that are projects of their own', async () => {
    const jarvis = await opencode.client();
    const repos = [jarvis.forRepo(await opencode.repo()), jarvis.forRepo(await opencode.repo())];
    const [one, two] = await Promise.all(repos.map((repo) => repo.project.current()));
    expect([one, two]).toMatchObject(repos.map(({ directory }) => ({ vcs: 'git', worktree: directory })));
    expect(one?.id).not.toBe(two?.id);
    expect(await repos[0]?.vcs.get()).toMatchObject({ branch: 'main' });
    await repos[0]?.sessions.create();
    expect(await repos[1]?.sessions.list()).toEqual([]);
  });

  it('asks before it runs a tool that needs permission', async () => {
    const repo = (await opencode.client()).forRepo(await opencode.repo());
    const session = await repo.sessions.create({ title: 'Edit' });
    const turn = session.stream('Edit');
    for await (const step of turn) {
      if (step.type === 'permission') await repo.permissions.reply(step.request.id, { reply: 'once' });
    }
    const { messages } = await turn.result;
    expect(messages[0]?.parts.find(({ type }) => type === 'tool')).toMatchObject({
      state: { status: 'completed', output: 'hi\n' },
    });
  });

  it('titles a session with the first line of its first prompt', async () => {
    const repo = (await opencode.client()).forRepo(await opencode.repo());
    await using events = repo.events({ types: ['session.updated'] });
    await events.ready;
    await (await repo.sessions.create()).prompt('Mend the fence\nand paint it');
    for await (const event of events) {
      if (event.type === 'session.updated' && event.properties.info.title === 'Mend the fence') break;
    }
  });
});

describe('a real server', () => {
  let real: RealOpenCode;
  beforeAll(async () => {
    const edit = ask('edit', { filePath: 'a', oldString: 'a', newString: 'b' });
    real = await realOpenCode({ command: opencodeBinary(), script: () => [edit] });
  });
  afterAll(() => real?.close());

  it('documents every operation of the mock on the real server', async () => {
    const { url, connectOptions } = real;
    const doc = await readDoc({ url, authorization: `Basic ${btoa(`opencode:${connectOptions.password}`)}` });
    const documented = operationsOf(doc).map(({ name }) => name);
    const mocked = MOCKED_ROUTES.map(
      ({ method, pattern }) => `${method} ${pattern.replace(/:(\w+)/g, '{$1}')}`,
    );
    expect(mocked.filter((operation) => !documented.includes(operation))).toEqual([]);
  });

  it('makes repositories and worktrees that git recognizes', async () => {
    const repo = (await real.client()).forRepo(await real.repo());
    const git = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)('git', args, { cwd: repo.directory })).stdout.trim();
    await git('fsck', '--strict');
    expect(await git('status', '--porcelain')).toBe('');
    expect(await git('log', '--format=%an %s')).toMatch(/^Jarvis repository \d+$/);
    const { directory } = await repo.worktrees.create({ name: 'side' });
    expect(await git('worktree', 'list')).toContain(directory);
  });

  it('names the missing rule when a script asks for what is allowed', async () => {
    const session = await (await real.client()).forRepo(await real.repo()).sessions.create();
    await expect(session.prompt('Edit')).rejects.toMatchObject({
      reason: 'provider',
      message: expect.stringContaining("pass asks: ['edit'] to realOpenCode()"),
    });
  });

  it('removes the real server and all its files by close()', async () => {
    const jarvis = await real.client();
    const directory = await real.repo();
    expect((await jarvis.forRepo(directory).path()).directory).toBe(directory);
    await Promise.all([real.close(), real.close()]);
    expect(existsSync(directory)).toBe(false);
    await expect(fetch(`${real.url}/global/health`)).rejects.toThrow();
    expect(() => jarvis.forRepo(directory)).toThrow('closed');
  });

  it('leaves nothing behind when the real server cannot start', async () => {
    await expect(realOpenCode({ command: '/no/such/opencode' })).rejects.toMatchObject({
      name: 'ServerStartError',
    });
  });
});
