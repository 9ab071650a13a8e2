import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  JarvisFleet,
  RequestError,
  TurnError,
  type FleetEvent,
  type RepoClient,
  type ServerProfile,
  type Session,
} from 'jarvis-opencode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hang, waitFor } from '../../src/testing/script/steps.js';
import { fakeClock } from '../support/fake-clock.js';
import { faultProxy, type FaultProxy } from '../support/fault-proxy.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { startHost } from '../support/host-process.js';
import { text, toolCall } from '../support/model-steps.js';
import { freePort } from '../support/ports.js';
import { processesWith } from '../support/processes.js';
import { busyTool, TAKING_TOOL, toolSource } from '../support/repo-tools.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';
import { deferred, until } from '../support/wait.js';

// What the servers of a fleet promise, on the real one: `npm run test:fleet`. One fleet of many profiles serves all tests, in their order.

/** Nothing here waits for more than a start, a sleep or a probe; the machine may be busy. */
const PATIENCE = { timeoutMs: 120_000 };
/** More than run at a time here. */
const MAX_SERVERS = 12;
const PROFILES = ['main', 'a', 'b', 'c', 'd', 'e', 'untrusted', 'capped'] as const;
type Name = (typeof PROFILES)[number] | 'heavy' | 'grown' | 'sister' | 'each' | 'remote';

/** Tools that harm the server of their repository, by file. */
const HARMFUL = {
  /** Reserves memory until there is none: it is not touched, so it costs the machine nothing. */
  '.opencode/tool/reserve.js': toolSource(
    `const all = [];
     for (let gigabytes = 0; gigabytes < 64; gigabytes += 1) all.push(new Uint8Array(2 ** 30));
     return 'reserved ' + all.length;`,
  ),
  '.opencode/tool/take.js': TAKING_TOOL,
  '.opencode/tool/compute.js': busyTool(8_000),
  '.opencode/tool/exit.js': toolSource('process.exit(3);'),
};

/** The prompt for which the model calls a tool. */
const calling = (tool: string, input: object = {}): string => `call ${tool} ${JSON.stringify(input)}`;

let real: RealServerOptions;
let proxy: FaultProxy;
let profiles: Record<Name, ServerProfile>;
let fleet: JarvisFleet<Name>;
/** The model goes on after the tool that takes memory. */
const taken = deferred();
const clockOfGrown = fakeClock();
/** What the log of `grown` says. */
const logOfGrown: string[] = [];
const repos = new Map<string, GitRepo>();
const seen: FleetEvent[] = [];

const directoryOf = (name: string): string => repos.get(name)?.directory ?? '';
const running = (): string[] => fleet.servers().flatMap(({ name, pid }) => (pid === undefined ? [] : [name]));
const overviewOf = (name: Name) => fleet.servers().find((server) => server.name === name);

beforeAll(async () => {
  real = await realServerOptions({
    script: ({ prompt, step }) => {
      const [, tool, input = ''] = /^call (\w+) (.*)$/.exec(prompt) ?? [];
      if (tool !== undefined && step === 0) return [toolCall(tool, JSON.parse(input) as object as never)];
      if (tool === 'take') return [waitFor(taken.promise), text('done')];
      return prompt === 'hang' ? [text('on the way'), hang()] : [text('done')];
    },
  });
  const marker = join(real.root, 'mcp-ran');
  const started = `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`;
  const mcp = { evil: { type: 'local', command: [process.execPath, '-e', started], enabled: true } };
  for (const name of [...PROFILES, 'heavy', 'grown', 'each-1', 'each-2'])
    repos.set(
      name,
      await gitRepo({
        files: {
          ...(name === 'untrusted' && { 'opencode.json': JSON.stringify({ mcp }) }),
          ...(['capped', 'heavy', 'grown'].includes(name) && HARMFUL),
          'README.md': name,
        },
      }),
    );
  const { config, cwd, env } = real.startOptions;
  const profile = (name: string) => ({
    ...{ config, cwd },
    dataDir: join(real.root, 'data', name),
    stopAfterIdleMs: 3_000,
  });
  const password = 'of-main';
  const port = await freePort();
  proxy = await faultProxy(`http://127.0.0.1:${port}`);
  profiles = {
    main: { ...profile('main'), stopAfterIdleMs: false, password, port },
    ...{ a: profile('a'), b: profile('b'), c: profile('c'), d: profile('d'), e: profile('e') },
    untrusted: {
      ...profile('untrusted'),
      trustProjectConfig: false,
      config: { ...config, username: 'stranger' },
    },
    capped: { ...profile('capped'), wrap: ['prlimit', '--data=4294967296'] },
    heavy: profile('heavy'),
    grown: { ...profile('grown'), stopAfterIdleMs: false, recycleRssBytes: 2 ** 30 },
    // The same data directory as `a`.
    sister: profile('a'),
    each: { ...profile('each'), perRepo: true },
    remote: { url: proxy.url, password, health: { intervalMs: 200, timeoutMs: 2_000, failures: 1 } },
  };
  const log = (message: string): void => void logOfGrown.push(message);
  const logger = { debug: log, info: log, warn: log, error: log };
  const own = { grown: { clock: clockOfGrown, logger } };
  fleet = await JarvisFleet.start<Record<Name, ServerProfile>>({
    maxServers: MAX_SERVERS,
    servers: Object.fromEntries(
      Object.entries(profiles).map(([name, given]) => [
        name,
        { ...given, ...('url' in given ? {} : { env }), ...(name === 'grown' && own.grown) },
      ]),
    ) as Record<Name, ServerProfile>,
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

/** The client of a repository on the member of its name, where no test has moved it. */
const on = (name: Name): RepoClient => fleet.forRepo(directoryOf(name), { server: name });

/** Waits until no other servers run, so that nobody else has news. */
async function onlyRunning(...names: readonly Name[]): Promise<void> {
  await until(() => running().every((name) => names.includes(name as Name)), {
    ...PATIENCE,
    what: 'the sleep of the other servers',
  });
}

/** Prompts the first server twenty times while another one is in trouble, and returns what all servers said of themselves meanwhile. */
async function promptsBeside(server: Name, trouble: () => Promise<unknown>): Promise<FleetEvent[]> {
  const session = await on('main').sessions.create();
  await on(server).sessions.list();
  await onlyRunning('main', server);
  seen.length = 0;
  const over = trouble();
  over.catch(() => undefined);
  for (let asked = 0; asked < 20; asked += 1) expect((await session.prompt('meanwhile')).text).toBe('done');
  await over;
  expect(overviewOf('main')).toMatchObject({ state: 'ready', starts: 1 });
  return [...seen];
}

const serversOf = (events: readonly FleetEvent[]): (string | undefined)[] => [
  ...new Set(events.map(({ server }) => server)),
];

/** The sessions that were interrupted. */
const interruptedBy = (events: readonly FleetEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'jarvis.server' ? (event.properties.interrupted ?? []) : []));

describe('a fleet of real servers', () => {
  const sessions = new Map<string, Session>();

  it('runs one process when one of 8 profiles is used, and one when all were used and are idle', async () => {
    for (const name of PROFILES) {
      sessions.set(name, await on(name).sessions.create({}, { jarvisSessionID: name }));
      if (name === 'main') expect(running()).toEqual(['main']);
    }
    await onlyRunning('main');
    expect(running()).toEqual(['main']);
    for (const name of ['main', 'a', 'b'] as const)
      expect((await sessions.get(name)?.prompt('again'))?.text).toBe('done');
  });

  it('keeps a server with a lease, a terminal, a pending permission or a running child, while another one falls asleep', async () => {
    await onlyRunning('main');
    const permission = [{ permission: 'bash', pattern: '*', action: 'ask' as const }];
    const asking = await on('c').sessions.create({ permission });
    const work = [
      asking.prompt(calling('bash', { command: 'true', description: 'Nothing' })),
      on('d').prompt(calling('task', { description: 'sub', prompt: 'hang', subagent_type: 'general' })),
    ];
    for (const turn of work) turn.catch(() => undefined);
    using _lease = on('a').hold('a tab');
    await on('a').sessions.list();
    await on('e').pty.create({ command: '/bin/cat' });
    const held = ['a', 'c', 'd', 'e'] as const;
    const kinds = (): string[] =>
      held.flatMap((name) =>
        on(name)
          .stats()
          .holds.map(({ kind }) => `${name} ${kind}`),
      );
    const reasons = ['a lease', 'c permission', 'd session-busy', 'e pty'];
    await until(() => reasons.every((reason) => kinds().includes(reason)), PATIENCE);
    await real.model.waitForRequest(({ prompt }) => prompt === 'hang');
    await on('b').sessions.list();
    await onlyRunning('main', ...held);
    for (const name of held) expect(overviewOf(name)).toMatchObject({ state: 'ready', held: 1 });
    await Promise.all(held.map((name) => on(name).dispose({ force: true })));
    await Promise.allSettled(work);
  });

  it('keeps configuration, trust and sessions of two servers apart', async () => {
    const untrusted = fleet.forRepo(directoryOf('untrusted'));
    expect((await untrusted.config.get()).username).toBe('stranger');
    expect((await fleet.forRepo(directoryOf('main')).config.get()).username).not.toBe('stranger');
    const { id = '' } = sessions.get('untrusted') ?? {};
    await expect(fleet.forRepo(directoryOf('main')).sessions.get(id)).rejects.toMatchObject({ status: 404 });
    expect(await untrusted.mcp.status()).toEqual({});
    expect(existsSync(join(real.root, 'mcp-ran'))).toBe(false);
    await fleet.server('main').global.auth.set('provider', { type: 'api', key: 'of main' });
    const credentialsOf = (name: string): string =>
      join(real.root, 'data', name, 'data', 'opencode', 'auth.json');
    expect(['main', 'untrusted'].map((name) => existsSync(credentialsOf(name)))).toEqual([true, false]);
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
      ?.prompt(calling('reserve'))
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

  it('answers on one server while a plugin keeps another one busy for 8 s', async () => {
    const events = await promptsBeside('heavy', async () => {
      expect((await on('heavy').prompt(calling('compute'))).text).toBe('done');
    });
    expect(serversOf(events).filter((server) => server !== 'heavy')).toEqual([]);
    expect(interruptedBy(events)).toEqual([]);
  });

  it.each<[string, (session: Session) => Promise<unknown>]>([
    ['ends by itself', (session) => session.prompt(calling('exit'))],
    [
      'is killed in a turn',
      async (session) => {
        const turn = session.prompt('hang');
        turn.catch(() => undefined);
        await real.model.waitForRequest(({ sessionID }) => sessionID === session.id);
        process.kill(overviewOf('heavy')?.pid ?? Number.NaN, 'SIGKILL');
        return turn;
      },
    ],
  ])('answers on one server while another one %s, whose turn alone is interrupted', async (_how, trouble) => {
    const session = await on('heavy').sessions.create();
    const events = await promptsBeside('heavy', async () => {
      await expect(trouble(session)).rejects.toMatchObject({ reason: 'interrupted' });
      await until(() => seen.some(({ type }) => type === 'jarvis.gap'), PATIENCE);
    });
    expect(serversOf(events)).toEqual(['heavy']);
    expect(interruptedBy(events)).toEqual([session.id]);
    expect((await session.prompt('again')).text).toBe('done');
  });

  it('answers on one server while a configuration is broken on another one', async () => {
    const file = join(directoryOf('heavy'), 'opencode.json');
    await until(() => overviewOf('heavy')?.held === 0, PATIENCE);
    await on('heavy').dispose();
    await writeFile(file, '{');
    const events = await promptsBeside('main', async () => {
      await expect(on('heavy').sessions.create()).rejects.toMatchObject({ status: 400 });
    });
    expect(serversOf(events).filter((server) => server !== 'heavy')).toEqual([]);
    await rm(file);
    // The server reads a broken file once.
    await fleet.server('heavy').server.restart();
    expect((await on('heavy').prompt('again')).text).toBe('done');
  });

  it('answers on one server while a plugin takes 2 GB of another one, whose process gives them back after the turn', async () => {
    const events = await promptsBeside('grown', async () => {
      const turn = on('grown').prompt(calling('take'));
      await until(() => (overviewOf('grown')?.usage?.rssBytes ?? 0) > 2 * 2 ** 30, PATIENCE);
      const pid = overviewOf('grown')?.pid;
      clockOfGrown.advance(30_000);
      await until(() => logOfGrown.includes('server is above recycleRssBytes and busy'), PATIENCE);
      expect(overviewOf('grown')).toMatchObject({ state: 'ready', pid });
      taken.resolve();
      expect((await turn).text).toBe('done');
      await until(() => overviewOf('grown')?.held === 0, PATIENCE);
      clockOfGrown.advance(30_000);
      await until(() => overviewOf('grown')?.pid !== pid && overviewOf('grown')?.state === 'ready', PATIENCE);
      expect(overviewOf('grown')?.usage?.rssBytes).toBeLessThan(500 * 2 ** 20);
    });
    expect(serversOf(events)).toEqual(['grown']);
    expect(interruptedBy(events)).toEqual([]);
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

  it('finds every conversation in a new process, on its server, and starts no other server', async () => {
    const stored = fleet.snapshot();
    await fleet.close();
    const servers = { ...profiles, main: { ...profiles.main, start: 'on-demand' } };
    await using host = startHost(
      `import { JarvisFleet } from './src/index.ts';
       const fleet = await JarvisFleet.start(${JSON.stringify({ servers, maxServers: MAX_SERVERS, restore: stored })});
       const starts = () => fleet.servers().map((server) => server.starts);
       for (const { jarvisSessionID, sessionID } of fleet.sessions.list()) {
         const before = starts();
         const { id } = await fleet.forSession(jarvisSessionID).refresh();
         const started = fleet.servers().filter(({ starts }, index) => starts !== before[index]);
         say(jarvisSessionID + ' answered');
         say(JSON.stringify([jarvisSessionID, id === sessionID, started.map(({ name }) => name)]));
       }
       await fleet.close();
       say('closed');`,
      { options: {}, env: { ...real.env } },
    );
    for (const { jarvisSessionID } of stored.bindings) await host.hears(`${jarvisSessionID} answered`);
    await host.hears('closed');
    const found = host.said().filter((line) => line.startsWith('['));
    expect(stored.bindings.map(({ jarvisSessionID }) => jarvisSessionID)).toEqual(
      expect.arrayContaining(['main', 'a', 'b', 'c', 'd', 'e', 'capped']),
    );
    expect(found.map((line) => JSON.parse(line) as unknown)).toEqual(
      stored.bindings.map(({ jarvisSessionID, server }) => [jarvisSessionID, true, [server]]),
    );
  });
});
