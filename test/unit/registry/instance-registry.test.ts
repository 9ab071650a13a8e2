import { describe, expect, it } from 'vitest';
import type { LoadOutcome } from '../../../src/registry/instance-entry.js';
import { InstanceRegistry } from '../../../src/registry/instance-registry.js';
import { fakeClock } from '../../support/fake-clock.js';

function registry(): InstanceRegistry {
  return new InstanceRegistry(fakeClock(), {
    loaded: () => undefined,
    released: () => undefined,
    reopened: () => undefined,
  });
}

describe('an entry', () => {
  it('counts one boot of an instance per load and lists what holds it', async () => {
    const entry = registry().entry('/a');
    expect(entry.stats(undefined)).toMatchObject({ loaded: false, state: 'unloaded', boots: 0, holds: [] });
    const release = await entry.acquire('request', 'GET /path');
    expect(entry.stats(undefined)).toMatchObject({
      loaded: true,
      state: 'busy',
      boots: 1,
      holds: [{ kind: 'request', detail: 'GET /path', since: 1_000_000 }],
    });
    release();
    release();
    expect(entry.stats(undefined)).toMatchObject({ state: 'idle', holds: [] });
    entry.unload('explicit');
    entry.unload('explicit');
    expect(entry.stats(undefined)).toMatchObject({ state: 'unloaded', disposals: { explicit: 1 } });
    (await entry.acquire('request', 'GET /path'))();
    expect(entry.boots).toBe(2);
  });

  it('loads an instance once for all callers who wait, and counts no place for it until it is loaded', async () => {
    let end: (outcome: LoadOutcome) => void = () => undefined;
    let loads = 0;
    const loaded: string[] = [];
    const repos = new InstanceRegistry(fakeClock(), {
      load: () => {
        loads += 1;
        return new Promise((resolve) => (end = resolve));
      },
      loaded: ({ directory }) => loaded.push(directory),
      released: () => undefined,
      reopened: () => undefined,
    });
    const entry = repos.entry('/a');
    const resumed: string[] = [];
    const entering = ['one', 'two'].map((name) =>
      entry.acquire('request', name, undefined, () => () => resumed.push(name)),
    );
    await Promise.resolve();
    expect([loads, repos.stayingCount, entry.stats(undefined).loaded, resumed]).toEqual([1, 0, false, []]);
    expect(entry.loaded).toBe(true);
    end({ error: new Error('broken') });
    for (const leave of await Promise.all(entering)) leave();
    expect(resumed).toEqual(['one', 'two']);
    expect(entry.stats(undefined)).toMatchObject({ state: 'broken', boots: 0, holds: [] });

    const again = entry.acquire('request', 'three');
    await Promise.resolve();
    end('loaded');
    (await again)();
    expect(loaded).toEqual(['/a']);
    expect([loads, repos.stayingCount]).toEqual([2, 1]);
    expect(entry.stats(undefined)).toMatchObject({ state: 'idle', error: undefined, boots: 1 });
    (await entry.acquire('request', 'four'))();
    expect(loads).toBe(2);
  });

  it('ends the attempt to load an instance when nobody waits any more', async () => {
    let abandoned: AbortSignal | undefined;
    const entry = new InstanceRegistry(fakeClock(), {
      load: (_entry, signal) => {
        abandoned = signal;
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve('unknown')));
      },
      loaded: () => undefined,
      released: () => undefined,
      reopened: () => undefined,
    }).entry('/a');
    const [first, second] = [new AbortController(), new AbortController()];
    const entering = [first, second].map(({ signal }) => entry.acquire('request', 'x', signal));
    first.abort('one');
    await expect(entering[0]).rejects.toBe('one');
    expect(abandoned?.aborted).toBe(false);
    second.abort('two');
    await expect(entering[1]).rejects.toBe('two');
    expect(abandoned?.aborted).toBe(true);
    // It may be there all the same.
    expect(entry.stats(undefined)).toMatchObject({ loaded: true, holds: [] });
  });

  it('lets nobody through a closed gate, but holds the instance for those who wait', async () => {
    const entry = registry().entry('/a');
    (await entry.acquire('request', 'first'))();
    const open = entry.closeGate();
    let entered = false;
    const waiting = entry.acquire('request', 'second').then((release) => {
      entered = true;
      return release;
    });
    await Promise.resolve();
    expect(entered).toBe(false);
    expect(entry.isHeld).toBe(true);
    expect(entry.stats(undefined).state).toBe('disposing');
    entry.unload('idle');
    open();
    (await waiting)();
    expect(entry.boots).toBe(2);
  });

  it('releases the hold when a caller who waits at the gate gives up', async () => {
    const entry = registry().entry('/a');
    const open = entry.closeGate();
    const controller = new AbortController();
    const waiting = entry.acquire('request', 'x', controller.signal);
    controller.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    expect(entry.isHeld).toBe(false);
    open();
    expect(entry.loaded).toBe(false);
  });

  it('holds an instance for what the server does, once per session, and for nothing of a former instance', () => {
    const entry = registry().entry('/a');
    entry.begin('session-busy', { id: 'ses_1' });
    entry.begin('session-busy', { id: 'ses_1' });
    entry.begin('pty', { id: 'pty_1' });
    expect(entry.holds().map((hold) => hold.detail)).toEqual(['ses_1', 'pty_1']);
    entry.replaceActivity('session-busy', [{ id: 'ses_2' }]);
    expect(entry.holds().map((hold) => hold.detail)).toEqual(['pty_1', 'ses_2']);
    entry.unload('external');
    expect(entry.holds()).toEqual([]);
    expect(entry.loaded).toBe(false);
  });

  it.each(['session-busy', 'permission', 'question', 'pty'] as const)(
    'bounds the number of holds of one kind (%s), and keeps the instance held until the server says what is left',
    (kind) => {
      const entry = registry().entry('/a');
      for (let n = 0; n < 5_000; n += 1) entry.begin(kind, { id: `id_${n}`, sessionID: 'ses_1' });
      expect(entry.holds()).toHaveLength(1_001);
      expect(entry.holds().at(-1)).toMatchObject({ kind, detail: expect.stringMatching(/^more than 1000/) });
      for (let n = 0; n < 5_000; n += 1) entry.end(kind, `id_${n}`);
      expect(entry.holds().map((hold) => hold.kind)).toEqual([kind]);
      expect([entry.isHeld, entry.isAtWork, entry.ptysSynced]).toEqual([true, true, false]);
      entry.replaceActivity(
        kind,
        Array.from({ length: 1_001 }, (_, n) => ({ id: `new_${n}` })),
      );
      expect(entry.holds()).toHaveLength(1_001);
      entry.replaceActivity(kind, [{ id: 'new_1' }]);
      expect(entry.holds().map(({ detail }) => detail)).toEqual(['new_1']);
      entry.end(kind, 'new_1');
      expect([entry.isHeld, entry.isAtWork]).toEqual([false, false]);
    },
  );

  it('holds an instance for a session with an endless id, and does not keep the id', () => {
    const entry = registry().entry('/a');
    entry.begin('session-busy', { id: 'x'.repeat(1_001) });
    expect(entry.holds()).toMatchObject([{ kind: 'session-busy' }]);
    expect(entry.holds()[0]?.detail.length).toBeLessThan(100);
    expect(entry.activityIDs('session-busy')).toEqual([]);
    entry.unload('external');
    expect(entry.isHeld).toBe(false);
  });

  it('counts no use of an instance for a mere sign of life', async () => {
    const clock = fakeClock();
    const entry = new InstanceRegistry(clock, {
      loaded: () => undefined,
      released: () => undefined,
      reopened: () => undefined,
    }).entry('/a');
    (await entry.acquire('request', 'x'))();
    const { lastUsedAt } = entry;
    clock.advance(10);
    entry.notice();
    expect(entry.lastUsedAt).toBe(lastUsedAt);
  });
});
