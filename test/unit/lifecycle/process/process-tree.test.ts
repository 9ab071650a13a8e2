import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { markerText, ProcessFamily } from '../../../../src/lifecycle/process/process-tree.js';
import { commandLineOf, isAlive, processesWith } from '../../../support/processes.js';
import { until } from '../../../support/wait.js';

let marker: string;
let child: ChildProcess;

beforeEach(() => {
  marker = randomUUID();
});

afterEach(() => {
  for (const pid of processesWith(marker)) process.kill(pid, 'SIGKILL');
});

/** Runs a shell in a group of its own; everything it starts carries the marker, under the name given. */
async function family(script: string, variable = 'JARVIS_OPENCODE_SERVER'): Promise<ProcessFamily> {
  const env = { PATH: process.env['PATH'], [variable]: marker };
  child = spawn('/bin/sh', ['-c', `${script}\necho ready; sleep 1000`], {
    detached: true,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return new ProcessFamily(child.pid, marker);
}

const commands = (found: readonly { readonly pid: number }[]): string[] =>
  found.map(({ pid }) => commandLineOf(pid)).filter((command) => command.startsWith('sleep'));

describe.skipIf(process.platform !== 'linux')('the family of a server', () => {
  it('is its group and its descendants, also without a marker', async () => {
    const members = await family('sleep 1001 & setsid sleep 1002 &', 'JARVIS_TEST_OTHER');
    await until(() => commands(members.look()).length === 3);
    expect(commands(members.look()).sort()).toEqual(['sleep 1000', 'sleep 1001', 'sleep 1002']);
  });

  it('has those who left it and lost their parent, by its marker', async () => {
    const members = await family('(setsid sleep 1003 &)');
    await until(() => commands(members.look()).includes('sleep 1003'));
  });

  it('remembers whom it has seen, also when the one who led to them is gone', async () => {
    const members = await family('setsid sleep 1004 &', 'JARVIS_TEST_OTHER');
    await until(() => commands(members.look()).includes('sleep 1004'));
    process.kill(child.pid as number, 'SIGKILL');
    await once(child, 'exit');
    expect(commands(members.look())).toContain('sleep 1004');
  });

  it('is gone when it was killed, and says so', async () => {
    const members = await family('trap "" TERM; (setsid sleep 1005 &); sleep 1006 &');
    await until(() => commands(members.look()).length === 3);
    expect(members.kill()).toBe(true);
    await until(() => !members.kill());
    expect(processesWith(marker)).toEqual([]);
  });

  it('without a pid is only those who carry the marker; this process never belongs to it', async () => {
    const stranger = spawn('sleep', ['1007'], { stdio: 'ignore' });
    try {
      const members = new ProcessFamily(undefined, marker);
      expect(members.look()).toEqual([]);
      expect(members.kill()).toBe(false);
      expect(isAlive(stranger.pid as number)).toBe(true);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('is marked by a variable that has one name', () => {
    expect(markerText('x')).toBe('JARVIS_OPENCODE_SERVER=x');
  });
});
