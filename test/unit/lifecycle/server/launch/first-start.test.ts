import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { firstStart } from '../../../../../src/lifecycle/server/launch/first-start.js';
import { pidNamespace } from '../../../../../src/lifecycle/guards/orphans.js';

let root: string;
let data: string;
const never = new AbortController().signal;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jarvis-first-'));
  data = join(root, 'opencode');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const begin = (maxWaitMs = 60_000, signal = never, env: NodeJS.ProcessEnv = {}): Promise<() => void> =>
  firstStart({ env: { XDG_DATA_HOME: root, ...env }, cwd: root }, maxWaitMs, signal);

const makeDatabase = (name = 'opencode.db'): void => writeFileSync(join(data, name), '');

function lockOf(holder: object, ageSeconds = 0): void {
  mkdirSync(data, { recursive: true });
  const lock = join(data, 'jarvis-opencode-start.lock');
  writeFileSync(lock, JSON.stringify({ token: 'x', ...holder }));
  const then = Date.now() / 1000 - ageSeconds;
  utimesSync(lock, then, then);
}

it('lets one server start after the other while there is no database, and all at once when there is one', async () => {
  const order: string[] = [];
  const first = await begin();
  const others = [1, 2, 3].map(async (name) => {
    const release = await begin();
    order.push(`start ${name}`);
    return release;
  });
  order.push('database');
  makeDatabase();
  first();
  for (const release of await Promise.all(others)) release();
  expect(order[0]).toBe('database');
  expect(order).toHaveLength(4);
  expect(readdirSync(data)).toEqual(['opencode.db']);
});

it('lets the next server start when the first one made no database', async () => {
  const first = await begin();
  const second = begin();
  first();
  (await second)();
  expect(readdirSync(data)).toEqual([]);
});

it('needs no turn to start where there is a database, and none for a database in memory', async () => {
  const release = await begin(60_000, never, { OPENCODE_DB: ':memory:' });
  expect(existsSync(data)).toBe(false);
  release();
  mkdirSync(data);
  makeDatabase('mine.db');
  await begin(60_000, never, { OPENCODE_DB: 'mine.db' });
  expect(readdirSync(data)).toEqual(['mine.db']);
});

it.each([
  ['whose process has ended', { namespace: pidNamespace(), pid: 2 ** 22, startTime: '1' }, 0],
  [
    'whose pid is that of a later process',
    { namespace: pidNamespace(), pid: process.pid, startTime: '1' },
    0,
  ],
  ['of another machine, a while ago', { namespace: 'elsewhere', pid: 1, startTime: '1' }, 61],
  ['that cannot be read, a while ago', {}, 61],
])('takes over a lock %s, and keeps it over a database that may be half made', async (_what, holder, age) => {
  lockOf(holder, age);
  makeDatabase();
  const release = await begin();
  const next = new AbortController();
  const waiting = begin(60_000, next.signal);
  next.abort(new Error('it waited'));
  await expect(waiting).rejects.toThrow('it waited');
  release();
  expect(readdirSync(data)).toEqual(['opencode.db']);
});

it('starts the server when it has waited long enough, and leaves the lock of the other', async () => {
  lockOf({ namespace: 'elsewhere', pid: 1, startTime: '1' });
  (await begin(100))();
  expect(readdirSync(data)).toEqual(['jarvis-opencode-start.lock']);
});

it('starts the server where no lock can be made', async () => {
  writeFileSync(data, 'a file');
  (await begin())();
});
