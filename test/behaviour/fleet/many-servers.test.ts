import { describe, expect, it } from 'vitest';
import {
  JarvisFleet,
  RepoPlacedError,
  TimeoutError,
  type FleetEvent,
  type ServerHandle,
} from 'jarvis-opencode';
import { mockOpenCode } from 'jarvis-opencode/testing';
import { mocksIn, requestsToMocks } from '../../support/mock-fleets.js';
import { fakeHandle } from '../../support/server-handle.js';
import { until } from '../../support/wait.js';

const mocksOf = mocksIn(requestsToMocks());

const statesOf = (fleet: { servers(): readonly { name: string; state: string }[] }): string[] =>
  fleet.servers().map(({ name, state }) => `${name} ${state}`);

describe('a limit of servers', () => {
  const three = () => mocksOf({ main: mockOpenCode(), a: mockOpenCode(), b: mockOpenCode() });

  it('ends the least recently used idle server for one more', async () => {
    const fleet = await three().client({ maxServers: 2 });
    const inA = fleet.forRepo('/a', { server: 'a' });
    await inA.sessions.list();
    await fleet.forRepo('/main').sessions.list();
    await fleet.forRepo('/b', { server: 'b' }).sessions.list();
    expect(statesOf(fleet)).toEqual(['main ready', 'a asleep', 'b ready']);
    // The objects of the one that was ended go on.
    await inA.sessions.list();
    expect(statesOf(fleet)).toEqual(['main asleep', 'a ready', 'b ready']);
  });

  it('ends none that something holds, and lets the new one wait until one is idle', async () => {
    const fleet = await three().client({ maxServers: 2 });
    const leases = [fleet.forRepo('/main').hold('a tab'), fleet.forRepo('/a', { server: 'a' }).hold('a tab')];
    await fleet.forRepo('/main').sessions.list();
    await fleet.forRepo('/a').sessions.list();
    let isDone = false;
    const waiting = fleet
      .forRepo('/b', { server: 'b' })
      .sessions.list()
      .then(() => (isDone = true));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([isDone, ...statesOf(fleet)]).toEqual([false, 'main ready', 'a ready', 'b asleep']);
    leases[1]?.[Symbol.dispose]();
    await waiting;
    expect(statesOf(fleet)).toEqual(['main ready', 'a asleep', 'b ready']);
  });

  it('rejects the requests of a server that waits too long, naming the limit, and counts no failed start', async () => {
    const fleet = await three().client({ maxServers: 1, maxServersWaitMs: 50 });
    const lease = fleet.forRepo('/main').hold('a tab');
    await fleet.forRepo('/main').sessions.list();
    const repo = fleet.forRepo('/a', { server: 'a' });
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const error = await repo.sessions.list().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TimeoutError);
      expect(error).toMatchObject({
        phase: 'server',
        message: expect.stringContaining('maxServers') as unknown,
      });
    }
    expect(fleet.servers()[1]).toMatchObject({ state: 'asleep', starts: 0 });
    lease[Symbol.dispose]();
    await repo.sessions.list();
  });

  it('lets a caller stop waiting, and the fleet be closed', async () => {
    const fleet = await three().client({ maxServers: 1, maxServersWaitMs: false });
    using _lease = fleet.forRepo('/main').hold('a tab');
    await fleet.forRepo('/main').sessions.list();
    const controller = new AbortController();
    const repo = fleet.forRepo('/a', { server: 'a' });
    const given = repo.sessions.list({}, { signal: controller.signal });
    controller.abort(new Error('mine'));
    await expect(given).rejects.toThrow('mine');
    const waiting = repo.sessions.list();
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await fleet.close();
    await outcome;
  });

  it('gives the place of a server that was closed, or does not start, to another', async () => {
    const open = (): Promise<ServerHandle> => Promise.reject(new Error('no room'));
    const mocks = three();
    const fleet = await mocks.client({ maxServers: 2, profiles: { a: { open } as object } });
    await expect(fleet.forRepo('/a', { server: 'a' }).sessions.list()).rejects.toThrow('no room');
    using _lease = fleet.forRepo('/main').hold();
    await fleet.forRepo('/b', { server: 'b' }).sessions.list();
    await fleet.server('b').close();
    await expect(fleet.forRepo('/a', { server: 'a' }).sessions.list()).rejects.toThrow('no room');
  });

  it('maps any number of directories with no more servers than that', async () => {
    const mocks = mocksOf({ main: mockOpenCode(), each: Array.from({ length: 6 }, () => mockOpenCode()) });
    const fleet = await mocks.client({ maxServers: 2, route: () => 'each' });
    let most = 0;
    const results = await fleet.map(
      Array.from({ length: 6 }, (_, index) => `/srv/${index}`),
      async (repo) => {
        await repo.sessions.list();
        most = Math.max(most, fleet.servers().filter(({ state }) => state === 'ready').length);
      },
    );
    expect(results.map(({ status }) => status)).toEqual(Array(6).fill('fulfilled'));
    expect(most).toBe(2);
  });
});

describe('a server for each repository', () => {
  const some = () => mocksOf({ main: mockOpenCode(), each: [mockOpenCode(), mockOpenCode()] });

  it('starts one with the first request of each, which serves that one only', async () => {
    const mocks = some();
    mocks.mocks.each[0].reply('first');
    mocks.mocks.each[1].reply('second');
    const fleet = await mocks.client({ maxServers: 3, route: () => 'each' });
    expect(statesOf(fleet)).toEqual(['main ready']);
    const a = fleet.forRepo('/srv/a');
    expect(fleet.forRepo('/srv/a/')).toBe(a);
    expect(statesOf(fleet)).toEqual(['main ready', 'each asleep']);
    expect((await a.prompt('?')).text).toBe('first');
    expect((await fleet.forRepo('/srv/b').prompt('?')).text).toBe('second');
    expect(fleet.servers().map(({ name, repository, loaded }) => [name, repository, loaded])).toEqual([
      ['main', undefined, 0],
      ['each', '/srv/a', 1],
      ['each', '/srv/b', 1],
    ]);
    expect(fleet.repos().map(({ directory, server }) => [directory, server])).toEqual([
      ['/srv/a', 'each'],
      ['/srv/b', 'each'],
    ]);
    expect(fleet.server('each', '/srv/a').forRepo('/srv/a')).toBe(a);
    expect(() => fleet.server('each', '/srv/a').forRepo('/srv/b')).toThrow(RepoPlacedError);
    expect(() => fleet.server('each')).toThrow(TypeError);
    expect(() => fleet.forRepo('relative')).toThrow('absolute');
    expect(fleet.servers()).toHaveLength(3);
  });

  it('names the repository in its events, also of a server that comes after the subscription', async () => {
    const mocks = some();
    const fleet = await mocks.client({ maxServers: 3, route: () => 'each' });
    const seen: FleetEvent[] = [];
    const events = fleet.events();
    const reading = (async () => {
      for await (const event of events) seen.push(event);
    })();
    await fleet.forRepo('/srv/a').sessions.create();
    await fleet.forRepo('/srv/b').sessions.create();
    const created = (): FleetEvent[] => seen.filter(({ type }) => type === 'session.created');
    await until(() => created().length === 2);
    expect(created().map(({ server, repository }) => [server, repository])).toEqual([
      ['each', '/srv/a'],
      ['each', '/srv/b'],
    ]);
    mocks.crash('each', 1);
    await until(() => statesOf(fleet).includes('each restarting'));
    const lost = seen.findLast(({ type }) => type === 'jarvis.server');
    expect(lost).toMatchObject({ repository: '/srv/b', properties: { state: 'restarting' } });
    expect(statesOf(fleet)).toEqual(['main ready', 'each ready', 'each restarting']);
    mocks.restart('each', 1);
    await fleet.forRepo('/srv/b').sessions.list();
    await fleet.close();
    await reading;
  });

  it('binds sessions, and finds them again after a restart of the host', async () => {
    const mocks = some();
    const first = await mocks.client({ maxServers: 3, route: () => 'each' });
    const session = await first.forRepo('/srv/a').sessions.create({}, { jarvisSessionID: 'chat' });
    const other = await first.forRepo('/srv/b').sessions.create();
    expect(() => first.sessions.bind('chat', other)).toThrow('already bound');
    first.sessions.bind('other', other);
    const stored = first.snapshot();
    expect(new Set(stored.placements.map(({ server }) => server))).toEqual(new Set(['each']));
    await first.close();
    const second = await mocks.client({ maxServers: 3, restore: stored });
    expect(second.servers().map(({ repository, starts }) => [repository, starts])).toEqual([
      [undefined, 1],
      ['/srv/a', 0],
      ['/srv/b', 0],
    ]);
    expect((await second.forSession('chat').refresh()).id).toBe(session.id);
    expect(second.servers().map(({ starts }) => starts)).toEqual([1, 1, 0]);
    expect(second.snapshot()).toEqual(stored);
  });

  it('gives a repository to another member and takes one', async () => {
    const mocks = some();
    mocks.mocks.main.reply('of main');
    mocks.mocks.each[0].reply('its own');
    const fleet = await mocks.client({ maxServers: 3 });
    await fleet.forRepo('/srv/a').sessions.list();
    await until(() => fleet.servers()[0]?.held === 0);
    await fleet.place('/srv/a', 'each');
    expect((await fleet.forRepo('/srv/a').prompt('?')).text).toBe('its own');
    await until(() => fleet.servers()[1]?.held === 0);
    await fleet.place('/srv/a', 'main');
    expect((await fleet.forRepo('/srv/a').prompt('?')).text).toBe('of main');
    await mocks.sleep('each');
    expect(statesOf(fleet)).toEqual(['main ready']);
  });

  it('makes no server for a directory that another member has', async () => {
    const fleet = await some().client({ maxServers: 3 });
    fleet.forRepo('/srv/a');
    expect(() => fleet.forRepo('/srv/a', { server: 'each' })).toThrow(RepoPlacedError);
    expect(fleet.servers()).toHaveLength(1);
  });

  it('says which member has no mock left', async () => {
    const fleet = await some().client({ maxServers: 4, route: () => 'each' });
    await Promise.all(['/srv/a', '/srv/b'].map((directory) => fleet.forRepo(directory).sessions.list()));
    await expect(fleet.forRepo('/srv/c').sessions.list()).rejects.toThrow(
      'each has mocks for 2 repositories',
    );
  });

  const open = (): Promise<ServerHandle> => Promise.resolve(fakeHandle());
  it.each<[string, () => Parameters<typeof JarvisFleet.start>[0], string]>([
    ['no limit of servers', () => ({ servers: { main: { perRepo: true } } }), 'maxServers'],
    ['a port', () => ({ maxServers: 2, servers: { main: { perRepo: true, port: 4096 } } }), 'no port'],
    [
      'a start with the fleet',
      () => ({ maxServers: 2, servers: { main: { perRepo: true, start: 'now' } } }),
      'on-demand',
    ],
    [
      'paths of another machine',
      () => ({ maxServers: 2, servers: { main: { perRepo: true, open } } }),
      "paths: 'local'",
    ],
    ['a limit of none', () => ({ maxServers: 0, servers: { main: { open } } }), 'maxServers'],
    [
      'a limit below what starts at once',
      () => ({ maxServers: 1, servers: { main: { open }, other: { open, start: 'now' } } }),
      'at least 2',
    ],
  ])('refuses %s', async (_name, options, message) => {
    await expect(JarvisFleet.start(options())).rejects.toThrow(message);
  });
});
