import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GuardKinds } from '../../src/lifecycle/guards/guards.js';
import { fakeServer, mcpServer } from '../support/fixtures.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { startHost, type HostProcess } from '../support/host-process.js';
import {
  commandLineOf,
  endProcessesWith,
  groupMembers,
  isAlive,
  processesWith,
  waitForNone,
} from '../support/processes.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';
import { toolCall } from '../support/model-steps.js';
import { until } from '../support/wait.js';

// A host that is killed without a word, while its server does what is hardest to end: a tool in the middle of `sleep 600`, one that
// left its session and lost its parent, an MCP server that ignores every hint, and one whose child holds its pipes.

const NONE: GuardKinds = { parentDeath: false, reaper: false, record: false };

const tools = [
  toolCall('bash', { command: '(setsid sleep 601 < /dev/null > /dev/null 2>&1 &)', description: 'Leave' }),
  toolCall('bash', { command: 'sleep 600', description: 'Wait' }),
];

let real: RealServerOptions;
let repo: GitRepo;
/** For the records of servers, so that they are not those of other tests. */
let tmp: string;

beforeEach(async () => {
  real = await realServerOptions({
    config: {
      mcp: { stubborn: mcpServer({ stubborn: true }), forks: mcpServer({ forks: true, stubborn: true }) },
    },
    script: () => tools,
  });
  repo = await gitRepo();
  tmp = mkdtempSync(join(tmpdir(), 'jarvis-chaos-'));
});

afterEach(async () => {
  rmSync(tmp, { recursive: true, force: true });
  await repo.dispose();
  await real.dispose();
});

function busyHost(guards: GuardKinds): HostProcess {
  const { config, cwd } = real.startOptions;
  return startHost(
    `const jarvis = await start();
     say(String(jarvis.server.pid));
     const session = await jarvis.forRepo(${JSON.stringify(repo.directory)}).sessions.create();
     session.prompt('wait').catch(() => undefined);
     say('prompted');`,
    { options: { config, cwd }, guards, env: { ...real.env, TMPDIR: tmp } },
  );
}

/** The pid of the server, once all it was to start is there: both tools, two MCP servers and the child of one. */
async function everythingRuns(host: HostProcess): Promise<number> {
  await host.hears('prompted');
  const commands = ['sleep 600', 'sleep 601', 'sleep 1000', '--stubborn', '--forks'];
  const isThere = (command: string): boolean =>
    processesWith(real.marker).some((pid) => commandLineOf(pid).endsWith(command));
  await until(() => commands.every(isThere), { what: 'the tools and the MCP servers', timeoutMs: 60_000 });
  return Number(host.said()[0]);
}

/** Nothing is left, by environment, by process group and by parent, in at most 5 s. */
async function expectNothingLeft(server: number, host: HostProcess): Promise<void> {
  await waitForNone(real.marker);
  await host.childrenGone();
  expect(groupMembers(server).map(commandLineOf)).toEqual([]);
}

describe('a host that is killed while its server works', () => {
  it.each<[what: string, guards: GuardKinds]>([
    ['all guards', { parentDeath: true, reaper: true, record: true }],
    ['the reaper alone', { ...NONE, reaper: true }],
  ])('leaves nothing of a killed host, with %s', async (_what, guards) => {
    await using host = busyHost(guards);
    const server = await everythingRuns(host);
    host.kill('SIGKILL');
    await expectNothingLeft(server, host);
    expect(readdirSync(tmp).filter((name) => name.startsWith('jarvis-opencode'))).toEqual([]);
  });

  it('leaves no server of a killed host, with the flag of its runtime alone', async () => {
    await using host = busyHost({ ...NONE, parentDeath: true });
    const server = await everythingRuns(host);
    host.kill('SIGKILL');
    await until(() => !isAlive(server), { timeoutMs: 5_000 });
    // Why it is not the only guard.
    expect(processesWith(real.marker).map(commandLineOf)).toContain('sleep 601');
    await endProcessesWith(real.marker, { graceMs: 0 });
  });

  it('ends at the next start what a killed host left, with the record alone', async () => {
    await using host = busyHost({ ...NONE, record: true });
    const server = await everythingRuns(host);
    host.kill('SIGKILL');
    await host.ended;
    expect(isAlive(server)).toBe(true);
    await using next = startHost(`await start(); say('started');`, {
      options: { command: fakeServer('floods') },
      env: { ...process.env, TMPDIR: tmp },
    });
    await next.hears('started');
    await expectNothingLeft(server, host);
  });
});
