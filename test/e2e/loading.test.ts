import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  DisposeRefusedError,
  JarvisOpenCode,
  TimeoutError,
  type IdlePolicy,
  type RepoClient,
  type RepoOverview,
} from 'jarvis-opencode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';

let world: RealJarvis;
const warnings: [message: string, details: unknown][] = [];
const ignore = (): void => undefined;
beforeAll(async () => {
  world = await realJarvis({
    env: { npm_config_offline: 'true' },
    idle: { maxLoaded: 2 },
    logger: {
      debug: ignore,
      info: ignore,
      error: ignore,
      warn: (message, details) => void warnings.push([message, details]),
    },
  });
});
afterAll(() => world?.[Symbol.asyncDispose]());

async function repoWith(file: string, text: string): Promise<RepoClient> {
  const { directory } = await world.repo();
  await mkdir(dirname(join(directory, file)), { recursive: true });
  await writeFile(join(directory, file), text);
  return world.jarvis.forRepo(directory);
}

/** A plugin that is imported for so long. */
const slowPlugin = (ms: number): string =>
  `await new Promise((resolve) => setTimeout(resolve, ${ms})); export const Slow = async () => ({});`;

describe('a repository that cannot be loaded', () => {
  it.each([
    ['opencode.json', '{\n  "mcp": 5\n}', /opencode\.json", line 2: mcp: Expected object/],
    ['opencode.json', '{\n  "mcp": {},\n  oops\n', /opencode\.json", line 3, column 3: InvalidSymbol/],
    ['opencode.jsonc', '// c\n{ "mcp": 5 }', /opencode\.jsonc", line 2: mcp/],
    ['.opencode/opencode.json', '{ "mcp": 5 }', /\.opencode\/opencode\.json", line 1: mcp/],
    [
      'opencode.json',
      '{\n"username": "{file:./missing.txt}" }',
      /opencode\.json", line 2: bad file reference/,
    ],
    [
      '.opencode/agent/x.md',
      '---\ndescription: d\ntemperature: hot\n---\n',
      /x\.md", line 3: temperature: Expected/,
    ],
    ['.opencode/command/x.md', '---\nsubtask: 7\n---\nhi', /x\.md", line 2: SchemaError: Expected boolean/],
  ])(
    'loads no instance with a broken configuration, and names file, line and reason in the error: %s with %j',
    async (file, text, problem) => {
      const repo = await repoWith(file, text);
      await expect(repo.sessions.create()).rejects.toThrow(problem);
      expect(repo.stats()).toMatchObject({ state: 'broken', loaded: false, boots: 0, holds: [] });
      expect(repo.stats().error?.message).toMatch(problem);
    },
  );

  it('loads no instance with a configuration that cannot be read', async () => {
    const { directory } = await world.repo();
    await mkdir(join(directory, 'opencode.json'));
    const repo = world.jarvis.forRepo(directory);
    const broken = { status: 500, message: expect.stringContaining('server.restart()') as string };
    await expect(repo.sessions.create()).rejects.toMatchObject({ status: 500 });
    expect(repo.stats()).toMatchObject({ state: 'broken', error: broken, loaded: false, holds: [] });
    await rm(join(directory, 'opencode.json'), { recursive: true });
    await expect(repo.reload()).rejects.toMatchObject(broken);
    await world.jarvis.server.restart();
    await repo.warm();
    expect(repo.stats()).toMatchObject({ loaded: true, error: undefined });
  });

  it('displaces no other instance for a broken one, and loads that one after a repair and a restart', async () => {
    const repo = await repoWith('opencode.json', '{');
    const others = [
      world.jarvis.forRepo((await world.repo()).directory),
      world.jarvis.forRepo((await world.repo()).directory),
    ];
    for (const other of others) await other.warm();
    await expect(repo.warm()).rejects.toMatchObject({ serverError: 'ConfigJsonError' });
    await rm(join(repo.directory, 'opencode.json'));
    await expect(repo.warm()).rejects.toMatchObject({
      serverError: 'ConfigJsonError',
      message: expect.stringContaining('server.restart()') as string,
    });
    expect(others.map((other) => other.stats().loaded)).toEqual([true, true]);
    await world.jarvis.global.dispose();
    expect(others.map((other) => other.stats().disposals)).toMatchObject([
      { server: 1, cap: 0 },
      { server: 1, cap: 0 },
    ]);
    await world.jarvis.server.restart();
    expect(repo.stats()).toMatchObject({ state: 'unloaded', error: undefined });
    expect((await (await repo.sessions.create()).prompt('hi')).text).toBe('ok');
    expect(repo.stats()).toMatchObject({ loaded: true, error: undefined, boots: 1 });
  });
});

// What takes long in them is the sleep of a plugin.
describe.concurrent('the first load of a repository', () => {
  it('gives the first load a time limit of its own, before that of the call begins', async () => {
    const repo = await repoWith('.opencode/plugin/slow.js', slowPlugin(3_000));
    const calls = [repo.sessions.create({}, { timeoutMs: 2_500 }), repo.vcs.status({ timeoutMs: 2_500 })];
    expect(repo.stats()).toMatchObject({ loaded: false, boots: 0 });
    await Promise.all(calls);
    expect(repo.stats()).toMatchObject({ loaded: true, boots: 1 });
  });

  it('does not end a turn that waits for the first load', { timeout: 90_000 }, async () => {
    const repo = await repoWith('a.txt', 'a');
    const session = await repo.sessions.create();
    await repo.dispose();
    await mkdir(join(repo.directory, '.opencode/plugin'), { recursive: true });
    await writeFile(join(repo.directory, '.opencode/plugin/slow.js'), slowPlugin(17_000));
    expect((await session.prompt('hi')).text).toBe('ok');
    expect(repo.stats().boots).toBe(2);
  });

  it('rejects after bootTimeoutMs with an error that names the load it waited for', async () => {
    const { directory } = await repoWith('.opencode/plugin/slow.js', slowPlugin(4_000));
    const { url, authorization } = world.jarvis.server;
    const password = atob(authorization?.slice('Basic '.length) ?? '').split(':')[1];
    await using other = await JarvisOpenCode.connect({ url, password, bootTimeoutMs: 500 });
    const repo = other.forRepo(directory);
    const error = await repo.sessions.create().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ phase: 'boot', timeoutMs: 500 });
    expect(String(error)).toContain(`Loading the instance of ${JSON.stringify(directory)}`);
    expect(String(error)).toContain('bootTimeoutMs');
    await world.jarvis.forRepo(directory).warm();
    await repo.sessions.create();
  });
});

describe('warm()', () => {
  it('starts the MCP servers of the repository by warm()', async () => {
    const command = [process.execPath, fileURLToPath(new URL('../fixtures/mcp-server.mjs', import.meta.url))];
    const mcp = { own: { type: 'local', command } };
    const repo = await repoWith('opencode.json', JSON.stringify({ mcp }));
    await repo.warm();
    const own = world.jarvis.repos().find((each) => each.directory === repo.directory);
    expect(own).toMatchObject({ loaded: true, holds: [], processes: { count: 1 } });
  });
});

describe('reload()', () => {
  const userOf = async (repo: RepoClient): Promise<unknown> => (await repo.config.get())['username'];

  it('applies a changed configuration by reload()', async () => {
    const repo = await repoWith('opencode.json', '{ "username": "before" }');
    expect(await userOf(repo)).toBe('before');
    await writeFile(join(repo.directory, 'opencode.json'), '{ "username": "after" }');
    expect(await userOf(repo)).toBe('before');
    await repo.reload();
    expect(await userOf(repo)).toBe('after');
    expect(repo.stats()).toMatchObject({ loaded: true, boots: 2, disposals: { explicit: 1 } });
  });

  it('refuses reload() while something holds the instance, and reloads with force', async () => {
    const repo = await repoWith('a.txt', 'a');
    await repo.path();
    using _ = repo.hold('a tab');
    await expect(repo.reload()).rejects.toThrow(DisposeRefusedError);
    expect(repo.stats()).toMatchObject({ boots: 1, disposals: { explicit: 0 } });
    await repo.reload({ force: true });
    expect(repo.stats()).toMatchObject({ boots: 2, disposals: { forced: 1 } });
  });

  it('says at reload() where a configuration is broken, and after a repair that the server must be restarted', async () => {
    const repo = await repoWith('opencode.json', '{}');
    const file = join(repo.directory, 'opencode.json');
    await repo.path();
    await writeFile(file, '{\n  "mcp": 5\n}');
    await expect(repo.reload()).rejects.toThrow(/opencode\.json", line 2/);
    expect(repo.stats()).toMatchObject({ state: 'broken', loaded: false });
    await writeFile(file, '{ "username": "repaired" }');
    await expect(repo.reload()).rejects.toThrow('server.restart()');
    await world.jarvis.global.dispose();
    await world.jarvis.server.restart();
    await repo.reload();
    expect(await userOf(repo)).toBe('repaired');
  });
});

describe('a plugin that fails to load', () => {
  it.each([
    [
      '.opencode/plugin/p.js',
      'throw new Error("no luck today")',
      /Failed to load plugin file:.*p\.js: no luck today/,
    ],
    ['opencode.json', '{ "plugin": ["./missing.js"] }', /Failed to load plugin file:.*missing\.js/],
  ])(
    'logs a plugin that fails to load as a warning and shows it in stats() until the instance is disposed: %s with %j',
    async (file, text, problem) => {
      const repo = await repoWith(file, text);
      warnings.splice(0);
      await repo.sessions.create();
      expect(repo.stats()).toMatchObject({ loaded: true, pluginErrors: [expect.stringMatching(problem)] });
      expect(warnings).toContainEqual([
        'instance reported an error',
        { directory: repo.directory, error: expect.stringMatching(problem) },
      ]);
      await repo.dispose();
      expect(repo.stats().pluginErrors).toEqual([]);
    },
  );
});

describe('what others do on a server that was started here', () => {
  it.each<IdlePolicy | false>([false, { idleTimeoutMs: 1_000 }])(
    'observes the work of other clients from the start, with idle %j',
    async (idle) => {
      await using own = await realJarvis({ env: { npm_config_offline: 'true' }, idle });
      const { directory } = await own.repo();
      const { url, authorization = '' } = own.jarvis.server;
      const headers = { authorization, 'content-type': 'application/json' };
      const pinned = { ...headers, 'x-opencode-directory': encodeURIComponent(directory) };
      const created = await fetch(`${url}/session`, { method: 'POST', headers: pinned, body: '{}' });
      const { id } = (await created.json()) as { readonly id: string };
      const body = JSON.stringify({ parts: [{ type: 'text', text: 'hi' }] });
      const answered = await fetch(`${url}/session/${id}/message`, { method: 'POST', headers, body });
      expect(answered.status).toBe(200);
      const stats = (): RepoOverview | undefined =>
        own.jarvis.repos().find((each) => each.directory === directory);
      await expect.poll(() => stats()?.boots, { timeout: 20_000 }).toBe(1);
      if (idle === false) expect(stats()).toMatchObject({ loaded: true });
      else await expect.poll(() => stats()?.disposals.idle, { timeout: 20_000 }).toBe(1);
    },
  );
});
