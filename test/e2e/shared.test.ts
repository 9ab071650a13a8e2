import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as api from 'jarvis-opencode';
import { JarvisOpenCode, ServerStartError, type Logger, type SharedOptions } from 'jarvis-opencode';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeServer } from '../support/fixtures.js';
import { gitRepo } from '../support/git-repo.js';
import { expectNoProcesses } from '../support/processes.js';
import { realServerOptions } from '../support/real-opencode.js';

// On a fake server, but for one: this is about which server is started, not about what one does.

let home: string;
let options: SharedOptions;
const clients = new Set<JarvisOpenCode>();

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'jarvis-shared-'));
  options = {
    command: fakeServer('healthy'),
    dataDir: join(home, 'data'),
    env: { STARTS_FILE: join(home, 'starts') },
    health: false,
  };
});

afterEach(async () => {
  for (const client of clients) await client.close();
  clients.clear();
  await rm(home, { recursive: true, force: true });
});

/** How many servers were started. */
function starts(): number {
  const file = join(home, 'starts');
  return existsSync(file) ? readFileSync(file, 'utf8').length : 0;
}

/** A key that no other test uses: the clients of a process are shared by all of them. */
function key(): string {
  return home;
}

async function shared(more: SharedOptions = {}, from = api): Promise<JarvisOpenCode> {
  const client = await from.JarvisOpenCode.shared(key(), { ...options, ...more });
  clients.add(client);
  return client;
}

/** Evaluates the library again, as a development server does. */
async function anotherCopy(): Promise<typeof api> {
  vi.resetModules();
  const copy = await import('jarvis-opencode');
  expect(copy.JarvisOpenCode).not.toBe(JarvisOpenCode);
  return copy;
}

/** Keeps the warnings of servers that start at one place; those of one data directory that several have are not of interest here. */
function warnings(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const ignore = (): void => undefined;
  const warn = (line: string): void => void (line.includes('starts another server') && lines.push(line));
  return { lines, debug: ignore, info: ignore, warn, error: ignore };
}

describe('JarvisOpenCode.shared()', () => {
  it('gives the same client to every caller and to every copy of the library', async () => {
    const first = await shared();
    expect(first).toBeInstanceOf(JarvisOpenCode);
    expect(await shared()).toBe(first);
    expect(await shared({}, await anotherCopy())).toBe(first);
    expect(starts()).toBe(1);
  });

  it('starts one server for a hundred callers at once, in two copies of the library', async () => {
    const copy = await anotherCopy();
    const calls = Array.from({ length: 100 }, (_, call) => shared({}, call % 2 === 0 ? api : copy));
    const given = new Set(await Promise.all(calls));
    expect(given.size).toBe(1);
    expect(starts()).toBe(1);
  });

  it('gives callers of two copies of the library one real server, which ends by one close()', async () => {
    await using real = await realServerOptions();
    await using repo = await gitRepo();
    const copies = [api, await anotherCopy()];
    const given = await Promise.all(
      copies.map(({ JarvisOpenCode: copy }) => copy.shared(key(), real.startOptions)),
    );
    const [client] = given;
    if (client === undefined) throw new Error('no client');
    clients.add(client);
    const answers = given.map(async (each) => (await each.forRepo(repo.directory).prompt('hi')).text);
    expect(await Promise.all(answers)).toEqual(['ok', 'ok']);
    expect(new Set(given.map(({ server }) => server.pid)).size).toBe(1);
    await client.close();
    expectNoProcesses(real.marker);
  });

  it('starts a server for each key', async () => {
    const one = await shared();
    const other = await JarvisOpenCode.shared(`${key()} other`, { ...options, dataDir: join(home, 'other') });
    clients.add(other);
    expect(other).not.toBe(one);
    expect(starts()).toBe(2);
  });

  it('starts a new server after close(), when the last one has ended', async () => {
    const first = await shared();
    const closing = first.close();
    const second = await shared();
    expect(second).not.toBe(first);
    expect(first.server.state).toBe('stopped');
    expect(second.server.state).toBe('ready');
    expect(starts()).toBe(2);
    await closing;
  });

  it('starts a new server for callers at the same time after close() only once', async () => {
    await (await shared()).close();
    const given = new Set(await Promise.all(Array.from({ length: 20 }, () => shared())));
    expect(given.size).toBe(1);
    expect(starts()).toBe(2);
  });

  it('starts a new server after the last one failed for good, also with other options', async () => {
    const first = await shared({ restart: false });
    process.kill(first.server.pid ?? 0, 'SIGKILL');
    await first.server.closed;
    expect(first.server.state).toBe('failed');
    const second = await shared();
    expect(second).not.toBe(first);
    expect(second.server.state).toBe('ready');
    expect(starts()).toBe(2);
  });

  it('keeps the client while its server is started again', async () => {
    const first = await shared({ restart: { maxAttempts: 3 } });
    await first.server.restart();
    expect(await shared({ restart: { maxAttempts: 3 } })).toBe(first);
  });

  it('rejects for all who wait for a start that fails, and tries again with the next call', async () => {
    const failing = Array.from({ length: 10 }, () => shared({ command: fakeServer('exits-at-once') }));
    const outcomes = await Promise.allSettled(failing);
    const reasons = new Set(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason));
    expect(reasons.size).toBe(1);
    expect([...reasons][0]).toBeInstanceOf(ServerStartError);
    expect((await shared()).server.state).toBe('ready');
  });

  it.each<[name: string, more: SharedOptions]>([
    ['config', { config: { model: 'other/model' } }],
    ['env', { env: { SECRET: 'hunter2' } }],
    ['permissions', { permissions: 'deny' }],
    ['idle', { idle: false }],
  ])('rejects with a TypeError that names %s when it differs', async (name, more) => {
    await shared();
    const error = await shared(more).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`Expected ${name} of JarvisOpenCode.shared(`);
    expect(String(error)).not.toContain('hunter2');
    expect(starts()).toBe(1);
  });

  it('compares options by value, and what a module makes anew not at all', async () => {
    const again = (): SharedOptions => ({
      config: { a: 1, b: { c: [1, 2] } },
      permissions: () => 'allow',
      logger: warnings(),
      fetch: (input, init) => fetch(input, init),
      restore: { version: 1, bindings: [] },
    });
    const first = await shared(again());
    const second = await shared({ ...again(), config: { b: { c: [1, 2] }, a: 1 }, idle: undefined });
    expect(second).toBe(first);
  });

  it('rejects with a TypeError that names both versions when another version of the library started it', async () => {
    const registry = (globalThis as unknown as Record<symbol, Map<string, object>>)[
      Symbol.for('jarvis-opencode:shared')
    ];
    registry?.set(key(), { version: '9.9.9', isOver: () => false });
    const error = await shared().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain('started by version 9.9.9 of jarvis-opencode, and this is version');
    registry?.delete(key());
    await shared();
    expect(starts()).toBe(1);
  });

  it.each<[what: string, key: unknown, more: object]>([
    ['an empty key', '', {}],
    ['a key that is no text', 5, {}],
    ['an unknown option', 'x', { portt: 1 }],
    ['a signal', 'x', { signal: new AbortController().signal }],
    ['a wrong option', 'x', { port: 'x' }],
  ])('rejects with a TypeError for %s', async (_what, wrongKey, more) => {
    await expect(JarvisOpenCode.shared(wrongKey as string, more)).rejects.toThrow(TypeError);
  });
});

describe('a second server from the same place in the code', () => {
  async function start(more: api.StartOptions = {}): Promise<JarvisOpenCode> {
    const client = await JarvisOpenCode.start({ ...options, ...more });
    clients.add(client);
    return client;
  }

  it('warns with the place and shared() while the first one runs', async () => {
    const logger = warnings();
    await start({ logger });
    expect(logger.lines).toEqual([]);
    await start({ logger });
    expect(logger.lines).toHaveLength(1);
    expect(logger.lines[0]).toMatch(/shared\.test\.ts:\d+:\d+ starts another server while 1 .* runs/);
    expect(logger.lines[0]).toContain('JarvisOpenCode.shared(');
  });

  it('does not warn after the first one ended or failed, nor for other options', async () => {
    const logger = warnings();
    await (await start({ logger })).close();
    await start({ logger });
    await start({ logger, dataDir: join(home, 'other') });
    await expect(start({ command: fakeServer('exits-at-once') })).rejects.toThrow(ServerStartError);
    await start({ logger, env: {} });
    expect(logger.lines).toEqual([]);
  });

  it('warns a shared client of nothing', async () => {
    const logger = warnings();
    await (await shared({ logger })).close();
    await shared({ logger });
    expect(logger.lines).toEqual([]);
  });
});
