import { chmod, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RequestError, ResponseShapeError, type RepoClient } from 'jarvis-opencode';
import type { GitRepo, GitRepoOptions } from '../support/git-repo.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text, toolCall } from '../support/model-steps.js';
import { until } from '../support/wait.js';

// Every operation must reach this directory, whose name the server itself would decode once too often.
const NAME = `a b%20ü日#?+'`;

/** Searches what git knows, and answers as `rg --json` does: the server would download the real one. */
const RIPGREP = `#!${process.execPath}
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const pattern = new RegExp(process.argv[process.argv.indexOf('--') + 1]);
const paths = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { encoding: 'utf8' });
for (const path of paths.split('\\0').filter(Boolean)) {
  readFileSync(path, 'utf8').split('\\n').forEach((line, index) => {
    const match = pattern.exec(line);
    if (!match) return;
    const submatches = [{ match: { text: match[0] }, start: match.index, end: match.index + match[0].length }];
    const data = { path: { text: path }, lines: { text: line + '\\n' }, line_number: index + 1, absolute_offset: 0, submatches };
    console.log(JSON.stringify({ type: 'match', data }));
  });
}
`;

/** A language server that knows nothing. */
const LANGUAGE_SERVER = `
let input = '';
process.stdin.setEncoding('latin1').on('data', (piece) => {
  input += piece;
  for (;;) {
    const [head, length] = /^Content-Length: (\\d+)\\r\\n(?:.*\\r\\n)*?\\r\\n/i.exec(input) ?? [];
    const end = head && head.length + Number(length);
    if (!head || input.length < end) return;
    const { id, method } = JSON.parse(input.slice(head.length, end));
    input = input.slice(end);
    if (id === undefined || method === undefined) continue;
    const body = JSON.stringify({ jsonrpc: '2.0', id, result: method === 'initialize' ? { capabilities: {} } : null });
    process.stdout.write('Content-Length: ' + body.length + '\\r\\n\\r\\n' + body);
  }
}).on('end', () => process.exit());
`;

/** A provider to sign in to without a network: the code is \`good\`. */
const AUTH_PLUGIN = `
const authorize = (method) => async (inputs) => ({
  url: 'https://example.invalid/?account=' + inputs?.account,
  instructions: 'Sign in',
  method,
  callback: async (code) => (method === 'auto' || code === 'good' ? { type: 'success', key: 'k' } : { type: 'failed' }),
});
export const Toy = async () => ({
  auth: {
    provider: 'toy',
    methods: [
      {
        type: 'oauth',
        label: 'With a code',
        prompts: [{ type: 'text', key: 'account', message: 'Which account?' }],
        authorize: authorize('code'),
      },
      { type: 'oauth', label: 'By itself', authorize: authorize('auto') },
      { type: 'api', label: 'With a key' },
    ],
  },
});
`;

let programs: string;
let world: RealJarvis;

beforeAll(async () => {
  programs = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-programs-')));
  await writeFile(join(programs, 'rg'), RIPGREP);
  await chmod(join(programs, 'rg'), 0o755);
  await writeFile(join(programs, 'language-server.cjs'), LANGUAGE_SERVER);
  world = await realJarvis({
    idle: false,
    env: { PATH: programs + delimiter + (process.env['PATH'] ?? '') },
    config: {
      formatter: { shout: { command: ['true', '$FILE'], extensions: ['.shout'] } },
      lsp: {
        toy: { command: [process.execPath, join(programs, 'language-server.cjs')], extensions: ['.toy'] },
      },
    },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await rm(programs, { recursive: true, force: true });
});

async function oddRepo(options?: GitRepoOptions): Promise<GitRepo & { readonly client: RepoClient }> {
  const repo = await world.repo({ name: NAME, ...options });
  return { ...repo, client: world.jarvis.forRepo(repo.directory) };
}

/** What the server answered instead. */
async function refusal(promise: Promise<unknown>): Promise<RequestError> {
  const error: unknown = await promise.then(
    () => 'nothing was refused',
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RequestError);
  return error as RequestError;
}

describe('files', () => {
  const oddFile = `we ird%20ü#?&+'.txt`;
  let directory: string;
  let files: RepoClient['files'];

  beforeAll(async () => {
    const repo = await oddRepo({
      files: {
        '.gitignore': 'ignored/\n',
        'README.md': '\n# a title\n\n',
        'src/a.ts': 'export const a = 1;\n',
        [oddFile]: 'odd\n',
      },
    });
    directory = repo.directory;
    files = repo.client.files;
    await writeFile(join(directory, 'picture.png'), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0]));
    await mkdir(join(directory, 'ignored'));
  });

  it('lists files, from the repository and below', async () => {
    const nodes = await files.list('.');
    expect(nodes.map((node) => node.path)).toEqual(
      expect.arrayContaining(['src/', 'ignored/', 'README.md', oddFile]),
    );
    expect(nodes.find((node) => node.name === 'src')).toEqual({
      name: 'src',
      path: 'src/',
      absolute: join(directory, 'src'),
      type: 'directory',
      ignored: false,
    });
    expect(nodes.find((node) => node.name === 'ignored')?.ignored).toBe(true);
    expect(await files.list('')).toEqual(nodes);
    const below = await files.list('src');
    expect(below.map((node) => [node.path, node.type])).toEqual([['src/a.ts', 'file']]);
    expect(await files.list(join(directory, 'src/'))).toEqual(below);
  });

  it('reads files: text trimmed, the rest as base64', async () => {
    expect(await files.read('README.md')).toEqual({ type: 'text', content: '# a title' });
    expect(await files.read(join(directory, 'src/a.ts'))).toMatchObject({ content: 'export const a = 1;' });
    expect(await files.read(oddFile)).toMatchObject({ content: 'odd' });
    expect(await files.read('picture.png')).toEqual({
      type: 'binary',
      content: 'iVBORwA=',
      encoding: 'base64',
      mimeType: 'image/png',
    });
  });

  it('reads missing files as empty', async () => {
    expect(await files.read('missing.txt')).toEqual({ type: 'text', content: '' });
  });

  it.each(['..', '../..', 'src/../..', '/', tmpdir(), 'missing'])(
    'refuses to list files at %j',
    async (path) => {
      expect(await refusal(files.list(path))).toMatchObject({ status: 500, serverError: 'UnknownError' });
    },
  );

  it.each(['.', 'src', '../outside', '/etc/passwd'])('refuses to read a file at %j', async (path) => {
    expect(await refusal(files.read(path))).toMatchObject({ status: 500, serverError: 'UnknownError' });
  });

  it('returns an empty file status', async () => {
    await writeFile(join(directory, 'new.txt'), 'new\n');
    expect(await files.status()).toEqual([]);
  });
});

describe('find', () => {
  let find: RepoClient['find'];

  beforeAll(async () => {
    const many = Object.fromEntries(
      Array.from({ length: 30 }, (_value, index) => [`many/part-${index}.txt`, `needle ${index}\n`]),
    );
    const repo = await oddRepo({ files: { ...many, 'src/100% ü+#.ts': 'const a = "x+y %20 ü";\n' } });
    find = repo.client.find;
  });

  it('finds text, at most 10 lines of it', async () => {
    expect(await find.text({ pattern: 'x\\+y %20 (ü|u)' })).toEqual([
      {
        path: { text: 'src/100% ü+#.ts' },
        lines: { text: 'const a = "x+y %20 ü";\n' },
        line_number: 1,
        absolute_offset: 0,
        submatches: [{ match: { text: 'x+y %20 ü' }, start: 11, end: 20 }],
      },
    ]);
    expect(await find.text({ pattern: 'needle' })).toHaveLength(10);
    expect(await find.text({ pattern: 'no such text' })).toEqual([]);
    expect(await find.text({ pattern: '(' })).toEqual([]);
  });

  it('finds files and directories', async () => {
    expect(await find.files({ query: '100% ü+#' })).toEqual(['src/100% ü+#.ts']);
    expect(await find.files({ query: 'part' })).toHaveLength(10);
    expect(await find.files({ query: 'part', limit: 3 })).toHaveLength(3);
    expect(await find.files({ query: 'part', limit: 200 })).toHaveLength(30);
    const directories = await find.files({ query: '', type: 'directory' });
    expect(directories).toEqual(expect.arrayContaining(['many/', 'src/']));
    for (const path of directories) expect(path).toMatch(/\/$/);
    for (const input of [{ dirs: false }, { type: 'file', dirs: true }] as const) {
      const paths = await find.files({ query: 'src', ...input });
      expect(paths).toContain('src/100% ü+#.ts');
      expect(paths).not.toContain('src/');
    }
  });

  it('finds no symbols', async () => {
    expect(await find.symbols({ query: 'a' })).toEqual([]);
  });
});

describe('vcs', () => {
  const lines = (fifth: string): string => ['1', '2', '3', '4', fifth, '6', '7', '8', '9', ''].join('\n');

  it('reports the branches, and a checkout once the files were listed', async () => {
    const repo = await oddRepo();
    const { vcs } = repo.client;
    expect(await vcs.get()).toEqual({ branch: 'main', default_branch: 'main' });
    await repo.client.files.list('.');
    await repo.git('checkout', '-q', '-b', 'feature');
    await until(async () => (await vcs.get()).branch === 'feature', { what: 'the other branch' });
  });

  it('reports what changed since the last commit', async () => {
    const repo = await oddRepo({ files: { 'a ü.txt': lines('5') } });
    const { vcs } = repo.client;
    await writeFile(join(repo.directory, 'a ü.txt'), lines('five'));
    await writeFile(join(repo.directory, 'new.txt'), 'new\n');
    const changed = [
      { file: 'a ü.txt', additions: 1, deletions: 1, status: 'modified' },
      { file: 'new.txt', additions: 1, deletions: 0, status: 'added' },
    ];
    const byFile = <T extends { file: string }>(list: T[]): T[] =>
      list.toSorted((a, b) => a.file.localeCompare(b.file));
    expect(byFile(await vcs.status())).toEqual(changed);
    const whole = byFile(await vcs.diff({ mode: 'git' }));
    expect(whole).toMatchObject(changed);
    expect(whole[0]?.patch).toContain('@@ -1,9 +1,9 @@');
    const bare = byFile(await vcs.diff({ mode: 'git', context: 0 }));
    expect(bare[0]?.patch).toContain('@@ -5 +5 @@\n-5\n+five\n');
    expect(await vcs.diff({ mode: 'branch' })).toEqual([]);
  });

  it('reports what changed since the default branch was left', async () => {
    const repo = await oddRepo({ files: { 'a.txt': '1\n', 'b.txt': '1\n' } });
    const { vcs } = repo.client;
    await repo.git('checkout', '-q', '-b', 'feature');
    await writeFile(join(repo.directory, 'a.txt'), '2\n');
    await repo.git('commit', '-q', '-a', '-m', 'on the branch');
    await repo.git('checkout', '-q', 'main');
    await writeFile(join(repo.directory, 'b.txt'), '2\n');
    await repo.git('commit', '-q', '-a', '-m', 'on main');
    await repo.git('checkout', '-q', 'feature');
    await writeFile(join(repo.directory, 'new.txt'), 'new\n');
    const diff = await vcs.diff({ mode: 'branch' });
    expect(diff.map((entry) => entry.file).toSorted()).toEqual(['a.txt', 'new.txt']);
  });

  it('applies its own patch completely or not at all', async () => {
    const repo = await oddRepo({ files: { 'a.txt': lines('5'), 'b.txt': lines('5') } });
    const { vcs } = repo.client;
    const content = (file: string): Promise<string> => readFile(join(repo.directory, file), 'utf8');
    await writeFile(join(repo.directory, 'a.txt'), lines('five'));
    await writeFile(join(repo.directory, 'b.txt'), lines('five'));
    await writeFile(join(repo.directory, 'new.txt'), 'new\n');
    const patch = await vcs.diffRaw();
    expect(patch).toMatch(/^diff --git a\/a\.txt b\/a\.txt\n/);
    await repo.git('checkout', '-q', '.');
    await writeFile(join(repo.directory, 'b.txt'), lines('another'));
    await rm(join(repo.directory, 'new.txt'));
    expect(await refusal(vcs.apply({ patch }))).toMatchObject({
      status: 400,
      serverError: 'VcsApplyError',
      body: { data: { reason: 'not-clean' } },
    });
    expect(await content('a.txt')).toBe(lines('5'));
    await repo.git('checkout', '-q', '.');
    expect(await vcs.apply({ patch })).toEqual({ applied: true });
    expect([await content('a.txt'), await content('b.txt'), await content('new.txt')]).toEqual([
      lines('five'),
      lines('five'),
      'new\n',
    ]);
  });

  it('sees and changes only what is below a subdirectory', async () => {
    const repo = await oddRepo({ files: { 'a.txt': '1\n', 'sub/b.txt': '1\n' } });
    const below = world.jarvis.forRepo(join(repo.directory, 'sub')).vcs;
    await writeFile(join(repo.directory, 'a.txt'), '2\n');
    await writeFile(join(repo.directory, 'sub/b.txt'), '2\n');
    expect((await below.status()).map((entry) => entry.file)).toEqual(['sub/b.txt']);
    const patch = await below.diffRaw();
    expect(patch).toContain('+++ b/sub/b.txt');
    const whole = await repo.client.vcs.diffRaw();
    await repo.git('checkout', '-q', '.');
    expect(await below.apply({ patch: whole })).toEqual({ applied: true });
    expect(await repo.git('diff', '--name-only')).toBe('sub/b.txt');
    await repo.git('checkout', '-q', '.');
    expect(await below.apply({ patch })).toEqual({ applied: true });
    expect(await repo.git('diff', '--name-only')).toBe('sub/b.txt');
  });
});

describe('a directory without git', () => {
  let directory: string;

  beforeAll(async () => {
    const parent = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-plain-')));
    directory = join(parent, NAME);
    await mkdir(directory);
    return () => rm(parent, { recursive: true, force: true });
  });

  it('reports no branches, changes or project for a directory without git, until it becomes a repository', async () => {
    const repo = world.jarvis.forRepo(directory);
    const { vcs, project } = repo;
    await using events = repo.events();
    await events.ready;
    await repo.warm();
    expect(await vcs.get()).toEqual({});
    expect(await vcs.status()).toEqual([]);
    expect(await vcs.diff({ mode: 'git' })).toEqual([]);
    expect(await vcs.diff({ mode: 'branch' })).toEqual([]);
    expect(await vcs.diffRaw()).toBe('');
    expect(await refusal(vcs.apply({ patch: 'x' }))).toMatchObject({
      status: 400,
      body: { name: 'VcsApplyError', data: { reason: 'non-git' } },
    });
    expect(await project.current()).toMatchObject({ id: 'global' });
    expect((await project.current()).vcs).toBeUndefined();
    expect(repo.stats().disposals.server).toBe(0);

    expect(await project.initGit()).toMatchObject({ id: 'global', worktree: directory, vcs: 'git' });
    await until(() => repo.stats().disposals.server === 1, { what: 'the disposal' });
    await repo.warm();
    expect((await vcs.get()).branch).toBeTypeOf('string');
    expect(await project.initGit()).toMatchObject({ worktree: directory });
    expect(await vcs.status()).toEqual([]);
    expect(repo.stats().disposals.server).toBe(1);
  });
});

describe('project', () => {
  it('gives a repository and its clones one project', async () => {
    const repo = await oddRepo();
    const clone = await world.repo({ cloneOf: repo });
    const { project } = repo.client;
    const current = await project.current();
    expect(current).toMatchObject({ worktree: repo.directory, vcs: 'git', sandboxes: [] });
    expect((await world.jarvis.forRepo(clone.directory).project.current()).id).toBe(current.id);
    const listed = await project.list();
    expect(listed.map(({ id }) => id)).toContain(current.id);
    const directories = await project.directories(current.id);
    expect(directories.map((entry) => entry.directory)).toContain(repo.directory);

    const changes = { name: 'Mine ü', icon: { color: 'red' }, commands: { start: 'true' } };
    expect(await project.update(current.id, changes)).toMatchObject({ id: current.id, ...changes });
    expect(await project.update(current.id, { name: '' })).toMatchObject({ ...changes, name: '' });
  });

  it('neither changes nor lists the project of another repository', async () => {
    const { client: repo } = await oddRepo();
    const other = world.jarvis.forRepo((await world.repo({ files: { 'other.txt': 'other' } })).directory);
    const { id } = await other.project.current();
    expect((await repo.project.current()).id).not.toBe(id);
    const refused = { name: 'OperationRefusedError', path: `/project/${id}` };
    await expect(repo.project.update(id, { name: 'taken over' })).rejects.toMatchObject(refused);
    await expect(repo.project.directories(id)).rejects.toMatchObject({ name: 'OperationRefusedError' });
    await expect(repo.project.update('a/b', { name: 'x' })).rejects.toMatchObject({ path: '/project/a%2Fb' });
    expect((await other.project.list()).find((one) => one.id === id)?.name).not.toBe('taken over');
  });
});

describe('config', () => {
  it('merges the configuration from all sources that apply', async () => {
    const repo = await oddRepo({
      files: { 'opencode.json': JSON.stringify({ username: 'ü', agent: { build: { steps: 7 } } }) },
    });
    const { config } = repo.client;
    const merged = await config.get();
    expect(merged).toMatchObject({ username: 'ü', model: 'scripted/scripted', share: 'disabled' });
    expect(merged.agent?.build?.steps).toBe(7);
    const { providers, default: models } = await config.providers();
    expect(providers.map((provider) => provider.id)).toEqual(['scripted']);
    expect(models).toEqual({ scripted: 'scripted' });
    expect(providers[0]?.models['scripted']).toMatchObject({
      id: 'scripted',
      providerID: 'scripted',
      limit: { context: 200_000, output: 8_192 },
      cost: { input: 1, output: 2 },
      capabilities: { toolcall: true, reasoning: true },
    });
  });

  it('rejects a broken configuration with an error that names the file and the remedy', async () => {
    const repo = await oddRepo({ files: { 'opencode.json': '{ "model": ' } });
    const error = await refusal(repo.client.config.get());
    expect(error).toMatchObject({
      status: 400,
      serverError: 'ConfigJsonError',
      body: { data: { path: join(repo.directory, 'opencode.json') } },
    });
    expect(error.message).toMatch(/restart/);
    expect(await refusal(repo.client.lsp.status())).toMatchObject({
      status: 400,
      serverError: 'ConfigJsonError',
    });
  });
});

describe('providers', () => {
  it('lists the providers with the ways to sign in', async () => {
    const { client } = await oddRepo();
    const { providers } = client;
    const list = await providers.list();
    expect(list.all.map((provider) => provider.id)).toEqual(['scripted']);
    expect(list.connected).toEqual(['scripted']);
    expect(list.default).toEqual({ scripted: 'scripted' });
    const methods = await providers.authMethods();
    expect(methods['openai']).toContainEqual(expect.objectContaining({ type: 'api' }));
    expect(await refusal(providers.oauthAuthorize('a/b', { method: 0 }))).toMatchObject({ status: 500 });
    expect(await refusal(providers.oauthCallback('a/b', { method: 0 }))).toMatchObject({
      status: 400,
      serverError: 'ProviderAuthOauthMissing',
    });
  });

  it('signs in to providers', async () => {
    // Not the odd name: the server cannot load a plugin from there.
    const files = { '.opencode/plugin/toy.js': AUTH_PLUGIN };
    const repo = await world.repo({ files });
    const clone = await world.repo({ cloneOf: repo });
    const providers = world.jarvis.forRepo(repo.directory).providers;
    const elsewhere = world.jarvis.forRepo(clone.directory).providers;
    expect((await providers.authMethods())['toy']).toEqual([
      {
        type: 'oauth',
        label: 'With a code',
        prompts: [{ type: 'text', key: 'account', message: 'Which account?' }],
      },
      { type: 'oauth', label: 'By itself' },
      { type: 'api', label: 'With a key' },
    ]);

    expect(await providers.oauthAuthorize('toy', { method: 0, inputs: { account: 'mine' } })).toEqual({
      url: 'https://example.invalid/?account=mine',
      method: 'code',
      instructions: 'Sign in',
    });
    const refused = async (promise: Promise<unknown>): Promise<unknown> =>
      (await refusal(promise)).serverError;
    expect(await refused(elsewhere.oauthCallback('toy', { method: 0, code: 'good' }))).toBe(
      'ProviderAuthOauthMissing',
    );
    expect(await refused(providers.oauthCallback('toy', { method: 0 }))).toBe('ProviderAuthOauthCodeMissing');
    expect(await refused(providers.oauthCallback('toy', { method: 0, code: 'bad' }))).toBe(
      'ProviderAuthOauthCallbackFailed',
    );
    await providers.oauthCallback('toy', { method: 0, code: 'good' });

    expect(await providers.oauthAuthorize('toy', { method: 1 })).toMatchObject({ method: 'auto' });
    await providers.oauthCallback('toy', { method: 1 });
    await expect(providers.oauthAuthorize('toy', { method: 2 })).rejects.toBeInstanceOf(ResponseShapeError);
    expect(await refusal(providers.oauthAuthorize('toy', { method: 3 }))).toMatchObject({ status: 500 });
  });
});

describe('agents, commands and skills', () => {
  it('lists the agents, commands and skills of OpenCode and of the repository', async () => {
    const { client, directory } = await oddRepo({
      files: {
        '.opencode/agent/helper.md': '---\ndescription: Helps\nmode: subagent\n---\nHelp.',
        '.opencode/command/greet.md': '---\ndescription: Greets\n---\nGreet $1, say $ARGUMENTS',
        '.opencode/skill/paint/SKILL.md': '---\nname: paint\ndescription: Paints\n---\nPaint it.',
      },
    });
    const agents = await client.agents.list();
    expect(agents.map((agent) => agent.name)).toEqual(expect.arrayContaining(['build', 'plan', 'helper']));
    const helper = agents.find((agent) => agent.name === 'helper');
    expect(helper).toMatchObject({ description: 'Helps', mode: 'subagent', native: false, prompt: 'Help.' });
    // The server sends null for what is not set.
    for (const agent of agents) expect(Object.values(agent)).not.toContain(null);

    const commands = await client.commands.list();
    expect(commands.map((command) => command.name)).toEqual(
      expect.arrayContaining(['init', 'greet', 'paint']),
    );
    expect(commands.find((command) => command.name === 'greet')).toEqual({
      name: 'greet',
      description: 'Greets',
      source: 'command',
      template: 'Greet $1, say $ARGUMENTS',
      hints: ['$1', '$ARGUMENTS'],
    });

    const skills = await client.skills.list();
    expect(skills.find((skill) => skill.name === 'paint')).toEqual({
      name: 'paint',
      description: 'Paints',
      location: join(directory, '.opencode/skill/paint/SKILL.md'),
      content: 'Paint it.',
    });
  });
});

describe('tools', () => {
  it('lists tools by id, and as a model sees them', async () => {
    const { tools } = (await oddRepo()).client;
    expect(await tools.ids()).toEqual(expect.arrayContaining(['bash', 'read', 'edit']));
    const list = await tools.list({ provider: 'scripted', model: 'scripted' });
    expect(list.find((tool) => tool.id === 'bash')).toEqual({
      id: 'bash',
      description: expect.any(String),
      parameters: expect.objectContaining({ type: 'object', properties: expect.any(Object) }),
    });
    expect(await tools.list({ provider: 'no such', model: 'model' })).not.toEqual([]);
  });
});

describe('lsp and formatter', () => {
  it('reports the running language servers and the available formatters', async () => {
    const { client, directory } = await oddRepo({ files: { 'a.toy': 'toy\n' } });
    const { lsp } = client;
    expect(await lsp.status()).toEqual([]);
    const path = join(directory, 'a.toy');
    world.model.use(({ step }) =>
      step === 0 ? [toolCall('read', { filePath: path })] : [text('It says toy.')],
    );
    await (await client.sessions.create()).prompt('What does it say?');
    const running = await until(async () => (await lsp.status())[0], { what: 'the language server' });
    expect(running).toEqual({ id: 'toy', name: 'toy', root: '', status: 'connected' });

    const formatters = await client.formatter.status();
    expect(formatters.find((formatter) => formatter.name === 'shout')).toEqual({
      name: 'shout',
      extensions: ['.shout'],
      enabled: true,
    });
  });
});

describe('log', () => {
  it('writes to the log and loads nothing', async () => {
    const { client, directory } = await oddRepo();
    const { log } = client;
    const message = `a line of ü ${Date.now()}`;
    await log.write({ service: 'test', level: 'error', message, extra: { answer: 42 } });
    await log.write({ service: 'test', level: 'debug', message: `${message}, too quiet` });
    const { home = '' } = await world.jarvis.forRepo((await world.repo()).directory).path();
    const file = join(home, '../data/opencode/log/opencode.log');
    const lines = await until(
      async () => {
        const written = (await readFile(file, 'utf8')).split('\n');
        const found = written.filter((line) => line.includes(message));
        return found.length > 0 && found;
      },
      { what: 'the line' },
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/level=ERROR .*answer=42/);
    expect(await readFile(file, 'utf8')).not.toContain(directory);
  });
});

describe('a diagnosis', () => {
  it('looks at the machine of a server that this process started, and finds all it needs', async () => {
    const findings = await world.jarvis.diagnose({ directory: (await world.repo()).directory });
    expect(Object.fromEntries(findings.map(({ check, level }) => [check, level]))).toMatchObject({
      server: 'ok',
      version: 'ok',
      git: 'ok',
      ripgrep: 'ok',
      'data-directory': 'ok',
    });
    const shown = JSON.stringify(findings);
    expect(shown).toContain(join(programs, 'rg'));
    expect(shown).not.toContain(world.jarvis.server.authorization);
  });
});
