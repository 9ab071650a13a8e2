import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { markerText, ProcessTree } from '../../../../src/lifecycle/process/process-tree.js';
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
async function treeOf(script: string, variable = 'JARVIS_OPENCODE_SERVER'): Promise<ProcessTree> {
  const env = { PATH: process.env['PATH'], [variable]: marker };
  child = spawn('/bin/sh', ['-c', `${script}\necho ready; sleep 1000`], {
    detached: true,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return new ProcessTree(child.pid, marker);
}

const commands = (found: readonly { readonly pid: number }[]): string[] =>
  found.map(({ pid }) => commandLineOf(pid)).filter((command) => command.startsWith('sleep'));

describe.skipIf(process.platform !== 'linux')('the process tree of a server', () => {
  it('finds the group of the server and its descendants, also without a marker', async () => {
    const members = await treeOf('sleep 1001 & setsid sleep 1002 &', 'JARVIS_TEST_OTHER');
    await until(() => commands(members.scan()).length === 3);
    expect(commands(members.scan()).sort()).toEqual(['sleep 1000', 'sleep 1001', 'sleep 1002']);
  });

  it('finds by its marker a process that left the group and lost its parent', async () => {
    const members = await treeOf('(setsid sleep 1003 &)');
    await until(() => commands(members.scan()).includes('sleep 1003'));
  });

  it('remembers the processes it has seen, also when their parent is gone', async () => {
    const members = await treeOf('setsid sleep 1004 &', 'JARVIS_TEST_OTHER');
    await until(() => commands(members.scan()).includes('sleep 1004'));
    process.kill(child.pid as number, 'SIGKILL');
    await once(child, 'exit');
    expect(commands(members.scan())).toContain('sleep 1004');
  });

  it('kills the process tree, and reports that it is gone', async () => {
    const members = await treeOf('trap "" TERM; (setsid sleep 1005 &); sleep 1006 &');
    await until(() => commands(members.scan()).length === 3);
    expect(members.kill()).toBe(true);
    await until(() => !members.kill());
    expect(processesWith(marker)).toEqual([]);
  });

  it('finds without a pid only the processes with the marker, and never this process', async () => {
    const stranger = spawn('sleep', ['1007'], { stdio: 'ignore' });
    try {
      const members = new ProcessTree(undefined, marker);
      expect(members.scan()).toEqual([]);
      expect(members.kill()).toBe(false);
      expect(isAlive(stranger.pid as number)).toBe(true);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('marks the process tree by the variable JARVIS_OPENCODE_SERVER', () => {
    expect(markerText('x')).toBe('JARVIS_OPENCODE_SERVER=x');
  });
});
