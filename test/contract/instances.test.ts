import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ClosedError, DisposeRefusedError, type JarvisOpenCode, type RepoClient } from 'jarvis-opencode';
import { ask, hang, text, waitFor } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { runFarm } from '../../examples/build-farm.js';
import { gate } from './helpers.js';
import { worlds, type World } from './worlds.js';

const PATIENCE = { timeout: 30_000, interval: 20 };

describe.each(worlds)('instances in $name', ({ name, open }) => {
  let world: World;
  beforeAll(async () => {
    world = await open();
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(() => [text('ok')]));

  /** Begins a turn that goes on until it is let. */
  async function busyTurn(
    repo: RepoClient,
  ): Promise<{ readonly sessionID: string; finish(): Promise<string> }> {
    const end = gate();
    world.script(({ prompt }) =>
      prompt === 'Work' ? [text('Working '), waitFor(end.promise), text('done.')] : [text('ok')],
    );
    const turn = (await repo.sessions.create()).stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    return {
      sessionID: turn.sessionID,
      finish: async () => {
        end.open();
        return (await turn.result).text;
      },
    };
  }

  /** Resolves when another repository of the client was disposed for idleness: long enough for this one, too. */
  async function untilOthersAreDisposed(jarvis: JarvisOpenCode): Promise<void> {
    const other = jarvis.forRepo(await world.repo());
    await other.path();
    await vi.waitFor(() => expect(other.stats().disposals.idle).toBe(1), PATIENCE);
  }

  it('loads an instance at its first use and disposes it when it has been idle', async () => {
    const jarvis = await world.connect({ idle: { idleTimeoutMs: 300 } });
    const repo = jarvis.forRepo(await world.repo());
    expect(repo.stats()).toMatchObject({ state: 'unloaded', loaded: false, boots: 0 });
    const session = await repo.sessions.create();
    expect(repo.stats()).toMatchObject({ loaded: true, boots: 1 });
    const before = await session.prompt('Hello').then(() => repo.stats().boots);
    await vi.waitFor(() => expect(repo.stats().loaded).toBe(false), PATIENCE);
    expect(repo.stats()).toMatchObject({
      state: 'unloaded',
      boots: before,
      disposals: { idle: before, explicit: 0 },
    });

    expect((await session.prompt('Once more')).text).toBe('ok');
    expect(repo.stats().boots).toBeGreaterThan(before);
    expect(await session.messages()).toHaveLength(4);
  });

  it('disposes no instance for idleness while a turn runs', async () => {
    const jarvis = await world.connect({ idle: { idleTimeoutMs: 300 } });
    const repo = jarvis.forRepo(await world.repo());
    const turn = await busyTurn(repo);
    const { disposals } = repo.stats();
    await untilOthersAreDisposed(jarvis);
    expect(repo.stats()).toMatchObject({ state: 'busy', loaded: true, disposals });
    expect(await turn.finish()).toBe('Working done.');
    await vi.waitFor(() => expect(repo.stats().disposals.idle).toBe(disposals.idle + 1), PATIENCE);
  });

  it('disposes no instance for idleness while another client works in it', async () => {
    const directory = await world.repo();
    const turn = await busyTurn(world.jarvis.forRepo(directory));
    const jarvis = await world.connect({ idle: { idleTimeoutMs: 300 } });
    const repo = jarvis.forRepo(directory);
    await repo.path();
    await untilOthersAreDisposed(jarvis);
    expect(repo.stats()).toMatchObject({ loaded: true, disposals: { idle: 0, external: 0 } });
    expect(await turn.finish()).toBe('Working done.');
  });

  it('disposes an instance on request, once', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    expect(await repo.dispose()).toEqual({ directory: repo.directory, disposed: false, aborted: [] });
    const session = await repo.sessions.create();
    const disposals = await Promise.all([repo.dispose(), repo.dispose()]);
    expect(disposals).toEqual(
      disposals.map(() => ({ directory: repo.directory, disposed: true, aborted: [] })),
    );
    expect(await repo.dispose()).toEqual({ directory: repo.directory, disposed: false, aborted: [] });
    expect(repo.stats()).toMatchObject({ state: 'unloaded', boots: 1, disposals: { explicit: 1 } });
    expect((await repo.sessions.list()).map(({ id }) => id)).toEqual([session.id]);
    expect(repo.stats()).toMatchObject({ loaded: true, boots: 2 });
  });

  it('disposes an instance as soon as its turn has the answer', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const session = await repo.sessions.create();
    await session.prompt('Hello');
    expect(await repo.dispose()).toEqual({ directory: repo.directory, disposed: true, aborted: [] });
    await session.prompt('Hello');
    expect(await repo.dispose()).toEqual({ directory: repo.directory, disposed: true, aborted: [] });
    expect(await session.messages()).toHaveLength(4);
  });

  it('refuses to dispose an instance while a turn of any client runs', async () => {
    const directory = await world.repo();
    const repo = world.jarvis.forRepo(directory);
    const turn = await busyTurn(repo);
    const refused = await repo.dispose().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(DisposeRefusedError);
    expect(refused).toMatchObject({ directory });
    expect((refused as DisposeRefusedError).holds).toContainEqual(
      expect.objectContaining({ kind: 'turn', detail: turn.sessionID }),
    );

    const other = (await world.connect({ idle: false })).forRepo(directory);
    await other.path();
    const holds = [{ kind: 'session-busy', detail: turn.sessionID }];
    await expect(other.dispose()).rejects.toMatchObject({ name: 'DisposeRefusedError', holds });
    expect(await turn.finish()).toBe('Working done.');
    await vi.waitFor(() => expect(repo.stats().state).toBe('idle'), PATIENCE);
    expect(await repo.dispose()).toMatchObject({ disposed: true });
  });

  it('keeps an instance until its hold is released', async () => {
    const jarvis = await world.connect({ idle: { idleTimeoutMs: 300 } });
    const repo = jarvis.forRepo(await world.repo());
    {
      using _tab = repo.hold('an open tab');
      await repo.path();
      await expect(repo.dispose()).rejects.toMatchObject({
        // Until the event stream is up, that is one more reason.
        holds: expect.arrayContaining([expect.objectContaining({ kind: 'lease', detail: 'an open tab' })]),
      });
      await untilOthersAreDisposed(jarvis);
      expect(repo.stats()).toMatchObject({ state: 'busy', loaded: true });
    }
    await vi.waitFor(() => expect(repo.stats().disposals.idle).toBe(1), PATIENCE);
  });

  it('disposes the least recently used instance that nothing holds when too many are loaded', async () => {
    const jarvis = await world.connect({ idle: { maxLoaded: 2 } });
    const repos: RepoClient[] = [];
    for (let index = 0; index < 3; index += 1) {
      const repo = jarvis.forRepo(await world.repo());
      repos.push(repo);
    }
    const [held, second] = repos;
    {
      using _tab = held?.hold('an open tab');
      for (const repo of repos) await repo.path();
      await vi.waitFor(() => expect(second?.stats().disposals).toMatchObject({ cap: 1, idle: 0 }), PATIENCE);
      expect(repos.map((repo) => repo.stats().loaded)).toEqual([true, false, true]);
    }
    await second?.path();
    await vi.waitFor(() => expect(repos.filter((repo) => repo.stats().loaded)).toHaveLength(2), PATIENCE);
    expect(second?.stats().loaded).toBe(true);
  });

  it('lets as many repositories be used at a time as may be loaded, and boots each once', async () => {
    const jarvis = await world.connect({ idle: { maxLoaded: 2 } });
    const repos = await Promise.all(
      Array.from({ length: 4 }, async () => jarvis.forRepo(await world.repo())),
    );
    let most = 0;
    const loaded = (): number => jarvis.repos().filter((repo) => repo.loaded).length;
    const directories = await Promise.all(
      repos.map((repo) =>
        repo.use(async (used) => {
          const { directory } = await used.sessions.create();
          most = Math.max(most, loaded());
          expect(used.stats()).toMatchObject({ uses: { running: 1, waiting: 0 } });
          expect(used.stats().holds).toContainEqual(expect.objectContaining({ kind: 'use' }));
          return directory;
        }),
      ),
    );
    expect(directories).toEqual(repos.map(({ directory }) => directory));
    expect(repos.map((repo) => repo.stats().boots)).toEqual(repos.map(() => 1));
    expect(most).toBe(2);
    expect(loaded()).toBe(2);
    const [one, two, three, four] = repos;
    const nested = one?.use(() => two?.use(() => three?.use(() => four?.path())));
    await expect(nested).rejects.toMatchObject({
      name: 'UseDeadlockError',
      directory: three?.directory,
      waits: [
        { directory: one?.directory, waitsFor: three?.directory },
        { directory: two?.directory, waitsFor: three?.directory },
      ],
    });
    expect(jarvis.repos().map(({ uses }) => uses)).toEqual(repos.map(() => ({ running: 0, waiting: 0 })));
  });

  it('answers calls that arrive while their instance is disposed', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const session = await repo.sessions.create();
    await session.prompt('Hello');
    await vi.waitFor(() => expect(repo.stats().state).toBe('idle'), PATIENCE);
    // Whoever came first decides whether the disposal is called off.
    const disposing = repo.dispose().catch((error: unknown) => {
      expect(error).toBeInstanceOf(DisposeRefusedError);
    });
    const [messages, sessions, path] = await Promise.all([
      session.messages(),
      repo.sessions.list(),
      repo.path(),
    ]);
    expect([messages.length, sessions.length, path.directory]).toEqual([2, 1, repo.directory]);
    await disposing;
    expect((await session.prompt('Hello')).text).toBe('ok');
  });

  it('notices that another client disposed an instance', async () => {
    const directory = await world.repo();
    const repo = world.jarvis.forRepo(directory);
    const other = (await world.connect({ idle: false })).forRepo(directory);
    const session = await repo.sessions.create();
    await session.prompt('Hello');
    await using events = repo.events({ types: ['server.instance.disposed'] });
    await events.ready;
    await other.path();
    expect(await other.dispose()).toMatchObject({ disposed: true });
    for await (const event of events) {
      expect(event).toMatchObject({ directory, properties: { directory } });
      break;
    }
    expect(repo.stats()).toMatchObject({ loaded: false, boots: 1, disposals: { external: 1, explicit: 0 } });
    expect((await session.prompt('Hello again')).text).toBe('ok');
    expect(repo.stats()).toMatchObject({ loaded: true, boots: 2 });
  });

  it('ends the turns of an instance that is disposed past the library', async () => {
    world.script(({ prompt }) => (prompt === 'Work' ? [text('Working'), hang()] : [text('ok')]));
    const directory = await world.repo();
    const repo = world.jarvis.forRepo(directory);
    const session = await repo.sessions.create();
    const turn = session.stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    const response = await world.fetch('/instance/dispose', { method: 'POST', directory });
    expect([response.status, await response.json()]).toEqual([200, true]);
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', reason: 'interrupted' });
    expect((await session.prompt('Go on')).text).toBe('ok');
  });

  it('leaves the instances of other repositories alone', async () => {
    const [here, there] = (await world.clones()).map((directory) => world.jarvis.forRepo(directory));
    if (here === undefined || there === undefined) throw new Error('no clones');
    const turn = await busyTurn(there);
    await here.path();
    expect(await here.dispose()).toMatchObject({ disposed: true });
    expect(there.stats()).toMatchObject({ state: 'busy', boots: 1, disposals: { external: 0 } });
    expect(await turn.finish()).toBe('Working done.');
  });

  it('loads no instance with a broken configuration, and names file, line and reason in the error', async () => {
    const jarvis = await world.connect({ idle: { maxLoaded: 1 } });
    const healthy = jarvis.forRepo(await world.repo());
    await healthy.path();
    const repo = jarvis.forRepo(await world.repo());
    const repair = await world.breakRepo(repo.directory);
    const refused = repo.sessions.create();
    await expect(refused).rejects.toMatchObject({
      status: 400,
      path: '/session',
      serverError: 'ConfigJsonError',
    });
    await expect(refused).rejects.toThrow(
      `"${repo.directory}/opencode.json", line 1, column 2: CloseBraceExpected`,
    );
    const broken = { state: 'broken', loaded: false, boots: 0, holds: [], idleDeadline: undefined };
    expect(repo.stats()).toMatchObject(broken);
    expect(repo.stats().error).toMatchObject({ name: 'RequestError', serverError: 'ConfigJsonError' });
    expect(await repo.dispose()).toMatchObject({ disposed: false });
    await jarvis.global.dispose();
    expect(healthy.stats()).toMatchObject({ loaded: false, disposals: { cap: 0, server: 1 } });

    // The server keeps what it could not read.
    await repair();
    await expect(repo.path()).rejects.toThrow('server.restart()');
    expect(repo.stats()).toMatchObject(broken);
    const response = await repo.fetch(`${repo.baseUrl}/session/status`);
    expect([response.status, await response.json()]).toMatchObject([400, { name: 'ConfigJsonError' }]);
    expect(repo.stats()).toMatchObject(broken);
  });

  it('runs the build farm of the examples over many repositories, each booted once, three loaded at a time', async () => {
    const jarvis = await world.connect({ idle: { maxLoaded: 3 } });
    // A repository takes a second and a half of a real server.
    const many = name === 'the mock' ? 30 : Number(process.env['FARM_REPOSITORIES'] ?? 6);
    const directories = await Promise.all(Array.from({ length: many }, () => world.repo()));
    const [mine, broken] = [new Set(directories), await world.repo()];
    await world.breakRepo(broken);
    let most = 0;
    const count = (): void => {
      const loaded = jarvis.repos().filter((repo) => repo.loaded);
      // What something else holds comes on top.
      const own = loaded.filter(({ uses, holds }) => uses.running > 0 || holds.length === 0);
      most = Math.max(most, own.length);
    };
    subscribe('jarvis-opencode:instance', count);
    const lines: string[] = [];
    const results = await runFarm(jarvis, [...directories, broken], (line) => lines.push(line));
    unsubscribe('jarvis-opencode:instance', count);

    const done = directories.map((directory) => ({ status: 'fulfilled', directory, value: 'ok' }));
    expect(results.slice(0, many)).toEqual(done);
    expect(results[many]).toMatchObject({ status: 'rejected', reason: { serverError: 'ConfigJsonError' } });
    expect(lines).toHaveLength(many + 1);
    expect(lines[0]).toMatch(new RegExp(`^1/${many + 1} .*: ok$`));
    const boots = jarvis.repos().filter(({ directory }) => mine.has(directory));
    expect(boots.map((repo) => repo.boots)).toEqual(directories.map(() => 1));
    expect(most).toBe(3);
  }, 300_000);

  it('lets running work end when it drains, and begins nothing new', async () => {
    const jarvis = await world.connect({ idle: { maxLoaded: 1 } });
    const [repo, other] = [jarvis.forRepo(await world.repo()), jarvis.forRepo(await world.repo())];
    const turn = await busyTurn(repo);
    const [begun, end] = [gate(), gate()];
    const using = repo.use(async (used) => {
      begun.open();
      await end.promise;
      return used.prompt('In the use');
    });
    await begun.promise;
    const waiting = other.use(() => 'never');
    const isDrained = vi.fn();
    void jarvis.drained().then(isDrained);

    const closing = jarvis.close({ drainMs: 600_000 });
    const draining = { name: 'ClosedError', isDraining: true };
    await expect(waiting).rejects.toMatchObject(draining);
    await expect(jarvis.map([repo.directory], () => 'never')).rejects.toMatchObject(draining);
    await expect(other.sessions.create()).rejects.toMatchObject(draining);
    await expect(other.use(() => 'never')).rejects.toMatchObject(draining);
    expect((await repo.sessions.list()).map(({ id }) => id)).toEqual([turn.sessionID]);
    expect(await turn.finish()).toBe('Working done.');
    expect(isDrained).not.toHaveBeenCalled();
    end.open();
    expect((await using).text).toBe('ok');
    await closing;
    expect(isDrained).toHaveBeenCalledOnce();
    expect(() => jarvis.forRepo(repo.directory)).toThrow(ClosedError);
    await expect(repo.sessions.list()).rejects.toMatchObject({ ...draining, isDraining: false });
  });

  it('waits for a permission while it drains, and takes no further turn', async () => {
    world.script(() => [
      ask('bash', { command: 'true', description: 'Do it' }, { output: '' }),
      text('Done.'),
    ]);
    const jarvis = await world.connect({ idle: false });
    const repo = jarvis.forRepo(await world.repo());
    const session = await repo.sessions.create();
    const turn = session.stream('Work');
    const next = session.prompt('Next');
    for await (const step of turn) {
      if (step.type !== 'permission') continue;
      const closing = jarvis.close({ drainMs: 600_000 });
      await repo.permissions.reply(step.request.id, { reply: 'once' });
      expect((await turn.result).text).toBe('Done.');
      await expect(next).rejects.toMatchObject({ name: 'ClosedError', isDraining: true });
      await closing;
    }
  });

  it('ends a drain at once by another close()', async () => {
    world.script(() => [text('Working'), hang()]);
    const jarvis = await world.connect({ idle: false });
    const repo = jarvis.forRepo(await world.repo());
    const turn = (await repo.sessions.create()).stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    const closing = jarvis.close({ drainMs: 600_000 });
    expect(jarvis.forRepo(repo.directory)).toBe(repo);
    await jarvis.close();
    await closing;
    await expect(turn.result).rejects.toMatchObject({ name: 'ClosedError', isDraining: false });
    expect(() => jarvis.forRepo(repo.directory)).toThrow(ClosedError);
    await jarvis.drained();
  });

  it('maps many directories, where a broken one costs the others nothing', async () => {
    const jarvis = await world.connect({ idle: { maxLoaded: 1 } });
    const [one, broken, two] = [await world.repo(), await world.repo(), await world.repo()];
    await world.breakRepo(broken);
    const progress: number[] = [];
    const results = await jarvis.map(
      [one, broken, two, one],
      async (repo) => (await repo.sessions.create()).directory,
      { onProgress: ({ done, total }) => progress.push(done / total) },
    );
    expect(results).toEqual([
      { status: 'fulfilled', directory: one, value: one },
      {
        status: 'rejected',
        directory: broken,
        reason: expect.objectContaining({ name: 'RequestError', serverError: 'ConfigJsonError' }),
      },
      { status: 'fulfilled', directory: two, value: two },
      { status: 'fulfilled', directory: one, value: one },
    ]);
    expect(progress).toEqual([0.25, 0.5, 0.75, 1]);
    expect(jarvis.repos().filter(({ loaded }) => loaded)).toHaveLength(1);
  });

  it('keeps an instance loaded whose configuration breaks, until it is disposed', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    await repo.path();
    await world.breakRepo(repo.directory);
    expect(repo.stats()).toMatchObject({ state: 'idle', error: undefined });
    await repo.dispose();
    expect(repo.stats()).toMatchObject({ state: 'unloaded', error: undefined });
    await expect(repo.path()).rejects.toMatchObject({ serverError: 'ConfigJsonError' });
    expect(repo.stats()).toMatchObject({ state: 'broken', loaded: false, boots: 1 });
  });
});
