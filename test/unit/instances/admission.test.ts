import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClosedError, TimeoutError, UseDeadlockError } from 'jarvis-opencode';
import type { UseOptions } from '../../../src/client/repo/use.js';
import { Admission, type Use } from '../../../src/instances/admission.js';
import { InstanceRegistry } from '../../../src/registry/instance-registry.js';
import { fakeClock } from '../../support/fake-clock.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Setup {
  readonly registry: InstanceRegistry;
  readonly admission: Admission;
  readonly closed: AbortController;
  /** The directories whose functions were called, in that order. */
  readonly begun: string[];
  /** Uses a directory until it is told to end. */
  use(directory: string, options?: UseOptions): { readonly done: Promise<string>; end(): void };
  counts(directory: string): string;
}

function setUp(maxPlaces: number, makeRoom: () => Promise<void> = () => Promise.resolve()): Setup {
  const registry = new InstanceRegistry(fakeClock(), {
    loaded: () => undefined,
    released: () => undefined,
    reopened: () => undefined,
  });
  const closed = new AbortController();
  const storage = new AsyncLocalStorage<Use>();
  const context = {
    get: () => storage.getStore(),
    run: <R>(use: Use, work: () => R): R => storage.run(use, work),
  };
  const admission = new Admission({
    maxPlaces,
    makeRoom,
    nesting: { context, admissions: new Set() },
    closed: closed.signal,
  });
  const begun: string[] = [];
  return {
    registry,
    admission,
    closed,
    begun,
    use(directory, options) {
      let end!: () => void;
      const ended = new Promise<void>((resolve) => (end = resolve));
      const work = async (): Promise<string> => {
        begun.push(directory);
        await ended;
        return directory;
      };
      const done = admission.run(registry.entry(directory), work, options);
      done.catch(() => undefined);
      return { done, end };
    },
    counts(directory) {
      const { running, waiting } = admission.countsOf(registry.entry(directory));
      return `${running} running, ${waiting} waiting`;
    },
  };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the admission of repositories', () => {
  it('gives a place to the next repository when the last use of one has ended', async () => {
    const { use, begun, counts, registry } = setUp(2);
    const [a, a2, b, c] = [use('/a'), use('/a'), use('/b'), use('/c')];
    await settle();
    expect(begun).toEqual(['/a', '/a', '/b']);
    expect(['/a', '/b', '/c'].map(counts)).toEqual([
      '2 running, 0 waiting',
      '1 running, 0 waiting',
      '0 running, 1 waiting',
    ]);
    expect(
      registry
        .entry('/a')
        .holds()
        .map(({ kind }) => kind),
    ).toEqual(['use', 'use']);
    expect(registry.entry('/c').isHeld).toBe(false);
    a.end();
    expect(await a.done).toBe('/a');
    await settle();
    expect(begun).not.toContain('/c');
    a2.end();
    await settle();
    expect(begun).toEqual(['/a', '/a', '/b', '/c']);
    expect(registry.entry('/a').isHeld).toBe(false);
    for (const { end } of [b, c]) end();
    expect(await Promise.all([b.done, c.done])).toEqual(['/b', '/c']);
    expect(counts('/c')).toBe('0 running, 0 waiting');
  });

  it('admits the highest priority first, then the first call', async () => {
    const { use, begun } = setUp(1);
    const uses = [
      use('/first'),
      use('/low', { priority: -1 }),
      use('/b'),
      use('/c'),
      use('/high', { priority: 5 }),
      // It shares the place of the call before it.
      use('/b', { priority: -2 }),
    ];
    for (const { end } of uses) end();
    await Promise.all(uses.map(({ done }) => done));
    expect(begun).toEqual(['/first', '/high', '/b', '/b', '/c', '/low']);
  });

  it('calls the function only when there is room for the instance', async () => {
    let room!: () => void;
    const { use, begun, counts } = setUp(1, () => new Promise((resolve) => (room = resolve)));
    const { done, end } = use('/a');
    end();
    await settle();
    expect(begun).toEqual([]);
    expect(counts('/a')).toBe('0 running, 1 waiting');
    room();
    expect(await done).toBe('/a');
  });

  it('gives the place back when the function throws', async () => {
    const { admission, registry, use } = setUp(1);
    const failure = new Error('mine');
    const thrower = (): never => {
      throw failure;
    };
    await expect(admission.run(registry.entry('/a'), thrower)).rejects.toBe(failure);
    const next = use('/b');
    next.end();
    expect(await next.done).toBe('/b');
    expect(registry.entry('/a').isHeld).toBe(false);
  });

  it('leaves the queue when its signal aborts, and never calls the function', async () => {
    const { use, begun, counts } = setUp(1);
    const first = use('/a');
    const controller = new AbortController();
    const waiting = use('/b', { signal: controller.signal });
    const last = use('/c');
    const reason = new Error('no longer');
    controller.abort(reason);
    await expect(waiting.done).rejects.toBe(reason);
    expect(counts('/b')).toBe('0 running, 0 waiting');
    for (const { end } of [first, last]) end();
    expect(await last.done).toBe('/c');
    expect(begun).toEqual(['/a', '/c']);
    await expect(use('/d', { signal: controller.signal }).done).rejects.toBe(reason);
  });

  it('gives the place back at once, and tells the function, when its signal aborts or its time is over', async () => {
    const { admission, registry, use, counts } = setUp(1);
    const controller = new AbortController();
    const told: unknown[] = [];
    const endless = (limits: UseOptions): Promise<void> =>
      admission.run(
        registry.entry('/a'),
        ({ signal }) =>
          new Promise<void>(() => {
            signal.addEventListener('abort', () => told.push(signal.reason));
            queueMicrotask(() => controller.abort('enough'));
          }),
        limits,
      );
    await expect(endless({ signal: controller.signal })).rejects.toBe('enough');
    const late = endless({ timeoutMs: 5_000 });
    late.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(5_000);
    await expect(late).rejects.toMatchObject({ phase: 'use', timeoutMs: 5_000 });
    expect(told).toEqual(['enough', expect.any(TimeoutError)]);
    expect(counts('/a')).toBe('0 running, 0 waiting');
    const next = use('/b');
    next.end();
    expect(await next.done).toBe('/b');
  });

  it('does not count the time in the queue', async () => {
    const { use } = setUp(1);
    const first = use('/a');
    const second = use('/b', { timeoutMs: 200 });
    await vi.advanceTimersByTimeAsync(250);
    expect(vi.getTimerCount()).toBe(0);
    first.end();
    await settle();
    await vi.advanceTimersByTimeAsync(150);
    second.end();
    expect(await second.done).toBe('/b');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends every use with the client', async () => {
    const { use, closed, counts } = setUp(1);
    const [running, waiting] = [use('/a'), use('/b')];
    await settle();
    closed.abort(new ClosedError());
    for (const { done } of [running, waiting, use('/c')]) await expect(done).rejects.toThrow(ClosedError);
    expect(counts('/a')).toBe('0 running, 0 waiting');
  });

  it('lets a use inside a use of the same repository run at once', async () => {
    const { admission, registry, use, begun } = setUp(1);
    const other = use('/before');
    const entry = registry.entry('/a');
    const nested = admission.run(entry, () =>
      admission.run(entry, () => admission.run(entry, () => 'inside')),
    );
    const waiting = use('/b');
    for (const { end } of [other, waiting]) end();
    expect(await nested).toBe('inside');
    expect(await waiting.done).toBe('/b');
    expect(begun).toEqual(['/before', '/b']);
  });

  it('refuses a use inside a use when every place waits for another one, and names them', async () => {
    const { admission, registry, use } = setUp(2);
    const [a, b] = [registry.entry('/a'), registry.entry('/b')];
    let begin!: () => void;
    const bothRun = new Promise<void>((resolve) => (begin = resolve));
    const outer = (entry: typeof a, wanted: string): Promise<string> =>
      admission.run(entry, async () => {
        await bothRun;
        return admission.run(registry.entry(wanted), () => `${entry.directory} used ${wanted}`);
      });
    const first = outer(a, '/c');
    const second = outer(b, '/d');
    second.catch(() => undefined);
    const outside = use('/e');
    outside.end();
    await settle();
    begin();
    await expect(second).rejects.toThrow(UseDeadlockError);
    await expect(second).rejects.toMatchObject({
      directory: '/d',
      waits: [
        { directory: '/a', waitsFor: '/c' },
        { directory: '/b', waitsFor: '/d' },
      ],
    });
    // Its place is free now, so the others go on.
    expect(await first).toBe('/a used /c');
    expect(await outside.done).toBe('/e');
  });

  it('lets a use inside a use wait while a place can become free', async () => {
    const { admission, registry, use } = setUp(2);
    const other = use('/b');
    const nested = admission.run(registry.entry('/a'), () => admission.run(registry.entry('/c'), () => 'c'));
    await settle();
    other.end();
    expect(await nested).toBe('c');
  });

  it('refuses what waits and what comes while draining, but for a use inside a running one', async () => {
    const { admission, registry, use } = setUp(2, () => settle());
    const entry = registry.entry('/a');
    let goOn!: () => void;
    const told = new Promise<void>((resolve) => (goOn = resolve));
    const outer = admission.run(entry, async () => {
      await told;
      await expect(admission.run(registry.entry('/b'), () => 1)).rejects.toThrow('closing');
      return admission.run(entry, () => 'inside');
    });
    await settle();
    await settle();
    const [admitted, queued] = [use('/c'), use('/d')];
    const reason = new ClosedError(undefined, { isDraining: true });
    admission.refuseNew(reason);
    for (const { done } of [admitted, queued, use('/a'), use('/e')]) await expect(done).rejects.toBe(reason);
    goOn();
    expect(await outer).toBe('inside');
  });

  it('lets everybody run at once without a limit', async () => {
    const { use, begun } = setUp(Number.POSITIVE_INFINITY);
    const uses = Array.from({ length: 50 }, (_, index) => use(`/${index}`));
    await settle();
    expect(begun).toHaveLength(50);
    for (const { end } of uses) end();
    await Promise.all(uses.map(({ done }) => done));
  });
});
