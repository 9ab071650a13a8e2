import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JarvisOpenCode, RequestError, ServerStartError, type StartOptions } from 'jarvis-opencode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { opencodeBinary } from '../support/opencode-binary.js';
import { expectNoProcesses } from '../support/processes.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';

// What is wrong with the data directory of a server, and what comes of it: it works, or a clear error; never a server left over.

let real: RealServerOptions;
let repo: GitRepo;

beforeEach(async () => {
  real = await realServerOptions();
  repo = await gitRepo();
});

afterEach(async () => {
  await repo.dispose();
  await real.dispose();
});

const start = (options: StartOptions): Promise<JarvisOpenCode> =>
  JarvisOpenCode.start({ ...real.startOptions, ...options });

async function startFailure(options: StartOptions): Promise<ServerStartError> {
  const error = await start(options).catch((reason: unknown) => reason);
  expectNoProcesses(real.marker);
  expect(error).toBeInstanceOf(ServerStartError);
  return error as ServerStartError;
}

/** Whether this machine has what a test needs to make the trouble. */
const canRun = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;

/** An executable that prepares itself with shell commands and then becomes the real server. */
function wrapper(name: string, commands: string): string {
  const path = join(real.root, name);
  writeFileSync(path, `#!/bin/sh\n${commands}\nexec ${opencodeBinary()} "$@"\n`, { mode: 0o755 });
  return path;
}

describe('a data directory of its own', () => {
  it('makes a data directory for this user only, and the server stores everything in it', async () => {
    const dataDir = join(real.root, 'new', 'data-dir');
    await using jarvis = await start({ dataDir });
    await jarvis.forRepo(repo.directory).sessions.create();
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    for (const name of ['data', 'config', 'state', 'cache']) {
      expect(statSync(join(dataDir, name)).mode & 0o777, name).toBe(0o700);
      expect(statSync(join(dataDir, name, 'opencode')).isDirectory()).toBe(true);
    }
    expect(statSync(join(dataDir, 'data/opencode/opencode.db')).isFile()).toBe(true);
  });

  it('lets two servers share a data directory and see the sessions of each other', async () => {
    const dataDir = join(real.root, 'shared');
    await using first = await start({ dataDir });
    await using second = await start({ dataDir });
    const session = await first.forRepo(repo.directory).sessions.create({ title: 'shared' });
    const sessions = await second.forRepo(repo.directory).sessions.list();
    expect(sessions.map(({ id }) => id)).toEqual([session.id]);
  });

  it.skipIf(!canRun('python3', '--version'))(
    'fails calls while somebody else locks the database, and still ends the server',
    async () => {
      const dataDir = join(real.root, 'locked');
      await (await start({ dataDir })).close();
      const database = join(dataDir, 'data/opencode/opencode.db');
      const locker = spawn(
        'python3',
        [
          '-c',
          `import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('BEGIN EXCLUSIVE')
print('locked', flush=True)
sys.stdin.read()`,
          database,
        ],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      try {
        await once(locker.stdout, 'data');
        const jarvis = await start({ dataDir });
        const created = jarvis.forRepo(repo.directory).sessions.create();
        await expect(created).rejects.toBeInstanceOf(RequestError);
        await jarvis.close();
        expectNoProcesses(real.marker);
      } finally {
        locker.kill('SIGKILL');
        await once(locker, 'close');
      }
    },
  );

  it('names a data directory that it cannot make', async () => {
    const file = join(real.root, 'file');
    writeFileSync(file, '');
    const error = await startFailure({ dataDir: file });
    expect(error.message).toContain(`dataDir cannot be used: ${JSON.stringify(join(file, 'data'))}`);
    expect(error.cause).toMatchObject({ code: 'ENOTDIR' });
  });

  it('ends the start with the error of the server when the data directory is full', async () => {
    const command = wrapper('full', `trap '' XFSZ; ulimit -f 16`);
    const error = await startFailure({ command, dataDir: join(real.root, 'full-data') });
    expect(error.exitCode).toBe(1);
    expect(error.message).toContain('exited with code 1');
    expect(error.recentOutput.length).toBeGreaterThan(0);
  });

  it.skipIf(!canRun('prlimit', '--version'))(
    'fails calls while the data directory is full, and the server then goes on',
    async () => {
      const command = wrapper('may-be-full', `trap '' XFSZ`);
      await using jarvis = await start({ command, dataDir: join(real.root, 'full-for-a-while') });
      const limitFiles = (bytes: string): void => {
        const { status } = spawnSync('prlimit', ['--pid', String(jarvis.server.pid), `--fsize=${bytes}:`]);
        expect(status).toBe(0);
      };
      const { sessions } = jarvis.forRepo(repo.directory);
      const before = await sessions.create({ title: 'before' });
      const { pid } = jarvis.server;
      limitFiles('1');
      await expect(sessions.create({ title: 'full' })).rejects.toBeInstanceOf(RequestError);
      expect((await sessions.list()).map(({ id }) => id)).toEqual([before.id]);
      limitFiles('unlimited');
      const after = await sessions.create({ title: 'after' });
      expect((await sessions.list()).map(({ id }) => id).sort()).toEqual([before.id, after.id].sort());
      expect([jarvis.server.pid, jarvis.server.state]).toEqual([pid, 'ready']);
      await jarvis.close();
      expectNoProcesses(real.marker);
    },
  );

  it.skipIf(!canRun('unshare', '--mount', 'true'))(
    'ends the start with the error of the server when the data directory is read-only',
    async () => {
      const dataDir = join(real.root, 'read-only');
      mkdirSync(join(dataDir, 'data'), { recursive: true });
      const command = wrapper(
        'read-only-server',
        `[ -n "$UNSHARED" ] || UNSHARED=1 exec unshare --mount "$0" "$@"
       mount --bind ${dataDir} ${dataDir} && mount -o remount,ro,bind ${dataDir} || exit 99`,
      );
      const error = await startFailure({ command, dataDir });
      expect(error.exitCode).toBe(1);
      expect(error.recentOutput.join('\n')).toMatch(/EROFS|read-only/i);
    },
  );
});
