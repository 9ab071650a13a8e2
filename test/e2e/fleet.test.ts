import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  JarvisFleet,
  RepoBoundError,
  RepoPlacedError,
  ServerLostError,
  TurnError,
  type FleetEvent,
} from 'jarvis-opencode';
import { hang } from '../../src/testing/script/steps.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { text } from '../support/model-steps.js';
import { isAlive, processesWith } from '../support/processes.js';
import { realServerOptions } from '../support/real-opencode.js';
import { until } from '../support/wait.js';

type Real = Awaited<ReturnType<typeof realServerOptions>>;

let reals: readonly [Real, Real];
let repos: readonly [GitRepo, GitRepo];
let fleet: JarvisFleet<'main' | 'heavy'>;
const seen: FleetEvent[] = [];

beforeAll(async () => {
  reals = await Promise.all([realServerOptions({}), realServerOptions({})]);
  repos = await Promise.all([gitRepo(), gitRepo()]);
  const [main, heavy] = reals;
  const [, big] = repos;
  fleet = await JarvisFleet.start({
    servers: {
      main: main.startOptions,
      heavy: {
        ...heavy.startOptions,
        restart: { maxAttempts: 100, minDelayMs: 1 },
        stopAfterIdleMs: 3_600_000,
      },
    },
    route: (directory) => (directory === big.directory ? 'heavy' : undefined),
  });
  const events = fleet.events();
  void (async () => {
    for await (const event of events) if (event.type.startsWith('jarvis.')) seen.push(event);
  })();
  await events.ready;
});
afterAll(async () => {
  await fleet.close();
  for (const { marker } of reals) expect(processesWith(marker)).toEqual([]);
  for (const repo of repos) await repo.dispose();
  for (const real of reals) await real.dispose();
});

const stateOf = (name: string): string | undefined =>
  fleet.servers().find((server) => server.name === name)?.state;

describe('two real servers behind one client', () => {
  it('starts the second one with its first request, confines its death to it, wakes it from its sleep, and gives up its repository', async () => {
    const [main, heavy] = reals;
    const [small, big] = repos;
    main.model.use(() => [text('of main')]);
    heavy.model.use(({ prompt }) =>
      prompt.startsWith('hang') ? [text('on the way'), hang()] : [text('of heavy')],
    );
    const theirs = fleet.forRepo(big.directory);
    expect(() => fleet.server('main').forRepo(big.directory)).toThrow(RepoPlacedError);
    expect(fleet.servers().map(({ state, starts }) => [state, starts])).toEqual([
      ['ready', 1],
      ['asleep', 0],
    ]);
    expect(processesWith(heavy.marker)).toEqual([]);

    const session = await theirs.sessions.create({}, { jarvisSessionID: 'chat' });
    expect((await session.prompt('hello')).text).toBe('of heavy');
    const overview = fleet.servers()[1];
    expect(overview).toMatchObject({
      state: 'ready',
      starts: 1,
      loaded: 1,
      pid: expect.any(Number) as unknown,
    });
    await expect(
      fleet.server('main').forRepo(small.directory).sessions.get(session.id),
    ).rejects.toMatchObject({
      status: 404,
    });

    // The blast radius: the one server is killed in a turn, the turns of the other go on.
    await until(() => seen.some(({ type, server }) => type === 'jarvis.gap' && server === 'heavy'));
    seen.length = 0;
    const hanging = session.prompt('hang').catch((error: unknown) => error);
    await until(() => theirs.stats().holds.some(({ kind }) => kind === 'session-busy'));
    process.kill(overview?.pid as number, 'SIGKILL');
    const ours = await Promise.all([1, 2, 3].map(() => fleet.forRepo(small.directory).prompt('hello')));
    expect(ours.map((result) => result.text)).toEqual(['of main', 'of main', 'of main']);
    const error = await hanging;
    expect(error).toBeInstanceOf(TurnError);
    expect(error).toMatchObject({ reason: 'interrupted', cause: expect.any(ServerLostError) as unknown });
    expect((await session.prompt('hello')).text).toBe('of heavy');
    await until(() => seen.some(({ type }) => type === 'jarvis.gap'));
    expect(new Set(seen.map(({ server }) => server))).toEqual(new Set(['heavy']));
    expect(stateOf('main')).toBe('ready');

    // Asleep it has no process, and the same session wakes it.
    const pid = fleet.servers()[1]?.pid as number;
    await until(() => fleet.servers()[1]?.held === 0);
    await fleet.putToSleep('heavy');
    expect(stateOf('heavy')).toBe('asleep');
    expect(isAlive(pid)).toBe(false);
    expect(processesWith(heavy.marker)).toEqual([]);
    expect((await fleet.sessions.reconcile()).unknown).toMatchObject([{ jarvisSessionID: 'chat' }]);
    expect((await fleet.forSession('chat').prompt('hello')).text).toBe('of heavy');
    expect(fleet.servers()[1]).toMatchObject({ state: 'ready', starts: 2 });

    // The repository goes to the other server, which does not have its sessions.
    await until(() => fleet.servers()[1]?.held === 0);
    await expect(fleet.place(big.directory, 'main')).rejects.toBeInstanceOf(RepoBoundError);
    const placed = await fleet.place(big.directory, 'main', { force: true });
    expect(placed.unbound).toMatchObject([{ jarvisSessionID: 'chat', server: 'heavy' }]);
    expect(fleet.servers()[1]).toMatchObject({ state: 'ready', loaded: 0 });
    expect((await fleet.forRepo(big.directory).prompt('hello')).text).toBe('of main');
    await expect(session.prompt('hello')).rejects.toBeInstanceOf(RepoPlacedError);
  });
});
