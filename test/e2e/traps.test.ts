import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  JarvisOpenCode,
  RepoPathError,
  ServerStartError,
  type Logger,
  type StartOptions,
} from 'jarvis-opencode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { fakeServer } from '../support/fixtures.js';
import { startHost } from '../support/host-process.js';
import { opencodeBinary } from '../support/opencode-binary.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';

const isRoot = process.getuid?.() === 0;
const OTHER = 54_321;

let real: RealServerOptions;
let repo: GitRepo;
let warnings: unknown[][];
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (...entry) => void warnings.push(entry),
  error: () => undefined,
};

beforeEach(async () => {
  warnings = [];
  real = await realServerOptions({ config: { snapshot: true } });
  repo = await gitRepo();
});

afterEach(async () => {
  await real.dispose();
  await repo.dispose();
});

const start = (options: StartOptions = {}): Promise<JarvisOpenCode> =>
  JarvisOpenCode.start({ ...real.startOptions, ...options });

/** For what is refused before the server is asked anything. */
const startFake = (options: StartOptions = {}): Promise<JarvisOpenCode> =>
  start({ ...options, command: fakeServer('healthy') });

describe('a data directory inside the repository', () => {
  it('refuses a data directory inside the repository by name, before a snapshot contains itself', async () => {
    await using jarvis = await startFake({ dataDir: join(repo.directory, '.agent-data') });
    const asked = (): unknown => jarvis.forRepo(repo.directory);
    expect(asked).toThrow(RepoPathError);
    expect(asked).toThrow(expect.objectContaining({ reason: 'data-directory' }));
  });

  it('accepts a data directory inside the repository when the configuration switches snapshots off, and takes none', async () => {
    writeFileSync(join(repo.directory, 'opencode.json'), '{ "snapshot": false } // no snapshots\n');
    const { snapshot: _, ...config } = real.startOptions.config ?? {};
    await using jarvis = await start({ dataDir: join(repo.directory, '.agent-data'), config });
    const session = await jarvis.forRepo(repo.directory).sessions.create();
    for (const prompt of ['one', 'two']) expect((await session.prompt(prompt)).text).toBe('ok');
    expect(existsSync(join(repo.directory, '.agent-data/data/opencode/opencode.db'))).toBe(true);
    expect(existsSync(join(repo.directory, '.agent-data/data/opencode/snapshot'))).toBe(false);
  });

  it('accepts a data directory inside the repository that git ignores, with snapshots as small as the repository', async () => {
    writeFileSync(join(repo.directory, '.gitignore'), '.agent-data/\n');
    await using jarvis = await start({ dataDir: join(repo.directory, '.agent-data') });
    const session = await jarvis.forRepo(repo.directory).sessions.create();
    for (const prompt of ['one', 'two', 'three']) expect((await session.prompt(prompt)).text).toBe('ok');
    const snapshots = join(repo.directory, '.agent-data/data/opencode/snapshot');
    const kilobytes = Number(execFileSync('du', ['-sk', snapshots], { encoding: 'utf8' }).split('\t')[0]);
    expect(kilobytes).toBeLessThan(2_000);
  });

  it('warns only when the data directory is the one of the user', async () => {
    const env = { ...real.startOptions.env, HOME: repo.directory, XDG_DATA_HOME: undefined };
    await using jarvis = await startFake({ env, logger });
    jarvis.forRepo(repo.directory);
    jarvis.forRepo(`${repo.directory}/`);
    expect(warnings.filter(([message]) => String(message).includes('snapshots'))).toEqual([
      [
        expect.stringContaining('data directory'),
        { directory: repo.directory, dataDirectory: join(repo.directory, '.local/share/opencode') },
      ],
    ]);
  });
});

describe.runIf(isRoot)('what belongs to another user', () => {
  it('refuses a repository of another user unless the server trusts it', async () => {
    chownSync(repo.directory, OTHER, OTHER);
    {
      await using jarvis = await startFake();
      expect(() => jarvis.forRepo(repo.directory)).toThrow(expect.objectContaining({ reason: 'owner' }));
    }
    const env = {
      ...real.startOptions.env,
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: repo.directory,
    };
    await using jarvis = await start({ env });
    expect((await jarvis.forRepo(repo.directory).vcs.get()).branch).toBe('main');
  });

  it('names a data directory of another user that the server cannot write to', async () => {
    const command = join(real.root, 'as-another-user');
    writeFileSync(
      command,
      `#!/bin/sh\nexec setpriv --reuid=${OTHER} --clear-groups ${opencodeBinary()} "$@"\n`,
    );
    chmodSync(command, 0o755);
    chmodSync(real.root, 0o711);
    const dataDir = join(real.root, 'private');
    const error: unknown = await start({ command, dataDir }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ServerStartError);
    expect((error as Error).message).toMatch(/cannot write to ".*", which belongs to user 0\b/);
  });
});

it('refuses a directory with a backslash anywhere in its path', async () => {
  await using jarvis = await startFake();
  const directory = join(repo.directory, 'a\\b', 'inner');
  mkdirSync(directory, { recursive: true });
  for (const path of [directory, join(repo.directory, 'a\\b')])
    expect(() => jarvis.forRepo(path)).toThrow(expect.objectContaining({ reason: 'backslash' }));
  await using guest = await JarvisOpenCode.connect({ url: jarvis.server.url, ...passwordOf(jarvis) });
  expect(() => guest.forRepo('/srv/a\\b')).toThrow(expect.objectContaining({ reason: 'backslash' }));
  expect(guest.forRepo('C:\\srv').directory).toBe('C:\\srv');
});

function passwordOf(jarvis: JarvisOpenCode): { readonly password: string } {
  const token = (jarvis.server.authorization ?? '').replace('Basic ', '');
  return { password: atob(token).replace('opencode:', '') };
}

describe('first starts at once on one data directory', () => {
  it('starts four servers of two processes at once on one data directory', async () => {
    const dataDir = join(real.root, 'fresh');
    const options: StartOptions = { ...real.startOptions, dataDir };
    const body = `const all = await Promise.allSettled([1, 2].map(() => start()));
      for (const { status, reason } of all) say(status === 'fulfilled' ? 'up' : String(reason));
      await Promise.all(all.map(({ value }) => value?.close()));
      say('closed');`;
    const hosts = [1, 2].map(() => startHost(body, { options, env: real.env }));
    try {
      await Promise.all(hosts.map((host) => host.ended));
      const said = hosts.flatMap((host) => host.said());
      expect(said).toEqual(['up', 'up', 'closed', 'up', 'up', 'closed']);
    } finally {
      for (const host of hosts) await host[Symbol.asyncDispose]();
    }
    expect(existsSync(join(dataDir, 'data/opencode/jarvis-opencode-start.lock'))).toBe(false);
  }, 120_000);

  it('repeats a first start when a foreign server was faster', async () => {
    const starts = join(real.root, 'starts');
    const env = { ...real.startOptions.env, JARVIS_TEST_STARTS: starts };
    await using jarvis = await start({ command: fakeServer('loses-database-race'), env });
    expect(jarvis.server.state).toBe('ready');
    expect(readFileSync(starts, 'utf8')).toBe('start\nstart\nstart\n');
  });

  it('does not repeat a first start when the server exits for another reason', async () => {
    const error: unknown = await start({ command: fakeServer('exits-at-once') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: 'ServerStartError', exitCode: 3 });
  });
});
