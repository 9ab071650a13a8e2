import { describe, expect, it } from 'vitest';
import { IdleClock, type IdlePolicy } from '../../../src/registry/idle.js';
import { RepoRegistry, type RepoEntry } from '../../../src/registry/repos.js';
import { fakeClock, type FakeClock } from '../../support/fake-clock.js';

interface Setup {
  readonly clock: FakeClock;
  readonly registry: RepoRegistry;
  readonly idle: IdleClock;
  readonly disposed: [string, 'idle' | 'cap'][];
  /** Uses a directory once, as a request does. */
  use(directory: string): Promise<RepoEntry>;
}

function setUp(policy: IdlePolicy, canDispose: (entry: RepoEntry) => boolean = () => true): Setup {
  const clock = fakeClock();
  const disposed: Setup['disposed'] = [];
  const registry: RepoRegistry = new RepoRegistry(clock, {
    loaded: () => idle.check(),
    released: (entry) => idle.released(entry),
    reopened: () => idle.check(),
  });
  const idle: IdleClock = new IdleClock(registry, policy, (entry, reason) => {
    disposed.push([entry.directory, reason]);
    if (canDispose(entry)) entry.unload(reason);
    return Promise.resolve();
  });
  return {
    clock,
    registry,
    idle,
    disposed,
    async use(directory) {
      const entry = registry.entry(directory);
      const release = await entry.enter('request', 'GET /x');
      release();
      return entry;
    },
  };
}

describe('the idle clock', () => {
  it('disposes an instance when its idle time is over, counted from the end of its last use', async () => {
    const { clock, registry, disposed } = setUp({ idleTimeoutMs: 100 });
    const entry = registry.entry('/a');
    const release = await entry.enter('request', 'GET /x');
    clock.advance(500);
    expect(disposed).toEqual([]);
    release();
    clock.advance(99);
    expect(disposed).toEqual([]);
    clock.advance(1);
    expect(disposed).toEqual([['/a', 'idle']]);
    expect(entry.stats(undefined)).toMatchObject({ loaded: false, disposals: { idle: 1 } });
  });

  it('starts again with every use', async () => {
    const { clock, disposed, use } = setUp({ idleTimeoutMs: 100 });
    for (let round = 0; round < 5; round++) {
      await use('/a');
      clock.advance(60);
    }
    expect(disposed).toEqual([]);
    clock.advance(40);
    expect(disposed).toEqual([['/a', 'idle']]);
  });

  it('needs one timer for any number of instances, and none when nothing is loaded', async () => {
    const { clock, use, disposed } = setUp({ idleTimeoutMs: 100, maxLoaded: 1_000 });
    for (let index = 0; index < 50; index++) {
      await use(`/${index}`);
      clock.advance(1);
      expect(clock.timers).toBe(1);
    }
    clock.advance(200);
    expect(disposed).toHaveLength(50);
    await Promise.resolve();
    expect(clock.timers).toBe(0);
  });

  it('disposes the least recently used one over the cap, never a held one', async () => {
    const { registry, disposed, use } = setUp({ maxLoaded: 2 });
    const lease = registry.entry('/a').hold('lease', 'tab');
    await use('/a');
    await use('/b');
    await use('/c');
    expect(disposed).toEqual([['/b', 'cap']]);
    await use('/d');
    expect(disposed).toEqual([
      ['/b', 'cap'],
      ['/c', 'cap'],
    ]);
    lease();
    await use('/e');
    expect(disposed.at(-1)).toEqual(['/d', 'cap']);
    expect([...registry.loadedEntries()].map((entry) => entry.directory)).toEqual(['/a', '/e']);
  });

  it('gives an instance over the cap back as soon as its hold ends', async () => {
    const { registry, disposed } = setUp({ maxLoaded: 1 });
    const first = await registry.entry('/a').enter('turn', 'ses_1');
    const second = await registry.entry('/b').enter('turn', 'ses_2');
    expect(disposed).toEqual([]);
    first();
    expect(disposed).toEqual([['/a', 'cap']]);
    second();
    expect(disposed).toEqual([['/a', 'cap']]);
  });

  it('tries a refused disposal again later, and at once when a hold ends', async () => {
    let refuse = true;
    const { clock, disposed, use } = setUp({ idleTimeoutMs: 10_000 }, () => !refuse);
    const entry = await use('/a');
    clock.advance(10_000);
    expect(disposed).toHaveLength(1);
    await Promise.resolve();
    clock.advance(4_999);
    expect(disposed).toHaveLength(1);
    clock.advance(1);
    expect(disposed).toHaveLength(2);
    await Promise.resolve();
    refuse = false;
    entry.setActive('session-busy', 'ses_1', true);
    clock.advance(60_000);
    expect(disposed).toHaveLength(2);
    entry.setActive('session-busy', 'ses_1', false);
    clock.advance(10_000);
    expect(disposed).toHaveLength(3);
    expect(entry.loaded).toBe(false);
  });

  it('tells the deadline of an idle instance only', async () => {
    const { clock, registry, idle, use } = setUp({ idleTimeoutMs: 100 });
    expect(idle.deadline(registry.entry('/a'))).toBeUndefined();
    const entry = await use('/a');
    expect(idle.deadline(entry)).toBe(clock.now() + 100);
    const release = entry.hold('lease', 'tab');
    expect(idle.deadline(entry)).toBeUndefined();
    release();
    const open = entry.closeGate();
    expect(idle.deadline(entry)).toBeUndefined();
    open();
    expect(idle.deadline(entry)).toBe(clock.now() + 100);
  });

  it('does nothing more after stop()', async () => {
    const { clock, idle, disposed, use } = setUp({ idleTimeoutMs: 100 });
    await use('/a');
    idle.stop();
    clock.advance(1_000);
    await use('/b');
    clock.advance(1_000);
    expect(disposed).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  it.each([
    { idleTimeoutMs: 0 },
    { idleTimeoutMs: -1 },
    { idleTimeoutMs: Number.NaN },
    { idleTimeoutMs: Infinity },
  ])('refuses %o', (policy) => {
    expect(() => setUp(policy)).toThrow(RangeError);
  });
  it.each([{ maxLoaded: 0 }, { maxLoaded: 1.5 }, { maxLoaded: -3 }, { maxLoaded: Number.NaN }])(
    'refuses %o',
    (policy) => {
      expect(() => setUp(policy)).toThrow(/Expected idle.maxLoaded to be a positive integer, got/);
    },
  );
});
