import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { JarvisFleet } from 'jarvis-opencode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bubblewrap, scope } from '../../examples/fleet/sandbox.js';
import { resultsOf } from '../../src/testing/real/model-turn.js';
import { gitRepo } from '../support/git-repo.js';
import { startHost } from '../support/host-process.js';
import { text, toolCall } from '../support/model-steps.js';
import { hasOtherUser, OTHER_USER } from '../support/other-user.js';
import { opencodeBinary } from '../support/opencode-binary.js';
import { commandLineOf, processesWith, waitForNone } from '../support/processes.js';
import { TAKING_TOOL } from '../support/repo-tools.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';
import { until } from '../support/wait.js';
import { hasSandbox, works } from '../support/works.js';

// What separates the servers of a fleet, and what is left of them when their host is killed, on the real one: `npm run test:fleet`.

const PATIENCE = { timeoutMs: 120_000 };

let real: RealServerOptions;

beforeEach(async () => {
  real = await realServerOptions({
    // A prompt is a command, or names a tool, and its answer is what that printed.
    script: (turn) => {
      if (turn.step > 0) return [text(resultsOf(turn)[0]?.output ?? '')];
      if (turn.prompt === 'take') return [toolCall('take', {})];
      return [toolCall('bash', { command: turn.prompt, description: 'Run' })];
    },
  });
});
afterEach(() => real.dispose());

describe.runIf(hasOtherUser() && hasSandbox)(
  'a host with a plain server, one of another user, and one in a sandbox (skipped unless root, with bwrap)',
  () => {
    it('separates their users and files, and leaves no process of any when it is killed in their turns', async () => {
      await using main = await gitRepo();
      await using foreign = await gitRepo();
      await using boxed = await gitRepo();
      chmodSync(real.root, 0o711);
      // Where the repository of this package is may be closed to the other user.
      const command = join(real.root, 'opencode');
      copyFileSync(opencodeBinary(), command);
      const secret = join(dirname(main.directory), 'secret');
      writeFileSync(secret, 'the secret of the host', { mode: 0o600 });
      for (const { directory } of [main, foreign]) chmodSync(dirname(directory), 0o711);
      execFileSync('chown', ['-R', `${OTHER_USER}:${OTHER_USER}`, foreign.directory]);
      const { config, cwd } = real.startOptions;
      const data = (name: string): string => join(real.root, `of-${name}`);
      const servers = {
        main: { config, cwd, dataDir: data('main') },
        foreign: { config, command, dataDir: data('foreign'), user: { uid: OTHER_USER, gid: OTHER_USER } },
        boxed: {
          config,
          cwd: boxed.directory,
          dataDir: data('boxed'),
          wrap: bubblewrap({
            writable: [dirname(boxed.directory), real.root],
            hidden: ['/root', tmpdir()],
            readable: [join(dirname(opencodeBinary()), '../..')],
          }),
        },
      };
      const look = [
        'echo user $(id -u)',
        `echo secret $(cat ${secret})`,
        'echo home of root $(ls -A /root | wc -l)',
        `echo repository $(ls ${main.directory})`,
        `touch ${main.directory}/by-$(id -u)`,
      ];
      const prompt = `(${look.join('; ')}) 2>/dev/null; true`;
      const placements = [
        ['main', main.directory],
        ['foreign', foreign.directory],
        ['boxed', boxed.directory],
      ];
      await using host = startHost(
        `import { JarvisFleet } from './src/index.ts';
         const servers = ${JSON.stringify(servers)};
         servers.foreign.env = { TMPDIR: undefined };
         const fleet = await JarvisFleet.start({ servers });
         const placements = ${JSON.stringify(placements)};
         for (const [server, directory] of placements) {
           const { text } = await fleet.forRepo(directory, { server }).prompt(${JSON.stringify(prompt)});
           say(JSON.stringify(text));
           say(server + ' answered');
         }
         for (const [, directory] of placements)
           fleet.forRepo(directory).prompt('sleep 1000').catch(() => {});
         say('asked');
         setInterval(() => {}, 1000);`,
        { options: {}, env: { ...real.env } },
      );
      for (const name of Object.keys(servers)) await host.hears(`${name} answered`);
      await host.hears('asked');
      const answers = host.said().filter((line) => line.startsWith('"'));
      const home = readdirSync('/root').length;
      expect(answers.map((line) => (JSON.parse(line) as string).trim())).toEqual([
        `user 0\nsecret the secret of the host\nhome of root ${home}\nrepository README.md`,
        `user ${OTHER_USER}\nsecret\nhome of root 0\nrepository README.md by-0`,
        'user 0\nsecret\nhome of root 0\nrepository',
      ]);
      expect(readdirSync(main.directory).filter((name) => name.startsWith('by-'))).toEqual(['by-0']);
      expect(statSync(data('foreign'))).toMatchObject({ uid: OTHER_USER, gid: OTHER_USER });
      expect(existsSync(join(data('foreign'), 'data/opencode/opencode.db'))).toBe(true);

      const sleeping = (): number =>
        processesWith(real.marker).filter((pid) => commandLineOf(pid) === 'sleep 1000').length;
      await until(() => sleeping() === 3, { ...PATIENCE, what: 'the tools' });
      host.kill('SIGKILL');
      await waitForNone(real.marker);
      await host.childrenGone();
    });
  },
);

describe('the data directory of a fleet', () => {
  it('takes 8 servers that start at once in a fresh one', async () => {
    const dataDir = join(real.root, 'shared');
    const shared = { ...real.startOptions, dataDir, start: 'now' } as const;
    const names = Array.from({ length: 8 }, (_, index) => `s${index}`);
    await using fleet = await JarvisFleet.start({
      servers: Object.fromEntries(names.map((name) => [name, shared])),
    });
    expect(fleet.servers().map(({ state, starts }) => `${state} ${starts}`)).toEqual(
      Array(8).fill('ready 1'),
    );
    await using repo = await gitRepo();
    const { id } = await fleet.forRepo(repo.directory, { server: 's7' }).sessions.create();
    expect((await fleet.forRepo(repo.directory).sessions.list()).map((session) => session.id)).toEqual([id]);
  });
});

// Containers and sessions of other users have no bus.
const hasUserBus = works('systemd-run', '--user', '--scope', '--quiet', 'true');

describe.runIf(hasUserBus)(
  'a server in a scope of systemd (skipped where systemd-run --user --scope does not work)',
  () => {
    it('is ended alone when it exceeds its memory, and starts again', async () => {
      await using main = await gitRepo();
      await using heavy = await gitRepo({ files: { '.opencode/tool/take.js': TAKING_TOOL } });
      const { startOptions } = real;
      await using fleet = await JarvisFleet.start({
        servers: {
          main: { ...startOptions, dataDir: join(real.root, 'data', 'main') },
          heavy: {
            ...startOptions,
            // The bus is found by these.
            env: {
              ...startOptions.env,
              XDG_RUNTIME_DIR: process.env['XDG_RUNTIME_DIR'],
              DBUS_SESSION_BUS_ADDRESS: process.env['DBUS_SESSION_BUS_ADDRESS'],
            },
            dataDir: join(real.root, 'data', 'heavy'),
            wrap: scope({ memoryMax: '1G', cpuQuota: '200%' }),
          },
        },
      });
      const inHeavy = fleet.forRepo(heavy.directory, { server: 'heavy' });
      await inHeavy.prompt('true');
      await expect(inHeavy.prompt('take')).rejects.toMatchObject({ reason: 'interrupted' });
      await fleet.forRepo(main.directory).prompt('true');
      await inHeavy.prompt('true');
      expect(fleet.servers()[0]).toMatchObject({ state: 'ready', starts: 1 });
    });
  },
);
