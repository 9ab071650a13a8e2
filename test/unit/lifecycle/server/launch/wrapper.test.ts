import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { usageOf } from '../../../../../src/lifecycle/process/usage.js';
import { ProcessTree } from '../../../../../src/lifecycle/process/process-tree.js';
import { droppedBehind, serverBehind } from '../../../../../src/lifecycle/server/launch/wrapper.js';
import { until } from '../../../../support/wait.js';

let child: ChildProcess;
let tree: ProcessTree;

afterEach(async () => {
  await until(() => !tree.kill());
});

/** Runs a shell script as a wrapper; resolves when its tree has that many processes. Each `sleep` is a server. */
async function wrapped(script: string, processes: number): Promise<number> {
  const marker = randomUUID();
  const env = { PATH: process.env['PATH'], JARVIS_OPENCODE_SERVER: marker, KEPT: 'yes' };
  child = spawn('/bin/sh', ['-c', script], { detached: true, env, stdio: 'ignore' });
  tree = new ProcessTree(child.pid, marker);
  await until(() => tree.scan().length === processes);
  return child.pid as number;
}

describe.runIf(process.platform === 'linux')('the server behind a wrapper', () => {
  it('is the process that runs the binary, also when that has lost its parent', async () => {
    const pid = await wrapped(
      '(setsid sh -c "sleep 1000; true" &) ; sh -c "sh -c true; read x < /dev/zero"',
      4,
    );
    const server = serverBehind(pid, tree, '/bin/sleep');
    expect(tree.scan().map((entry) => entry.pid)).toContain(server);
    expect(server).not.toBe(pid);
  });

  it('is the end of the chain of only children when the binary is a script', async () => {
    const pid = await wrapped('sh -c "sleep 1000; true"; true', 3);
    const server = serverBehind(pid, tree, import.meta.filename);
    const parents = new Set(tree.scan().map((entry) => entry.parent));
    expect(parents).not.toContain(server);
  });

  it('counts for a directory only what is below it, and for the whole everything', async () => {
    const pid = await wrapped('sh -c "sleep 1000 & sleep 1000; true"; true', 4);
    const server = tree.scan().find((entry) => entry.parent === pid)?.pid;
    expect(usageOf(pid)).toMatchObject({ total: { count: 4 } });
    expect(usageOf(pid)?.byDirectory.get(process.cwd())?.count).toBe(3);
    expect(usageOf(pid, server)).toMatchObject({ total: { count: 4 } });
    expect(usageOf(pid, server)?.byDirectory.get(process.cwd())?.count).toBe(2);
  });

  it('lacks variables that its environment has not, and the password when it answers without', async () => {
    const pid = await wrapped('exec sleep 1000', 1);
    const refuses = (): Promise<never> => Promise.reject(new Error('401'));
    const answers = (): Promise<{ healthy: true; version: string }> =>
      Promise.resolve({ healthy: true, version: '1.18.33' });
    const { signal } = new AbortController();
    await until(() => tree.leader !== undefined);
    expect(await droppedBehind(pid, ['KEPT', 'LOST'], refuses, signal)).toEqual(['LOST']);
    expect(await droppedBehind(pid, ['KEPT'], refuses, signal)).toEqual([]);
    expect(await droppedBehind(pid, ['KEPT'], answers, signal)).toEqual(['OPENCODE_SERVER_PASSWORD']);
  });
});
