import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  ClosedError,
  DisposeRefusedError,
  JarvisFleet,
  RepoBoundError,
  RepoPathError,
  RepoPlacedError,
  type ServerHandle,
} from 'jarvis-opencode';
import { mockOpenCode, text, waitFor, type MockFleet, type MockOpenCode } from 'jarvis-opencode/testing';
import { mocksIn, repositoryWithWorktree, requestsToMocks } from '../../support/mock-fleets.js';
import { fakeHandle } from '../../support/server-handle.js';
import { until } from '../../support/wait.js';

type Mocks = { readonly main: MockOpenCode; readonly heavy: MockOpenCode };
type Fleet = JarvisFleet<'main' | 'heavy'>;

const mocksOf = mocksIn(requestsToMocks());

async function aFleet(): Promise<{ mocks: MockFleet<Mocks>; fleet: Fleet }> {
  const mocks = mocksOf({ main: mockOpenCode(), heavy: mockOpenCode() });
  mocks.mocks.main.reply('of main');
  mocks.mocks.heavy.reply('of heavy');
  return { mocks, fleet: await mocks.client() };
}

const nothing = { moved: [], rebound: [], unbound: [], aborted: [] };
const idle = async (fleet: Fleet): Promise<void> => {
  await until(() => fleet.servers().every(({ held }) => held === 0));
};

describe('placing a repository on another server', () => {
  it('disposes it where it was, and serves it from the other one', async () => {
    const { fleet } = await aFleet();
    const old = fleet.forRepo('/srv/app');
    expect((await old.prompt('?')).text).toBe('of main');
    await idle(fleet);
    const placed = { directory: '/srv/app', server: 'heavy', from: 'main', moved: ['/srv/app'] };
    expect(await fleet.place('/srv/app/../app', 'heavy')).toEqual({ ...nothing, ...placed });
    expect(fleet.servers().map(({ loaded }) => loaded)).toEqual([0, 0]);
    expect((await fleet.forRepo('/srv/app').prompt('?')).text).toBe('of heavy');
    expect(fleet.repos().map(({ directory, server }) => [directory, server])).toEqual([
      ['/srv/app', 'heavy'],
    ]);
    expect(fleet.snapshot().placements).toEqual([{ server: 'heavy', directory: '/srv/app' }]);
    expect(() => fleet.server('main').forRepo('/srv/app')).toThrow(RepoPlacedError);
  });

  it('lets the objects of the old server say where the repository is, until it comes back', async () => {
    const { fleet } = await aFleet();
    const old = fleet.forRepo('/srv/app');
    const session = await old.sessions.create();
    const events = old.events();
    const reading = (async () => {
      for await (const _event of events);
    })();
    await idle(fleet);
    await fleet.place('/srv/app', 'heavy');
    const elsewhere = { directory: '/srv/app', server: 'heavy', requested: 'main' };
    await expect(reading).rejects.toMatchObject(elsewhere);
    await expect(old.sessions.list()).rejects.toMatchObject(elsewhere);
    await expect(session.prompt('?')).rejects.toBeInstanceOf(RepoPlacedError);
    await expect(old.use(() => 1)).rejects.toBeInstanceOf(RepoPlacedError);
    await expect(old.fetch(`${old.baseUrl}/event`)).rejects.toBeInstanceOf(RepoPlacedError);
    expect(() => old.hold()).toThrow(RepoPlacedError);
    expect(() => old.events()).toThrow(RepoPlacedError);
    expect(() => session.events()).toThrow(RepoPlacedError);
    await fleet.place('/srv/app', 'main');
    expect(fleet.forRepo('/srv/app')).toBe(old);
    expect((await session.prompt('?')).text).toBe('of main');
  });

  it.each<[string, (fleet: Fleet) => Disposable | Promise<unknown>]>([
    ['a lease, also of an instance that is not loaded', (fleet) => fleet.forRepo('/srv/app').hold('a tab')],
    ['a use', (fleet) => fleet.forRepo('/srv/app').use(() => new Promise(() => undefined))],
    ['a turn', (fleet) => fleet.forRepo('/srv/app').prompt('hang')],
  ])('is refused by %s, and moves nothing then', async (_name, held) => {
    const { mocks, fleet } = await aFleet();
    mocks.mocks.main.script(() => [text('begun'), waitFor(new Promise(() => undefined))]);
    const work = held(fleet);
    if (work instanceof Promise) work.catch(() => undefined);
    await until(() => (fleet.repos()[0]?.holds.length ?? 0) > 0);
    await expect(fleet.place('/srv/app', 'heavy')).rejects.toBeInstanceOf(DisposeRefusedError);
    expect(fleet.snapshot().placements).toEqual([{ server: 'main', directory: '/srv/app' }]);
  });

  it('aborts the work of the repository with force, and lets nothing run on both servers', async () => {
    const { mocks, fleet } = await aFleet();
    mocks.mocks.main.script(() => [text('begun'), waitFor(new Promise(() => undefined))]);
    const session = await fleet.forRepo('/srv/app').sessions.create();
    const turn = session.prompt('hang').catch((error: unknown) => error);
    await until(() => mocks.mocks.main.messages(session.id).length === 2);
    await until(() => fleet.servers()[0]?.held === 1);
    const placed = await fleet.place('/srv/app', 'heavy', { force: true });
    expect(placed.aborted).toEqual([session.id]);
    expect(await turn).toMatchObject({ reason: 'aborted' });
    expect(fleet.servers()[0]?.loaded).toBe(0);
    expect((await fleet.forRepo('/srv/app').prompt('?')).text).toBe('of heavy');
  });

  it('leaves no binding behind unless forced, and then names those it removed', async () => {
    const { fleet } = await aFleet();
    const session = await fleet.forRepo('/srv/app').sessions.create({}, { jarvisSessionID: 'chat' });
    await idle(fleet);
    const binding = { jarvisSessionID: 'chat', sessionID: session.id, directory: '/srv/app', server: 'main' };
    const refused = fleet.place('/srv/app', 'heavy');
    await expect(refused).rejects.toBeInstanceOf(RepoBoundError);
    await expect(refused).rejects.toMatchObject({
      bindings: [binding],
      message: expect.stringContaining('"chat"') as unknown,
    });
    expect(fleet.forSession('chat').id).toBe(session.id);
    const placed = await fleet.place('/srv/app', 'heavy', { force: true });
    expect(placed).toMatchObject({ unbound: [binding], rebound: [] });
    expect(fleet.sessions.list()).toEqual([]);
  });

  it('places what no server has, and does nothing where it is already', async () => {
    const { fleet } = await aFleet();
    const first = {
      ...nothing,
      directory: '/srv/app',
      server: 'heavy',
      from: undefined,
      moved: ['/srv/app'],
    };
    expect(await fleet.place('/srv/app', 'heavy')).toEqual(first);
    using _lease = fleet.forRepo('/srv/app').hold();
    expect(await fleet.place('/srv/app', 'heavy')).toEqual({ ...first, from: 'heavy', moved: [] });
    expect(fleet.servers().map(({ starts }) => starts)).toEqual([1, 0]);
  });

  it('carries out moves of one repository one after the other', async () => {
    const { fleet } = await aFleet();
    await fleet.forRepo('/srv/app').sessions.list();
    await idle(fleet);
    const moves = await Promise.all([
      fleet.place('/srv/app', 'heavy'),
      fleet.place('/srv/app', 'main'),
      fleet.place('/srv/app', 'heavy'),
    ]);
    expect(moves.map(({ from }) => from)).toEqual(['main', 'heavy', 'main']);
    expect(fleet.snapshot().placements).toEqual([{ server: 'heavy', directory: '/srv/app' }]);
  });

  it('moves a repository away from a server that sleeps, has failed or is closed, without starting it', async () => {
    const { mocks, fleet } = await aFleet();
    for (const directory of ['/srv/a', '/srv/b'])
      await fleet.forRepo(directory, { server: 'heavy' }).sessions.list();
    await idle(fleet);
    await mocks.sleep('heavy');
    await fleet.place('/srv/a', 'main');
    expect(fleet.servers()[1]).toMatchObject({ state: 'asleep', starts: 1 });
    await fleet.server('heavy').close();
    await fleet.place('/srv/b', 'main');
    expect((await fleet.forRepo('/srv/b').prompt('?')).text).toBe('of main');
  });

  it('takes a repository from a server that the fleet does not have any more', async () => {
    const mocks = mocksOf({ main: mockOpenCode(), heavy: mockOpenCode() });
    const binding = { jarvisSessionID: 'chat', sessionID: 'ses_1', directory: '/srv/old', server: 'old' };
    const fleet = await mocks.client({
      restore: {
        type: 'fleet',
        version: 1,
        placements: [{ server: 'old', directory: '/srv/old' }],
        bindings: [binding],
      },
    });
    await expect(fleet.place('/srv/old', 'main')).rejects.toBeInstanceOf(RepoBoundError);
    expect(await fleet.place('/srv/old', 'main', { force: true })).toMatchObject({
      from: 'old',
      unbound: [binding],
    });
    await fleet.forRepo('/srv/old').sessions.list();
  });

  it('binds no session on a server whose repository is elsewhere', async () => {
    const { fleet } = await aFleet();
    const session = await fleet.forRepo('/srv/app').sessions.create();
    expect(() => fleet.server('heavy').sessions.bind('chat', session)).toThrow(RepoPlacedError);
    fleet.server('heavy').sessions.bind('other', { id: 'ses_other', directory: '/srv/other' });
    expect(() => fleet.forRepo('/srv/other', { server: 'main' })).toThrow(RepoPlacedError);
  });

  it.each<[string, () => readonly unknown[], abstract new (...args: never[]) => Error]>([
    ['a name that is none of the fleet', () => ['/srv/app', 'elsewhere'], RangeError],
    ['a path that is not absolute', () => ['app', 'heavy'], RepoPathError],
    ['something else than a path', () => [7, 'heavy'], TypeError],
    ['an unknown option', () => ['/srv/app', 'heavy', { fore: true }], TypeError],
    [
      'a signal that has aborted',
      () => ['/srv/app', 'heavy', { signal: AbortSignal.abort(new RangeError('mine')) }],
      RangeError,
    ],
  ])('refuses %s', async (_name, args, error) => {
    const { fleet } = await aFleet();
    fleet.forRepo('/srv/app');
    await expect(fleet.place(...(args() as Parameters<typeof fleet.place>))).rejects.toBeInstanceOf(error);
    expect(fleet.snapshot().placements).toEqual([{ server: 'main', directory: '/srv/app' }]);
    await fleet.close();
    await expect(fleet.place('/srv/app', 'heavy')).rejects.toBeInstanceOf(ClosedError);
  });

  it('moves all working trees on the disk, and nothing to another machine', async () => {
    const { root, app, worktree } = repositoryWithWorktree();
    const open = (): Promise<ServerHandle> => Promise.resolve(fakeHandle());
    const fleet = await JarvisFleet.start({
      fetch: () => new Promise<Response>(() => undefined),
      servers: { main: { open, paths: 'local' }, heavy: { open, paths: 'local' }, gpu: { open } },
    });
    onTestFinished(() => fleet.close());
    fleet.forRepo(app);
    fleet.forRepo(worktree);
    expect((await fleet.place(worktree, 'heavy')).moved).toEqual([app, worktree]);
    expect(fleet.snapshot().placements.map(({ server }) => server)).toEqual(['heavy', 'heavy']);
    await expect(fleet.place(app, 'gpu')).rejects.toThrow("paths: 'local'");
    await expect(fleet.place(join(root, 'gone'), 'main')).rejects.toBeInstanceOf(RepoPathError);
  });
});
