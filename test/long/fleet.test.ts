import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { JarvisFleet, RequestError, TurnError, type FleetEvent, type Session } from 'jarvis-opencode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultProxy, type FaultProxy } from '../support/fault-proxy.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { text, toolCall } from '../support/model-steps.js';
import { freePort } from '../support/ports.js';
import { processesWith } from '../support/processes.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';
import { until } from '../support/wait.js';

// What the servers of a fleet promise, on the real one: `npm run test:fleet`. One fleet of many profiles serves all tests, in their order.

/** Nothing here waits for more than a start, a sleep or a probe; the machine may be busy. */
const PATIENCE = { timeoutMs: 120_000 };
const PROFILES = ['main', 'a', 'b', 'c', 'd', 'e', 'untrusted', 'capped'] as const;
type Name = (typeof PROFILES)[number] | 'sister' | 'each' | 'remote';

/** Reserves memory in the process of the server until there is none: it is not touched, so it costs the machine nothing. */
const HOG = `export default {
  description: 'Reserves memory',
  args: {},
  execute: async () => {
    const held = [];
    for (let gigabytes = 0; gigabytes < 64; gigabytes += 1) held.push(new Uint8Array(2 ** 30));
    return 'reserved ' + held.length;
  },
};`;

let real: RealServerOptions;
let proxy: FaultProxy;
let fleet: JarvisFleet<Name>;
const repos = new Map<string, GitRepo>();
const seen: FleetEvent[] = [];

const directoryOf = (name: string): string => repos.get(name)?.directory ?? '';
const running = (): string[] => fleet.servers().flatMap(({ name, pid }) => (pid === undefined ? [] : [name]));
const overviewOf = (name: Name) => fleet.servers().find((server) => server.name === name);

beforeAll(async () => {
  real = await realServerOptions({
    script: ({ prompt, step }) =>
      prompt === 'reserve' && step === 0 ? [toolCall('hog', {})] : [text('done')],
  });
  const marker = join(real.root, 'mcp-ran');
  const started = `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`;
  const mcp = { evil: { type: 'local', command: [process.execPath, '-e', started], enabled: true } };
  for (const name of [...PROFILES, 'each-1', 'each-2'])
    repos.set(
      name,
      await gitRepo({
        files: {
          ...(name === 'untrusted' && { 'opencode.json': JSON.stringify({ mcp }) }),
          ...(name === 'capped' && { '.opencode/tool/hog.js': HOG }),
          'README.md': name,
        },
      }),
    );
  const dataDir = (name: string): string => join(real.root, 'data', name);
  const profile = (name: string) => ({
    ...real.startOptions,
    dataDir: dataDir(name),
    stopAfterIdleMs: 3_000,
  });
  const password = 'of-main';
  const port = await freePort();
  proxy = await faultProxy(`http://127.0.0.1:${port}`);
  fleet = await JarvisFleet.start({
    maxServers: 12,
    servers: {
      main: { ...profile('main'), stopAfterIdleMs: false, password, port },
      ...{ a: profile('a'), b: profile('b'), c: profile('c'), d: profile('d'), e: profile('e') },
      untrusted: {
        ...profile('untrusted'),
        trustProjectConfig: false,
        config: { ...real.startOptions.config, username: 'stranger' },
      },
      capped: { ...profile('capped'), wrap: ['prlimit', '--data=4294967296'] },
      // The same data directory as `a`.
      sister: profile('a'),
      each: { ...profile('each'), perRepo: true },
      remote: { url: proxy.url, password, health: { intervalMs: 200, timeoutMs: 2_000, failures: 1 } },
    },
  });
  const events = fleet.events();
  void (async () => {
    for await (const event of events) if (event.type.startsWith('jarvis.')) seen.push(event);
  })();
  await events.ready;
});

afterAll(async () => {
  await fleet.close();
  await proxy.close();
  expect(processesWith(real.marker)).toEqual([]);
  for (const repo of repos.values()) await repo.dispose();
  await real.dispose();
});

describe('a fleet of real servers', () => {
  const sessions = new Map<string, Session>();

  it('runs one process when one of 8 profiles is used, and one when all were used and are idle', async () => {
    for (const name of PROFILES) {
      const repo = fleet.forRepo(directoryOf(name), { server: name });
      sessions.set(name, await repo.sessions.create({}, { jarvisSessionID: name }));
      if (name === 'main') expect(running()).toEqual(['main']);
    }
    await until(() => running().length === 1, { ...PATIENCE, what: 'the sleep of all but the first' });
    expect(running()).toEqual(['main']);
    for (const name of ['main', 'a', 'b'] as const)
      expect((await sessions.get(name)?.prompt('again'))?.text).toBe('done');
  });

  it('keeps a server that something holds', async () => {
    using _lease = fleet.forRepo(directoryOf('c')).hold('a tab');
    await fleet.forRepo(directoryOf('c')).sessions.list();
    await fleet.forRepo(directoryOf('d')).sessions.list();
    await until(() => overviewOf('d')?.state === 'asleep', {
      ...PATIENCE,
      what: 'the sleep of the other one',
    });
    expect(overviewOf('c')).toMatchObject({ state: 'ready', held: 1 });
  });

  it('keeps configuration, trust and sessions of two servers apart', async () => {
    const untrusted = fleet.forRepo(directoryOf('untrusted'));
    expect((await untrusted.config.get()).username).toBe('stranger');
    expect((await fleet.forRepo(directoryOf('main')).config.get()).username).not.toBe('stranger');
    const { id = '' } = sessions.get('untrusted') ?? {};
    await expect(fleet.forRepo(directoryOf('main')).sessions.get(id)).rejects.toMatchObject({ status: 404 });
    expect(await untrusted.mcp.status()).toEqual({});
    expect(existsSync(join(real.root, 'mcp-ran'))).toBe(false);
    await fleet.place(directoryOf('untrusted'), 'b', { force: true });
    await fleet.forRepo(directoryOf('untrusted')).mcp.status();
    await until(() => existsSync(join(real.root, 'mcp-ran')), {
      ...PATIENCE,
      what: 'the trusted MCP server',
    });
  });

  it('ends what goes beyond the memory of its process, and nothing else', async () => {
    const turn = sessions
      .get('capped')
      ?.prompt('reserve')
      .catch((error: unknown) => error);
    const others = await Promise.all(
      [1, 2, 3].map(() => fleet.forRepo(directoryOf('main')).prompt('meanwhile')),
    );
    expect(others.map((result) => result.text)).toEqual(['done', 'done', 'done']);
    const outcome = await turn;
    // The tool cannot reserve more, or the server ends with it.
    if (outcome instanceof Error)
      expect(outcome).toSatisfy((error) => error instanceof TurnError || error instanceof RequestError);
    else expect(JSON.stringify(outcome)).not.toContain('reserved 64');
    const usage = overviewOf('capped')?.usage;
    if (usage !== undefined) expect(usage.rssBytes).toBeLessThan(4 * 2 ** 30);
    expect(overviewOf('main')).toMatchObject({ state: 'ready', starts: 1 });
  });

  it('takes the conversations along to a server with the same data directory', async () => {
    await until(() => overviewOf('a')?.held === 0, PATIENCE);
    const placed = await fleet.place(directoryOf('a'), 'sister');
    expect(placed.rebound).toMatchObject([{ jarvisSessionID: 'a', server: 'sister' }]);
    const before = (await fleet.forSession('a').messages()).length;
    expect((await fleet.forSession('a').prompt('and again')).text).toBe('done');
    expect(before).toBeGreaterThan(0);
    expect((await fleet.forSession('a').messages()).length).toBe(before + 2);
  });

  it('gives each repository of a profile a process and a data directory of its own', async () => {
    for (const name of ['each-1', 'each-2'])
      expect((await fleet.forRepo(directoryOf(name), { server: 'each' }).prompt('hello')).text).toBe('done');
    const pids = fleet.servers().flatMap(({ name, pid }) => (name === 'each' ? [pid] : []));
    expect(new Set(pids).size).toBe(2);
    await fleet.forRepo(directoryOf('each-1')).sessions.create();
    expect(await fleet.forRepo(directoryOf('each-2')).sessions.list()).toEqual([]);
  });

  it('lets the connection to a server drop, die and return, for that one only', async () => {
    const remote = fleet.server('remote');
    await remote.global.health();
    await until(() => overviewOf('remote')?.state === 'ready', PATIENCE);
    for (const connection of proxy.connections()) connection.cut();
    await remote.global.health();
    seen.length = 0;
    const port = Number(new URL(proxy.url).port);
    await proxy.close();
    await until(() => overviewOf('remote')?.state === 'unhealthy', { ...PATIENCE, what: 'the failed probe' });
    await expect(remote.global.health({ retry: false })).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    expect((await fleet.forRepo(directoryOf('main')).prompt('meanwhile')).text).toBe('done');
    proxy = await faultProxy(fleet.server('main').server.url, port);
    await until(() => overviewOf('remote')?.state === 'ready', { ...PATIENCE, what: 'the return' });
    await remote.global.health();
    const states = seen.filter(({ type }) => type === 'jarvis.server');
    expect(states.filter(({ server }) => server === 'remote').length).toBeGreaterThanOrEqual(2);
    expect(states.filter(({ server }) => server === 'main')).toEqual([]);
  });
});
