import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { JarvisFleet, JarvisOpenCode, ServerStartError, type StartOptions } from 'jarvis-opencode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bubblewrap } from '../../examples/fleet/sandbox.js';
import { resultsOf } from '../../src/testing/real/model-turn.js';
import { fakeServer } from '../support/fixtures.js';
import { gitRepo } from '../support/git-repo.js';
import { startHost } from '../support/host-process.js';
import { text, toolCall } from '../support/model-steps.js';
import { hasOtherUser, OTHER_USER as OTHER } from '../support/other-user.js';
import { opencodeBinary } from '../support/opencode-binary.js';
import {
  descendantsOf,
  endProcessesWith,
  expectNoProcesses,
  processesWith,
  waitForNone,
} from '../support/processes.js';
import { realServerOptions } from '../support/real-opencode.js';
import { hasSandbox } from '../support/works.js';

/** In the environment of every process that a test starts, unless the wrapper clears it. */
let marker: string;

beforeEach(() => {
  marker = randomUUID();
});

afterEach(async () => {
  const left = await endProcessesWith(marker, { graceMs: 0 });
  expect(left, 'processes that the test left behind').toEqual([]);
});

function startFake(options: StartOptions): Promise<JarvisOpenCode> {
  const env = { JARVIS_TEST_MARKER: marker };
  return JarvisOpenCode.start({ command: fakeServer('asks-password'), env, ...options });
}

/** What the start behind a wrapper rejects with; by then nothing of it may run. */
async function refusal(...wrap: string[]): Promise<ServerStartError> {
  const error: unknown = await startFake({ wrap }).then(
    (jarvis) => jarvis.close(),
    (reason: unknown) => reason,
  );
  expectNoProcesses(marker);
  expect(error).toBeInstanceOf(ServerStartError);
  return error as ServerStartError;
}

describe('a command that starts the server', () => {
  it('starts the server behind a wrapper that prints first and becomes it', async () => {
    const script = 'echo 9.9.9; echo nothing listens on http://127.0.0.1:1; exec "$0" "$@"';
    await using jarvis = await startFake({ wrap: ['sh', '-c', script] });
    expect(jarvis.server).toMatchObject({ state: 'ready', version: '1.18.33' });
  });

  it('ends what a wrapper started that forks and does not pass signals on', async () => {
    const jarvis = await startFake({ wrap: ['sh', '-c', 'trap "" TERM; setsid "$0" "$@" & wait'] });
    expect(descendantsOf(jarvis.server.pid as number)).toHaveLength(1);
    await jarvis.close({ graceMs: 100 });
    expectNoProcesses(marker);
  });

  it('leaves nothing behind a wrapper when the host is killed', async () => {
    const options = {
      command: fakeServer('asks-password'),
      env: { JARVIS_TEST_MARKER: marker },
      wrap: ['sh', '-c', 'setsid sleep 1000 & setsid "$0" "$@" & wait $!'],
    };
    await using host = startHost("await start(); say('ready'); setInterval(() => {}, 1_000);", { options });
    await host.hears('ready');
    expect(processesWith(marker)).toHaveLength(3);
    host.kill('SIGKILL');
    await waitForNone(marker);
    await host.childrenGone();
  });

  it('names a wrapper that is not there', async () => {
    expect((await refusal('no-such-wrapper')).message).toMatch(
      /^The wrapper "no-such-wrapper" is not an executable file/,
    );
  });

  it('names a wrapper that hides the binary, with what it says, before the server starts', async () => {
    const error = await refusal('sh', '-c', 'echo cannot find "$0" >&2; exit 7');
    expect(error).toMatchObject({ exitCode: 7, recentOutput: [expect.stringContaining('cannot find')] });
    expect(error.message).toContain('was not started: its wrapper, asked for --version, exited with code 7');
    expect(error.command).toMatch(/^\/\S+\/sh -c .* serve /);
  });

  it('ends a server whose wrapper detached it, and says that the wrapper must stay', async () => {
    const script = '[ "$1" = --version ] && exec "$0" "$@"; setsid "$0" "$@" & exit 0';
    expect((await refusal('sh', '-c', script)).message).toContain(
      'A wrapper must stay until the server has ended',
    );
  });

  it.each([
    [
      'leaves the password out',
      ['env', '-u', 'OPENCODE_SERVER_PASSWORD'],
      'did not get OPENCODE_SERVER_PASSWORD',
    ],
    ['replaces the password', ['env', 'OPENCODE_SERVER_PASSWORD=other'], 'refuses its password (401)'],
  ])('refuses a wrapper that %s', async (_what, wrap, message) => {
    expect((await refusal(...wrap)).message).toContain(message);
  });

  it('names the variables of options that a wrapper does not pass on', async () => {
    const wrap = ['env', '-u', 'OPENCODE_DISABLE_PROJECT_CONFIG', '-u', 'OPENCODE_CONFIG_CONTENT'];
    await expect(startFake({ wrap, trustProjectConfig: false, config: {} })).rejects.toThrow(
      'did not get OPENCODE_CONFIG_CONTENT, OPENCODE_DISABLE_PROJECT_CONFIG: its wrapper must pass the environment on',
    );
  });
});

describe.runIf(hasSandbox)('a real server in a sandbox (skipped where bwrap is missing or forbidden)', () => {
  it('shows its tools the repository alone, counts only their processes, and leaves none', async () => {
    await using repo = await gitRepo();
    await using other = await gitRepo();
    await using real = await realServerOptions({
      script: (turn) =>
        turn.step > 0
          ? [text(resultsOf(turn)[0]?.output ?? '')]
          : [
              toolCall('bash', {
                command: `ls ${dirname(other.directory)} .; touch ${repo.directory}/made`,
                description: 'Look',
              }),
            ],
    });
    // The repository of this package may be in a temporary directory too.
    const packages = join(dirname(opencodeBinary()), '../..');
    const writable = [dirname(repo.directory), real.root];
    await using jarvis = await JarvisOpenCode.start({
      ...real.startOptions,
      cwd: repo.directory,
      wrap: bubblewrap({ writable, hidden: [tmpdir()], readable: [packages] }),
    });
    const session = await jarvis.forRepo(repo.directory).sessions.create();
    const answer = await session.prompt('Look around');
    expect(answer.text).toContain('No such file or directory');
    expect(answer.text).toContain('README.md');
    expect(existsSync(join(repo.directory, 'made'))).toBe(true);
    // bwrap has a child that is the first process of the namespace, and that starts the server.
    expect(descendantsOf(jarvis.server.pid as number)).toHaveLength(2);
    expect(jarvis.repos()[0]?.processes).toEqual({ count: 0, rssBytes: 0 });
    await jarvis.close();
    expectNoProcesses(real.marker);
  });
});

describe.runIf(hasOtherUser())('a fleet without privilege (skipped unless root)', () => {
  it('rejects the requests of a server of another user, naming it, and goes on with the others', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'jarvis-user-'));
    chmodSync(dataDir, 0o777);
    const options = { command: fakeServer('asks-password'), env: { JARVIS_TEST_MARKER: marker } };
    const user = { uid: OTHER + 1, gid: OTHER + 1 };
    const fleet = await JarvisFleet.start({
      servers: { main: options, strangers: { ...options, dataDir: join(dataDir, 'theirs'), user } },
    });
    try {
      process.seteuid?.(OTHER);
      const refused = fleet.server('strangers').global.health();
      await expect(refused).rejects.toBeInstanceOf(ServerStartError);
      await expect(refused).rejects.toThrow(/the server "strangers".*may not start a server as user/);
      await fleet.server('main').global.health();
    } finally {
      process.seteuid?.(0);
      await fleet.close();
      rmSync(dataDir, { recursive: true });
    }
  });
});

describe.runIf(hasOtherUser())(
  'a real server of another user (skipped unless root, with a temporary directory open to others)',
  () => {
    it('works as that user in its own directories, and cannot read or write what belongs to the host', async () => {
      await using repo = await gitRepo();
      await using foreign = await gitRepo();
      await using real = await realServerOptions({
        script: (turn) =>
          turn.step > 0
            ? [text(resultsOf(turn)[0]?.output ?? '')]
            : [
                toolCall('bash', {
                  command: `id -u; echo $HOME $USER; cat ${real.root}/secret; touch ${foreign.directory}/x; echo hi > made`,
                  description: 'Look',
                }),
              ],
      });
      chmodSync(real.root, 0o711);
      // Where the repository of this package is may be closed to that user.
      const command = join(real.root, 'opencode');
      copyFileSync(opencodeBinary(), command);
      writeFileSync(join(real.root, 'secret'), 'the secret of the host', { mode: 0o600 });
      for (const { directory } of [repo, foreign]) chmodSync(dirname(directory), 0o711);
      execFileSync('chown', ['-R', `${OTHER}:${OTHER}`, repo.directory]);
      const dataDir = join(real.root, 'of-other', 'data');

      await using jarvis = await JarvisOpenCode.start({
        ...real.startOptions,
        command,
        cwd: undefined,
        env: { ...real.startOptions.env, TMPDIR: undefined },
        dataDir,
        user: { uid: OTHER, gid: OTHER },
      });
      expect(statSync(`/proc/${jarvis.server.pid}`).uid).toBe(OTHER);
      expect(() => jarvis.forRepo(foreign.directory)).toThrow(expect.objectContaining({ reason: 'owner' }));
      const closed = join(real.root, 'closed');
      mkdirSync(closed, { mode: 0o700 });
      expect(() => jarvis.forRepo(closed)).toThrow(expect.objectContaining({ reason: 'unreadable' }));

      const client = jarvis.forRepo(repo.directory);
      expect((await client.vcs.get()).branch).toBe('main');
      const { text: said } = await (await client.sessions.create()).prompt('Who are you?');
      expect(said).toContain(`${OTHER}\n${dataDir}/home ${OTHER}\n`);
      expect(said).not.toContain('the secret of the host');
      expect(existsSync(join(foreign.directory, 'x'))).toBe(false);
      expect(statSync(join(repo.directory, 'made')).uid).toBe(OTHER);
      expect(statSync(join(dataDir, 'data/opencode/opencode.db'))).toMatchObject({ uid: OTHER, gid: OTHER });
      expect(statSync(dataDir).mode & 0o777).toBe(0o700);
      await jarvis.close();
      expectNoProcesses(real.marker);
    });
  },
);
