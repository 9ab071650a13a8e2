import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  ClosedError,
  JarvisFleet,
  JarvisOpenCode,
  OperationRefusedError,
  RepoPlacedError,
  ServerLostError,
  ServerStartError,
  SessionAlreadyBoundError,
  SessionNotBoundError,
  TurnError,
  UseDeadlockError,
  type ConnectOptions,
  type FleetEvent,
  type JarvisSnapshot,
  type RepoClient,
  type ServerHandle,
} from 'jarvis-opencode';
import { mockOpenCode, text, waitFor, type MockFleet, type MockOpenCode } from 'jarvis-opencode/testing';
import { fakeClock } from '../../support/fake-clock.js';
import { mocksIn, repositoryWithWorktree, requestsToMocks } from '../../support/mock-fleets.js';
import { fakeHandle } from '../../support/server-handle.js';
import { deferred, until } from '../../support/wait.js';

type Mocks = { readonly main: MockOpenCode; readonly heavy: MockOpenCode };

/** Nobody is there. */
const neverAnswers = (): Promise<Response> => new Promise(() => undefined);

const msw = requestsToMocks();
const mocksOf = mocksIn(msw);

const twoMocks = (): MockFleet<Mocks> => mocksOf({ main: mockOpenCode(), heavy: mockOpenCode() });

/** A fleet with a server elsewhere, and a repository there. */
async function withRemote(
  remote: MockOpenCode,
  profile: ConnectOptions = remote.connectOptions,
): Promise<{ fleet: JarvisFleet<'main' | 'remote'>; repo: RepoClient }> {
  const { mocks } = twoMocks();
  msw.use(...remote.handlers);
  onTestFinished(() => remote.close());
  const fleet = await JarvisFleet.start({
    servers: { main: { ...mocks.main.connectOptions }, remote: { ...profile } },
  });
  onTestFinished(() => fleet.close());
  return { fleet, repo: fleet.forRepo('/srv/app', { server: 'remote' }) };
}

const toHeavy = (directory: string): 'heavy' | undefined =>
  directory.startsWith('/big') ? 'heavy' : undefined;

const stateOf = (fleet: JarvisFleet<'main' | 'heavy'>, name: string): string | undefined =>
  fleet.servers().find((server) => server.name === name)?.state;

/** Reads every event of a fleet. */
function eventsOf<Name extends string>(
  fleet: JarvisFleet<Name>,
): { seen: FleetEvent[]; ready: Promise<void> } {
  const seen: FleetEvent[] = [];
  const events = fleet.events();
  void (async () => {
    for await (const event of events) seen.push(event);
  })();
  return { seen, ready: events.ready };
}

describe('a fleet', () => {
  it('sends each repository to its server, and keeps one object for it', async () => {
    const mocks = twoMocks();
    mocks.mocks.main.reply('of main');
    mocks.mocks.heavy.reply('of heavy');
    const fleet = await mocks.client({ route: toHeavy });
    const small = fleet.forRepo('/small');
    expect(fleet.forRepo('/small/../small')).toBe(small);
    expect(fleet.server('main').forRepo('/small')).toBe(small);
    expect((await small.prompt('?')).text).toBe('of main');
    expect((await fleet.forRepo('/big').prompt('?')).text).toBe('of heavy');
    expect(fleet.repos().map(({ directory, server }) => [directory, server])).toEqual([
      ['/small', 'main'],
      ['/big', 'heavy'],
    ]);
    expect(fleet.server('heavy')).toBeInstanceOf(JarvisOpenCode);
  });

  it('uses a directory through one member only, whoever asks', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    fleet.forRepo('/small');
    expect(() => fleet.forRepo('/small', { server: 'heavy' })).toThrow(RepoPlacedError);
    expect(() => fleet.server('heavy').forRepo('/small')).toThrow(RepoPlacedError);
    fleet.server('heavy').forRepo('/other');
    expect(fleet.forRepo('/other').sessions).toBe(fleet.server('heavy').forRepo('/other').sessions);
    const session = await fleet.forRepo('/small').sessions.create();
    expect(() => fleet.sessions.bind('chat', session, { server: 'heavy' })).toThrow(RepoPlacedError);
    expect(() => fleet.forRepo('/small', { server: 'nobody' as 'main' })).toThrow(RangeError);
    expect(() => fleet.server('nobody' as 'main')).toThrow('"main", "heavy"');
  });

  it('starts a member for the first request only, and one start serves all that wait', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    const { ready } = eventsOf(fleet);
    await ready;
    const repo = fleet.forRepo('/big');
    fleet.repos();
    fleet.snapshot();
    await fleet.sessions.reconcile();
    await fleet.drained();
    expect(fleet.servers().map(({ name, state, starts }) => [name, state, starts])).toEqual([
      ['main', 'ready', 1],
      ['heavy', 'asleep', 0],
    ]);
    await Promise.all([repo.sessions.list(), repo.sessions.list(), fleet.forRepo('/big2').sessions.list()]);
    expect(fleet.servers()[1]).toMatchObject({ state: 'ready', starts: 1, version: '1.18.33', loaded: 2 });
  });

  it('stops a member that nothing uses, and the same session wakes it', async () => {
    const clock = fakeClock();
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy, clock });
    const session = await fleet.forRepo('/big').sessions.create();
    const { seen } = eventsOf(fleet);
    await session.prompt('one');
    await until(() => fleet.servers()[1]?.held === 0);
    const deadline = fleet.servers()[1]?.stopDeadline ?? 0;
    expect(deadline).toBe(clock.now() + 900_000);
    expect(fleet.servers()[0]?.stopDeadline).toBeUndefined();
    clock.advance(900_000);
    await until(() => stateOf(fleet, 'heavy') === 'asleep');
    expect(stateOf(fleet, 'main')).toBe('ready');
    mocks.mocks.heavy.reply('again');
    expect((await session.prompt('two')).text).toBe('again');
    await until(() =>
      seen.some((event) => event.type === 'jarvis.gap' && event.properties.reason === 'restart'),
    );
    expect(
      new Set(seen.filter(({ type }) => type.startsWith('jarvis.')).map(({ server }) => server)),
    ).toEqual(new Set(['heavy']));
  });

  it('does not stop a member that something holds', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    const repo = fleet.forRepo('/big');
    await repo.sessions.list();
    using _lease = repo.hold('a tab');
    await expect(mocks.sleep('heavy')).rejects.toMatchObject({ code: 'DISPOSE_REFUSED' });
    expect(stateOf(fleet, 'heavy')).toBe('ready');
  });

  it('lets the crash of a member interrupt its own turns only', async () => {
    const mocks = twoMocks();
    const release = new EventTarget();
    const released = new Promise((resolve) => release.addEventListener('go', resolve));
    mocks.mocks.main.script(() => [text('begun'), waitFor(released), text(' and done')]);
    mocks.mocks.heavy.script(() => [text('begun'), waitFor(new Promise(() => undefined))]);
    const fleet = await mocks.client({ route: toHeavy });
    const { seen, ready } = eventsOf(fleet);
    await ready;
    const ours = fleet.forRepo('/small').prompt('long');
    const session = await fleet.forRepo('/big').sessions.create();
    const theirs = session.prompt('long').catch((error: unknown) => error);
    await until(() => mocks.mocks.heavy.messages(session.id).length === 2);
    await until(() => fleet.servers().every(({ held }) => held === 1));
    mocks.crash('heavy');
    const error = await theirs;
    expect(error).toBeInstanceOf(TurnError);
    expect(error).toMatchObject({ reason: 'interrupted', cause: expect.any(ServerLostError) as unknown });
    expect((error as TurnError).cause).toMatchObject({
      message: expect.stringContaining('the server "heavy"') as unknown,
    });
    expect(stateOf(fleet, 'heavy')).toBe('restarting');
    release.dispatchEvent(new Event('go'));
    expect((await ours).text).toBe('begun and done');
    mocks.restart('heavy');
    mocks.mocks.heavy.reply('back');
    expect((await session.prompt('again')).text).toBe('back');
    const states = seen.filter((event) => event.type === 'jarvis.server');
    expect(new Set(states.map(({ server }) => server))).toEqual(new Set(['heavy']));
    const lost = states.find((event) => 'interrupted' in event.properties);
    expect(lost?.properties).toMatchObject({ state: 'restarting', interrupted: [session.id] });
  });

  it('ends all members with the fleet, and refuses what comes later', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    const repo = fleet.forRepo('/big');
    await repo.sessions.list();
    const events = fleet.events();
    const reading = (async () => {
      for await (const _event of events);
    })();
    await Promise.all([fleet.close(), fleet.close()]);
    await reading;
    await expect(repo.sessions.list()).rejects.toBeInstanceOf(ClosedError);
    expect(() => fleet.forRepo('/small')).toThrow(ClosedError);
    expect(() => fleet.forSession('chat')).toThrow(ClosedError);
    expect(() => fleet.events()).toThrow(ClosedError);
    await expect(fleet.map(['/small'], () => 1)).rejects.toBeInstanceOf(ClosedError);
    expect(fleet.servers().map(({ state }) => state)).toEqual(['stopped', 'stopped']);
  });

  it('stays when one member is closed', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    const { seen, ready } = eventsOf(fleet);
    await ready;
    await fleet.server('heavy').close();
    expect(() => fleet.forRepo('/big')).toThrow(ClosedError);
    await fleet.forRepo('/small').sessions.create();
    await until(() => seen.some(({ type, server }) => type === 'session.created' && server === 'main'));
  });

  it('refuses uses inside each other that would wait for each other on two members, and names them', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy, idle: { maxLoaded: 1 } });
    const bothRun = [deferred(), deferred()] as const;
    const nested = async (index: 0 | 1, outer: string, inner: string): Promise<string> =>
      fleet.forRepo(outer).use(async () => {
        bothRun[index].resolve();
        await Promise.all(bothRun.map(({ promise }) => promise));
        return fleet.forRepo(inner).use(() => inner);
      });
    const [first, second] = await Promise.allSettled([
      nested(0, '/small', '/big/other'),
      nested(1, '/big', '/other'),
    ]);
    // The one that closed the cycle is refused, and the other one gets its place.
    expect(first).toEqual({ status: 'fulfilled', value: '/big/other' });
    expect(second.status === 'rejected' && (second.reason as unknown)).toBeInstanceOf(UseDeadlockError);
    expect(second).toMatchObject({
      reason: {
        directory: '/other',
        waits: [
          { directory: '/small', waitsFor: '/big/other' },
          { directory: '/big', waitsFor: '/other' },
        ],
      },
    });
  });

  it('lets a use on another member wait that somebody else ends', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy, idle: { maxLoaded: 1 } });
    const held = deferred();
    const holder = fleet.forRepo('/big').use(() => held.promise);
    const nested = fleet.forRepo('/small').use(() => fleet.forRepo('/big/other').use(() => 'inside'));
    await until(() => fleet.repos().some(({ uses }) => uses.waiting === 1));
    held.resolve();
    await holder;
    expect(await nested).toBe('inside');
  });

  it('maps directories over its members', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    const results = await fleet.map(['/small', '/big', 'relative'], async (repo) => {
      await repo.sessions.list();
      return repo.directory;
    });
    expect(
      results.map((result) => (result.status === 'fulfilled' ? result.value : result.directory)),
    ).toEqual(['/small', '/big', 'relative']);
    await fleet.drained();
  });
});

describe('the sessions of a fleet', () => {
  it('binds each jarvis session once in the fleet, and routes it to its server', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    const session = await fleet.forRepo('/big').sessions.create({}, { jarvisSessionID: 'chat' });
    expect(fleet.sessions.get('chat')).toEqual({
      jarvisSessionID: 'chat',
      sessionID: session.id,
      directory: '/big',
      server: 'heavy',
    });
    expect(fleet.forSession('chat').id).toBe(session.id);
    expect(fleet.sessions.directoryOf(session.id)).toBe('/big');
    expect(fleet.sessions.directoryOf(session.id, 'main')).toBeUndefined();
    const other = await fleet.forRepo('/small').sessions.create();
    expect(() => fleet.sessions.bind('chat', other)).toThrow(SessionAlreadyBoundError);
    await expect(
      fleet.forRepo('/small').sessions.create({}, { jarvisSessionID: 'chat' }),
    ).rejects.toBeInstanceOf(SessionAlreadyBoundError);
    fleet.sessions.bind('other', other);
    expect(fleet.sessions.list().map(({ jarvisSessionID, server }) => [jarvisSessionID, server])).toEqual([
      ['other', 'main'],
      ['chat', 'heavy'],
    ]);
    expect(fleet.sessions.unbind('chat')).toBe(true);
    expect(() => fleet.forSession('chat')).toThrow(SessionNotBoundError);
  });

  it('asks sleeping members only when that is wanted, and says what it did not ask', async () => {
    const mocks = twoMocks();
    const fleet = await mocks.client({ route: toHeavy });
    await fleet.forRepo('/small').sessions.create({}, { jarvisSessionID: 'ours' });
    const session = await fleet.forRepo('/big').sessions.create({}, { jarvisSessionID: 'theirs' });
    await until(() => fleet.servers()[1]?.held === 0);
    await mocks.sleep('heavy');
    const quick = await fleet.sessions.reconcile();
    expect(quick.kept.map(({ jarvisSessionID }) => jarvisSessionID)).toEqual(['ours']);
    expect(quick.unknown).toEqual([
      { jarvisSessionID: 'theirs', sessionID: session.id, directory: '/big', server: 'heavy' },
    ]);
    expect(stateOf(fleet, 'heavy')).toBe('asleep');
    const all = await fleet.sessions.reconcile({ wake: true });
    expect(all.kept.map(({ server }) => server)).toEqual(['main', 'heavy']);
    expect(all.unknown).toEqual([]);
  });

  it('goes on from a snapshot without starting anybody, and asks no route about what is placed', async () => {
    const mocks = twoMocks();
    const first = await mocks.client({ route: toHeavy });
    const session = await first.forRepo('/big').sessions.create({}, { jarvisSessionID: 'chat' });
    first.forRepo('/small');
    const stored: unknown = JSON.parse(JSON.stringify(first.snapshot()));
    await first.close();
    const asked: string[] = [];
    const second = await mocks.client({
      restore: stored as JarvisSnapshot,
      profiles: { main: { start: 'on-demand' } },
      route: (directory) => {
        asked.push(directory);
        return 'main';
      },
    });
    expect(second.forSession('chat').id).toBe(session.id);
    second.forRepo('/small');
    expect(second.servers().map(({ starts }) => starts)).toEqual([0, 0]);
    mocks.mocks.heavy.reply('still here');
    expect((await second.forSession('chat').prompt('?')).text).toBe('still here');
    expect(second.servers().map(({ starts }) => starts)).toEqual([0, 1]);
    expect(asked).toEqual([]);
    expect(second.snapshot()).toEqual(stored);
  });

  it('places the sessions of a snapshot of one client by the route', async () => {
    const mocks = twoMocks();
    const restore: JarvisSnapshot = {
      version: 1,
      bindings: [
        { jarvisSessionID: 'a', sessionID: 'ses_a', directory: '/big' },
        { jarvisSessionID: 'b', sessionID: 'ses_b', directory: '/small' },
      ],
    };
    const fleet = await mocks.client({ route: toHeavy, restore });
    expect(fleet.sessions.list().map(({ jarvisSessionID, server }) => [jarvisSessionID, server])).toEqual([
      ['b', 'main'],
      ['a', 'heavy'],
    ]);
  });

  it('keeps what belongs to a server that is gone, and gives it to nobody else', async () => {
    const mocks = twoMocks();
    const restore = {
      type: 'fleet',
      version: 1,
      placements: [{ server: 'old', directory: '/srv/old' }],
      bindings: [{ jarvisSessionID: 'chat', sessionID: 'ses_1', directory: '/srv/old', server: 'old' }],
    } as const;
    const fleet = await mocks.client({ restore });
    expect(() => fleet.forSession('chat')).toThrow(RangeError);
    expect(() => fleet.forRepo('/srv/old')).toThrow(RangeError);
    expect(() => fleet.forRepo('/srv/old', { server: 'main' })).toThrow(RepoPlacedError);
    const session = await fleet.forRepo('/small').sessions.create();
    expect(() => fleet.sessions.bind('chat', session)).toThrow(SessionAlreadyBoundError);
    expect((await fleet.sessions.reconcile()).unknown).toMatchObject([{ server: 'old' }]);
    expect(fleet.snapshot().bindings).toEqual(restore.bindings);
    expect(fleet.sessions.unbind('chat')).toBe(true);
  });

  it.each<[string, unknown, new (message?: string) => Error, string]>([
    [
      'a newer version',
      { type: 'fleet', version: 2, placements: [], bindings: [] },
      RangeError,
      'newer version',
    ],
    ['another shape', { type: 'fleet', version: 1, placements: 1, bindings: [] }, TypeError, 'placements'],
    [
      'a directory on two servers',
      {
        type: 'fleet',
        version: 1,
        placements: [
          { server: 'main', directory: '/a' },
          { server: 'heavy', directory: '/a' },
        ],
        bindings: [],
      },
      TypeError,
      'one server',
    ],
    [
      'one session for two conversations',
      {
        type: 'fleet',
        version: 1,
        placements: [],
        bindings: ['/a', '/b'].map((directory) => ({
          jarvisSessionID: directory,
          sessionID: 'ses_1',
          server: 'main',
          directory,
        })),
      },
      TypeError,
      'once, got ses_1 twice',
    ],
  ])('refuses a snapshot of %s', async (_name, restore, error, message) => {
    const starting = twoMocks().client({ restore: restore as JarvisSnapshot });
    await expect(starting).rejects.toBeInstanceOf(error);
    await expect(starting).rejects.toThrow(message);
  });

  it('is refused by a client of one server, by name', async () => {
    const fleet = await twoMocks().client();
    const restore = fleet.snapshot() as unknown as JarvisSnapshot;
    expect(() => new JarvisOpenCode(fakeHandle(), { restore })).toThrow('JarvisFleet.start({ restore })');
  });
});

describe('starting a fleet', () => {
  const open = (): Promise<ServerHandle> => Promise.resolve(fakeHandle());

  it.each<[string, object, string]>([
    ['no profiles', {}, 'Expected servers to have a profile'],
    ['a number as a name', { main: { open }, 1: { open } }, 'JavaScript sorts them first'],
    ['url and open in one profile', { main: { url: 'http://a', open } }, 'url or open, got both'],
    [
      'an option that the kind does not have',
      { main: { url: 'http://a', stopAfterIdleMs: 5 } },
      "'stopAfterIdleMs'",
    ],
    ['one url twice', { a: { url: 'http://a' }, b: { url: 'http://a/' } }, 'servers.b to be its own'],
    ['one port twice', { a: { port: 4096 }, b: { port: 4096, dataDir: '/b' } }, 'port of servers.b'],
    [
      'another trust on one data directory',
      { a: { dataDir: '/a' }, b: { dataDir: '/a', trustProjectConfig: false } },
      'differs from servers.a in trust',
    ],
    ['a profile that is none', { a: 7 }, 'servers.a'],
  ])('refuses %s', async (_name, servers, message) => {
    const starting = JarvisFleet.start({ servers: servers as Record<string, { open: typeof open }> });
    await expect(starting).rejects.toBeInstanceOf(TypeError);
    await expect(starting).rejects.toThrow(message);
  });

  it('rejects and stops what has started when a member of the beginning does not start', async () => {
    let stops = 0;
    const starting = JarvisFleet.start({
      fetch: neverAnswers,
      servers: {
        main: { open: () => Promise.resolve({ ...fakeHandle(), stop: () => Promise.resolve(void stops++) }) },
        broken: { start: 'now', open: () => Promise.reject(new Error('no room')) },
      },
    });
    await expect(starting).rejects.toBeInstanceOf(ServerStartError);
    await expect(starting).rejects.toThrow('Could not start the server "broken": no room.');
    expect(stops).toBe(1);
  });

  it('rejects with the reason of its signal, with nothing left running', async () => {
    const controller = new AbortController();
    const reason = new Error('mine');
    const aborted: unknown[] = [];
    const starting = JarvisFleet.start({
      signal: controller.signal,
      servers: {
        main: {
          open: (signal) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => {
                aborted.push(signal.aborted);
                reject(signal.reason as Error);
              });
              controller.abort(reason);
            }),
        },
      },
    });
    await expect(starting).rejects.toBe(reason);
    expect(aborted).toEqual([true]);
  });

  it('tells in one error which servers could not be stopped, and stops the others', async () => {
    let stops = 0;
    const fleet = await JarvisFleet.start({
      fetch: neverAnswers,
      servers: {
        main: {
          open: () => Promise.resolve({ ...fakeHandle(), stop: () => Promise.reject(new Error('stuck')) }),
        },
        other: {
          start: 'now',
          open: () => Promise.resolve({ ...fakeHandle(), stop: () => Promise.resolve(void stops++) }),
        },
      },
    });
    await expect(fleet.close()).rejects.toBeInstanceOf(AggregateError);
    expect(stops).toBe(1);
  });

  it.each<[string, () => unknown, string]>([
    ['no handle', () => 7, 'to give a server handle'],
    ['a url with a path', () => fakeHandle('http://127.0.0.1:9/x'), 'to be an origin'],
  ])('refuses %s from open()', async (_name, made, message) => {
    const starting = JarvisFleet.start({
      servers: { main: { open: () => Promise.resolve(made() as ServerHandle) } },
    });
    await expect(starting).rejects.toThrow(message);
  });

  it('looks at the programs of a server of its own for a diagnosis, also of one that does not start', async () => {
    const fleet = await JarvisFleet.start({
      fetch: neverAnswers,
      servers: {
        main: { open: () => Promise.resolve(fakeHandle()) },
        own: { command: '/nowhere/opencode', env: { PATH: '/nowhere' }, restart: false },
      },
    });
    onTestFinished(() => fleet.close());
    const findings = await fleet.server('own').diagnose();
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'git',
        summary: expect.stringContaining('There is no git') as unknown,
      }),
    );
    expect(findings.map(({ check }) => check)).toContain('ripgrep');
  });

  it('lets a wrong password reject the calls of its server only', async () => {
    const secured = mockOpenCode({ password: 'right' });
    const { fleet, repo } = await withRemote(secured, { url: secured.url, password: 'wrong' });
    await expect(repo.sessions.list()).rejects.toMatchObject({ code: 'REQUEST_FAILED', status: 401 });
    await expect(repo.sessions.list()).rejects.toMatchObject({ status: 401 });
    expect(fleet.servers()[1]).toMatchObject({ state: 'asleep', url: undefined });
    await fleet.forRepo('/small').sessions.list();
  });

  it('refuses the handle of an earlier start from open()', async () => {
    const mocks = twoMocks();
    const handle = { ...fakeHandle(mocks.mocks.heavy.url), isOwned: true };
    const open = (): Promise<ServerHandle> => Promise.resolve(handle);
    const fleet = await mocks.client({ route: toHeavy, profiles: { heavy: { open } as object } });
    const repo = fleet.forRepo('/big');
    await repo.sessions.list();
    await until(() => fleet.servers()[1]?.held === 0);
    await mocks.sleep('heavy');
    await expect(repo.sessions.list()).rejects.toThrow('the handle of an earlier start');
    expect(fleet.servers().map(({ state }) => state)).toEqual(['ready', 'asleep']);
  });

  it('starts nothing when every member is on demand and none is used', async () => {
    const fleet = await twoMocks().client({ profiles: { main: { start: 'on-demand' } } });
    fleet.forRepo('/small');
    await fleet.close();
    expect(fleet.servers().map(({ state, starts }) => [state, starts])).toEqual([
      ['stopped', 0],
      ['stopped', 0],
    ]);
  });

  it('gives up an open() that never settles, for its own requests only', async () => {
    const signals: AbortSignal[] = [];
    const open = (signal: AbortSignal): Promise<ServerHandle> => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const heavy = { open, startTimeoutMs: 20 } as object;
    const fleet = await twoMocks().client({ route: toHeavy, profiles: { heavy } });
    const refused = fleet.forRepo('/big').sessions.list();
    await expect(refused).rejects.toBeInstanceOf(ServerStartError);
    await expect(refused).rejects.toThrow('the server "heavy": it was not there within 20 ms');
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    await fleet.forRepo('/small').sessions.list();
    expect(fleet.servers().map(({ state }) => state)).toEqual(['ready', 'asleep']);
  });

  it('lets a server of an unsupported version fail for good, and that one only', async () => {
    const { fleet, repo } = await withRemote(mockOpenCode({ version: '1.4.2' }));
    await expect(repo.sessions.list()).rejects.toMatchObject({
      name: 'UnsupportedServerError',
      found: '1.4.2',
    });
    await until(() => fleet.servers()[1]?.state === 'failed');
    await expect(repo.sessions.list()).rejects.toBeInstanceOf(ServerLostError);
    await fleet.forRepo('/small').sessions.list();
  });

  it('is closed after a server that falls asleep, and starts none for the requests that wait', async () => {
    const mocks = twoMocks();
    const stopping = deferred();
    const stop = vi.fn(() => stopping.promise);
    const open = vi.fn(() => Promise.resolve({ ...fakeHandle(mocks.mocks.heavy.url), isOwned: true, stop }));
    const fleet = await mocks.client({ route: toHeavy, profiles: { heavy: { open } as object } });
    const repo = fleet.forRepo('/big');
    await repo.sessions.list();
    await until(() => fleet.servers()[1]?.held === 0);
    const sleeping = mocks.sleep('heavy');
    await until(() => stop.mock.calls.length === 1);
    const waiting = expect(repo.sessions.list()).rejects.toBeInstanceOf(ClosedError);
    const isClosed = vi.fn();
    const closing = fleet.close().then(isClosed);
    await waiting;
    expect(isClosed).not.toHaveBeenCalled();
    stopping.resolve();
    await Promise.all([closing, sleeping]);
    expect([open.mock.calls.length, stop.mock.calls.length]).toEqual([1, 1]);
  });

  it('lets a server that does not answer fail its own calls only, and try again', async () => {
    const remote = mockOpenCode();
    const { fleet, repo } = await withRemote(remote, { url: remote.url, timeoutMs: 50 });
    remote.crash();
    await expect(repo.sessions.list()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    expect(fleet.servers().map(({ state }) => state)).toEqual(['asleep', 'asleep']);
    await fleet.forRepo('/small').sessions.list();
    remote.restart();
    await expect(repo.sessions.list()).resolves.toEqual([]);
    // Another machine has directories of its own.
    expect(fleet.forRepo('/srv/app', { server: 'main' })).not.toBe(repo);
  });
});

describe('repo.fetch on a server that sleeps', () => {
  const ofBothVersions = () =>
    mocksOf({ one: mockOpenCode(), two: mockOpenCode({ opencode: 2 }) }).client({
      profiles: { one: { start: 'on-demand' } },
    });

  it('starts the server for repo.fetch, and takes the paths of its version', async () => {
    const fleet = await ofBothVersions();
    for (const [server, own, other] of [
      ['one', '/agent', '/api/agent'],
      ['two', '/api/agent', '/agent'],
    ] as const) {
      const repo = fleet.forRepo(`/of-${server}`, { server });
      expect((await repo.fetch(`${repo.baseUrl}${own}`)).status).toBe(200);
      await expect(repo.fetch(`${repo.baseUrl}${other}`)).rejects.toBeInstanceOf(OperationRefusedError);
    }
  });

  it('refuses a path that only the other version has, once the server says which it is', async () => {
    const fleet = await ofBothVersions();
    const repo = fleet.forRepo('/of-two', { server: 'two' });
    await expect(repo.fetch(`${repo.baseUrl}/agent`)).rejects.toBeInstanceOf(OperationRefusedError);
    expect(fleet.servers().map(({ starts }) => starts)).toEqual([0, 1]);
  });

  it('starts no server for a path that no version has, a subscription, and a repository that is elsewhere', async () => {
    const fleet = await ofBothVersions();
    const repo = fleet.forRepo('/of-two', { server: 'two' });
    const send = (path: string, init?: RequestInit): Promise<Response> =>
      repo.fetch(`${repo.baseUrl}${path}`, init);
    await expect(send('/nothing')).rejects.toBeInstanceOf(OperationRefusedError);
    const controller = new AbortController();
    const subscription = send('/event', { signal: controller.signal }).catch((error: unknown) => error);
    await fleet.place('/of-two', 'one');
    await expect(send('/agent')).rejects.toBeInstanceOf(RepoPlacedError);
    controller.abort();
    await subscription;
    expect(fleet.servers().map(({ starts }) => starts)).toEqual([0, 0]);
  });

  it('ends repo.fetch during a start when its caller gives up, or the fleet is closed', async () => {
    const open = (): Promise<ServerHandle> => new Promise(() => undefined);
    const fleet = await JarvisFleet.start({ servers: { main: { open, start: 'on-demand' } } });
    const repo = fleet.forRepo('/small');
    const controller = new AbortController();
    const given = repo.fetch(`${repo.baseUrl}/agent`, { signal: controller.signal });
    const waiting = repo.fetch(`${repo.baseUrl}/agent`);
    const outcome = expect(waiting).rejects.toBeInstanceOf(ClosedError);
    await until(() => fleet.servers()[0]?.state === 'starting');
    controller.abort(new Error('mine'));
    await expect(given).rejects.toThrow('mine');
    await fleet.close();
    await outcome;
  });
});

describe('directories of this machine', () => {
  it('gives a link and the worktrees of a repository its member', async () => {
    const { root, app, worktree } = repositoryWithWorktree();
    symlinkSync(app, join(root, 'link'));
    const open = (): Promise<ServerHandle> => Promise.resolve(fakeHandle());
    const fleet = await JarvisFleet.start<Record<'main' | 'heavy', { open: typeof open; paths: 'local' }>>({
      fetch: neverAnswers,
      route: () => 'main',
      servers: {
        main: { open, paths: 'local' },
        heavy: { open, paths: 'local' },
      },
    });
    onTestFinished(() => fleet.close());
    const repo = fleet.forRepo(app, { server: 'heavy' });
    expect(fleet.forRepo(join(root, 'link'))).toBe(repo);
    fleet.forRepo(worktree);
    fleet.forRepo(root);
    expect(fleet.snapshot().placements).toEqual([
      { server: 'heavy', directory: app },
      { server: 'heavy', directory: worktree },
      { server: 'main', directory: root },
    ]);
    expect(() => fleet.server('main').forRepo(worktree)).toThrow(RepoPlacedError);
  });
});
