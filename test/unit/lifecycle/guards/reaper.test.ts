import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { REAPER_SCRIPT, REAPER_SHELL } from '../../../../src/lifecycle/guards/reaper-script.js';
import { Reaper } from '../../../../src/lifecycle/guards/reaper.js';
import { markerText } from '../../../../src/lifecycle/process/process-tree.js';
import { findProcess } from '../../../../src/lifecycle/process/process-table.js';
import {
  commandLineOf,
  descendantsOf,
  isAlive,
  processesWith,
  waitForNone,
} from '../../../support/processes.js';
import { until } from '../../../support/wait.js';

let marker: string;

beforeEach(() => {
  marker = randomUUID();
});

afterEach(() => {
  for (const pid of processesWith(marker)) process.kill(pid, 'SIGKILL');
});

/** A process in a group of its own, and one that has left it. */
async function server(): Promise<number> {
  const child = spawn('/bin/sh', ['-c', '(setsid sleep 1001 &); sleep 1000 & echo ready; wait'], {
    detached: true,
    env: { PATH: process.env['PATH'], JARVIS_OPENCODE_SERVER: marker },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  await until(() => processesWith(marker).some((pid) => commandLineOf(pid) === 'sleep 1001'));
  return child.pid as number;
}

/** Runs the reaper's shell with this input, as the end of a host leaves it. */
async function guard(input: string, runtime: string): Promise<number | null> {
  const args = ['-c', REAPER_SHELL, 'reaper', runtime, markerText(marker)];
  const env = { PATH: process.env['PATH'], JARVIS_OPENCODE_REAPER: REAPER_SCRIPT };
  const shell = spawn('/bin/sh', args, { env, stdio: ['pipe', 'ignore', 'inherit'] });
  shell.stdin.end(input);
  const [code] = (await once(shell, 'exit')) as [number | null];
  return code;
}

const task = (pid: number, more: object = {}): string =>
  `${pid} ${JSON.stringify({ markerText: markerText(marker), pid, startTime: findProcess(pid)?.startTime, ...more })}\n`;

describe.skipIf(process.platform !== 'linux')('the reaper of a server', () => {
  it.each([
    ['with a script', process.execPath],
    ['as a shell alone', ''],
    ['as a shell alone when the runtime is gone', '/nowhere/node'],
  ])('ends the server with all it started when the input of the reaper ends: %s', async (_what, runtime) => {
    const pid = await server();
    await guard(`0 ${JSON.stringify({ markerText: markerText(marker) })}\n${task(pid)}`, runtime);
    await waitForNone(marker);
  });

  it('ends what the server started before the reaper got a pid', async () => {
    await server();
    await guard(`0 ${JSON.stringify({ markerText: markerText(marker) })}\n`, process.execPath);
    await waitForNone(marker);
  });

  it.each([
    ['nothing', () => ''],
    ['that the server has ended', (pid: number) => `${task(pid)}\n`],
    ['half a line', (pid: number) => task(pid).trimEnd()],
  ])('ends nothing when the input of the reaper is %s', async (_what, input) => {
    const pid = await server();
    await guard(input(pid), process.execPath);
    expect(isAlive(pid)).toBe(true);
    expect(processesWith(marker)).toHaveLength(3);
  });

  it('spares a later process with the pid of the server', async () => {
    const stranger = spawn('sleep', ['1002'], { detached: true, stdio: 'ignore' });
    try {
      const pid = stranger.pid as number;
      await guard(task(pid, { startTime: 'earlier' }), process.execPath);
      expect(isAlive(pid)).toBe(true);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('asks the server, with its password, to end its work first', async () => {
    const asked: unknown[] = [];
    const http = createServer((request, response) => {
      asked.push([request.method, request.url, request.headers.authorization, processesWith(marker).length]);
      response.end('true');
    }).listen(0, '127.0.0.1');
    await once(http, 'listening');
    try {
      const pid = await server();
      const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
      await guard(task(pid, { url, authorization: 'Basic secret' }), process.execPath);
      await waitForNone(marker);
      expect(asked).toEqual([['POST', '/global/dispose', 'Basic secret', 3]]);
    } finally {
      http.close();
    }
  });

  it('waits as one shell, shows no secret in its command line or environment, and ends when it is released', async () => {
    const failures: unknown[] = [];
    const reaper = Reaper.start({ markerText: markerText(marker) }, (error) => failures.push(error));
    const pid = reaper?.pid as number;
    reaper?.update({
      markerText: markerText(marker),
      url: 'http://127.0.0.1:9',
      authorization: 'Basic secret',
    });
    expect(descendantsOf(pid)).toEqual([]);
    expect(commandLineOf(pid)).not.toContain('secret');
    expect(processesWith('Basic secret')).toEqual([]);
    reaper?.release();
    await until(() => !isAlive(pid));
    expect(failures).toEqual([]);
  });
});
