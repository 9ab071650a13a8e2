import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  endOrphans,
  findOrphans,
  forgetServer,
  recordServer,
} from '../../../../src/lifecycle/guards/orphans.js';
import { ProcessTree } from '../../../../src/lifecycle/process/process-tree.js';
import { isAlive } from '../../../support/processes.js';
import { until } from '../../../support/wait.js';

let root: string;
let directory: string;
let marker: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jarvis-orphans-'));
  directory = join(root, 'records');
  marker = randomUUID();
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

/** A process in a group of its own, as a server is. */
function server(env: NodeJS.ProcessEnv = {}): number {
  const child = spawn('sleep', ['1000'], {
    detached: true,
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  children.push(child);
  return child.pid as number;
}

function record(pid: number): string {
  const path = recordServer(new ProcessTree(pid, marker), marker, directory);
  if (path === undefined) throw new Error('no record was made');
  return path;
}

/** Changes a record, as if other processes had the pids. */
function rewrite(path: string, change: (record: Record<string, unknown>) => void): void {
  const content = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(content);
  writeFileSync(path, JSON.stringify(content));
}

const hostIsGone = (content: Record<string, unknown>): void => {
  content['host'] = { pid: process.pid, startTime: 'earlier' };
};

describe.skipIf(process.platform !== 'linux')('a record of a server', () => {
  it('records a server for this user only and removes the record with its directory', () => {
    const path = record(server());
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    forgetServer(path);
    expect(existsSync(directory)).toBe(false);
  });

  it('ends no server while its host is alive', () => {
    const pid = server();
    const path = record(pid);
    expect(endOrphans(directory)).toEqual([]);
    expect(isAlive(pid)).toBe(true);
    expect(existsSync(path)).toBe(true);
  });

  it('ends the server of a host that is gone, and removes its record', async () => {
    const pid = server();
    rewrite(record(pid), hostIsGone);
    expect(endOrphans(directory)).toEqual([pid]);
    await until(() => !isAlive(pid));
    expect(existsSync(directory)).toBe(false);
  });

  it('finds the server of a host that is gone, and leaves it and its record alone', () => {
    const pid = server();
    const path = record(pid);
    expect(findOrphans(directory)).toEqual([]);
    rewrite(path, hostIsGone);
    expect(findOrphans(directory)).toEqual([pid]);
    expect(isAlive(pid)).toBe(true);
    expect(existsSync(path)).toBe(true);
    expect(findOrphans(join(root, 'none'))).toEqual([]);
  });

  it('ends by its marker what the server has left behind', async () => {
    const pid = server();
    const path = record(pid);
    const left = server({ JARVIS_OPENCODE_SERVER: marker });
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid));
    rewrite(path, hostIsGone);
    endOrphans(directory);
    await until(() => !isAlive(left));
  });

  it.each<[what: string, change: (record: Record<string, unknown>) => void]>([
    ['start time', (content) => Object.assign(content['server'] as object, { startTime: 'earlier' })],
    ['command line', (content) => Object.assign(content, { commandLine: 'opencode serve' })],
  ])('ends no process with the pid of the server but another %s', (_what, change) => {
    const pid = server();
    const path = record(pid);
    rewrite(path, hostIsGone);
    rewrite(path, change);
    expect(endOrphans(directory)).toEqual([]);
    expect(isAlive(pid)).toBe(true);
    expect(existsSync(path)).toBe(false);
  });

  it('leaves the record of another pid namespace alone', () => {
    const pid = server();
    const path = record(pid);
    rewrite(path, hostIsGone);
    rewrite(path, (content) => Object.assign(content, { namespace: 'pid:[1]' }));
    expect(endOrphans(directory)).toEqual([]);
    expect(isAlive(pid)).toBe(true);
    expect(existsSync(path)).toBe(true);
  });

  it.each(['', '{', '{}', '{"server":{"pid":-1}}', '{"server":{"pid":1}}'])(
    'removes a broken record: %j',
    (text) => {
      mkdirSync(directory, { mode: 0o700 });
      const path = join(directory, 'broken.json');
      writeFileSync(path, text);
      expect(endOrphans(directory)).toEqual([]);
      expect(existsSync(path)).toBe(false);
    },
  );

  it('ignores a record in a directory that others may write to', () => {
    const pid = server();
    rewrite(record(pid), hostIsGone);
    chmodSync(directory, 0o777);
    expect(endOrphans(directory)).toEqual([]);
    expect(isAlive(pid)).toBe(true);
  });

  it('makes no record where a link leads elsewhere', () => {
    const elsewhere = join(root, 'elsewhere');
    mkdirSync(elsewhere, { mode: 0o700 });
    symlinkSync(elsewhere, directory);
    expect(recordServer(new ProcessTree(server(), marker), marker, directory)).toBeUndefined();
    expect(endOrphans(directory)).toEqual([]);
  });
});
