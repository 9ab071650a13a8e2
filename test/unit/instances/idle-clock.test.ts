import { describe, expect, it } from 'vitest';
import { IdleClock } from '../../../src/instances/idle-clock.js';
import { parseIdlePolicy, type IdlePolicy } from '../../../src/instances/idle-policy.js';
import { Scheduler } from '../../../src/instances/scheduler.js';
import type { InstanceEntry } from '../../../src/registry/instance-entry.js';
import { InstanceRegistry } from '../../../src/registry/instance-registry.js';
import { fakeClock, type FakeClock } from '../../support/fake-clock.js';

interface Setup {
  readonly clock: FakeClock;
  readonly registry: InstanceRegistry;
  readonly idle: IdleClock;
  readonly disposed: [string, 'idle' | 'cap'][];
  /** Uses a directory once, as a request does. */
  use(directory: string): Promise<InstanceEntry>;
}

function setUp(
  policy: IdlePolicy,
  canDispose: (entry: InstanceEntry) => boolean = () => true,
  serverRssBytes?: () => number,
): Setup {
  const parsed = parseIdlePolicy(policy);
  if (parsed === undefined) throw new Error('the policy is switched off');
  const clock = fakeClock();
  const disposed: Setup['disposed'] = [];
  const registry: InstanceRegistry = new InstanceRegistry(clock, {
    loaded: () => idle.check(),
    released: (entry) => idle.released(entry),
    reopened: () => idle.check(),
  });
  const idle: IdleClock = new IdleClock(registry, new Scheduler(clock), parsed, {
    dispose: (entry, reason) => {
      disposed.push([entry.directory, reason]);
      if (!canDispose(entry)) return Promise.resolve('failed');
      entry.unload(reason);
      return Promise.resolve('disposed');
    },
    serverRssBytes,
    random: () => 1,
  });
  return {
    clock,
    registry,
    idle,
    disposed,
    async use(directory) {
      const entry = registry.entry(directory);
      const release = await entry.acquire('request', 'GET /x');
      release();
      return entry;
    },
  };
}

describe('the idle clock', () => {
  it('disposes an instance when its idle time is over, counted from the end of its last use', async () => {
    const { clock, registry, disposed } = setUp({ idleTimeoutMs: 100 });
    const entry = registry.entry('/a');
    const release = await entry.acquire('request', 'GET /x');
    clock.advance(500);
    expect(disposed).toEqual([]);
    release();
    clock.advance(99);
    expect(disposed).toEqual([]);
    clock.advance(1);
    expect(disposed).toEqual([['/a', 'idle']]);
    expect(entry.stats(undefined)).toMatchObject({ loaded: false, disposals: { idle: 1 } });
  });

  it('leaves alone with keepForeign the instances that others loaded or work in, and counts them', async () => {
    const { clock, registry, idle, disposed, use } = setUp({
      idleTimeoutMs: 100,
      maxLoaded: 2,
      keepForeign: true,
    });
    const loaded = registry.entry('/loaded by others');
    loaded.notice();
    const shared = await use('/shared');
    shared.begin('session-busy', { id: 'ses_theirs' });
    shared.end('session-busy', 'ses_theirs');
    const own = registry.entry('/own');
    for (const [kind, detail] of [
      ['turn', 'ses_1'],
      ['request', 'POST /session/ses_2/command'],
    ] as const) {
      const release = await own.acquire(kind, detail);
      own.begin('session-busy', { id: detail.includes('ses_1') ? 'ses_1' : 'ses_2' });
      release();
    }
    expect(disposed).toEqual([]);
    for (const id of ['ses_1', 'ses_2']) own.end('session-busy', id);
    expect(disposed).toEqual([['/own', 'cap']]);
    clock.advance(1_000);
    expect([loaded, shared].map((entry) => [entry.loaded, idle.deadline(entry)])).toEqual([
      [true, undefined],
      [true, undefined],
    ]);
    loaded.unload('explicit');
    await use('/loaded by others');
    clock.advance(100);
    expect(disposed).toContainEqual(['/loaded by others', 'idle']);
  });

  it('makes room for a repository with a place by disposing the least recently used instance first', async () => {
    const { registry, idle, disposed, use } = setUp({ maxLoaded: 3 });
    for (const directory of ['/a', '/b', '/c']) await use(directory);
    await use('/a');
    const places = (...directories: string[]) => new Set(directories.map((each) => registry.entry(each)));
    await idle.makeRoom(places('/a'));
    await idle.makeRoom(places('/a', '/b', '/c'));
    expect(disposed).toEqual([]);
    await idle.makeRoom(places('/d'));
    expect(disposed).toEqual([['/b', 'cap']]);
    await idle.makeRoom(places('/d', '/e', '/f'));
    expect(disposed).toEqual([
      ['/b', 'cap'],
      ['/c', 'cap'],
      ['/a', 'cap'],
    ]);
  });

  it('does not wait for room that what it cannot dispose takes', async () => {
    const { registry, idle, disposed, use } = setUp({ maxLoaded: 1 }, ({ directory }) => directory !== '/a');
    const release = registry.entry('/held').hold('lease', 'a tab');
    await use('/held');
    await use('/a');
    expect(disposed).toEqual([['/a', 'cap']]);
    // Its disposal has failed, and is not tried again at once.
    await idle.makeRoom(new Set([registry.entry('/d')]));
    expect(disposed).toEqual([['/a', 'cap']]);
    idle.retry();
    expect(registry.entry('/held').loaded).toBe(true);
    release();
  });

  it('disposes for a place what the server may have finished, after what is idle', async () => {
    const { registry, idle, disposed, use } = setUp({ maxLoaded: 2 });
    const working = await use('/working');
    working.begin('session-busy', { id: 'ses_1' });
    await use('/idle');
    const places = new Set([registry.entry('/d')]);
    await idle.makeRoom(places);
    expect(disposed).toEqual([['/idle', 'cap']]);
    await idle.makeRoom(places.add(registry.entry('/e')));
    expect(disposed.at(-1)).toEqual(['/working', 'cap']);
  });

  it('starts the idle time again with every use', async () => {
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

  it('disposes the least recently used instance over the cap, never a held one', async () => {
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

  it('disposes an instance over the cap as soon as its hold ends', async () => {
    const { registry, disposed } = setUp({ maxLoaded: 1 });
    const first = await registry.entry('/a').acquire('turn', 'ses_1');
    const second = await registry.entry('/b').acquire('turn', 'ses_2');
    expect(disposed).toEqual([]);
    first();
    expect(disposed).toEqual([['/a', 'cap']]);
    second();
    expect(disposed).toEqual([['/a', 'cap']]);
  });

  it('tries a failed disposal again later, and at once when a hold ends', async () => {
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
    entry.begin('session-busy', { id: 'ses_1' });
    clock.advance(60_000);
    expect(disposed).toHaveLength(2);
    entry.end('session-busy', 'ses_1');
    clock.advance(10_000);
    expect(disposed).toHaveLength(3);
    expect(entry.loaded).toBe(false);
  });

  it('tries a disposal that fails again and again with twice the pause each time, and at once on retry()', async () => {
    const { clock, disposed, idle, use } = setUp({ idleTimeoutMs: 60_000 }, () => false);
    await use('/a');
    clock.advance(60_000);
    for (const waitMs of [5_000, 10_000, 20_000]) {
      await Promise.resolve();
      const attempts = disposed.length;
      clock.advance(waitMs - 1);
      expect(disposed).toHaveLength(attempts);
      clock.advance(1);
      expect(disposed).toHaveLength(attempts + 1);
    }
    await Promise.resolve();
    idle.retry();
    expect(disposed).toHaveLength(5);
  });

  it('disposes other instances after one disposal failed', async () => {
    const { clock, disposed, use } = setUp({ idleTimeoutMs: 100 }, (entry) => entry.directory !== '/a');
    await use('/a');
    clock.advance(50);
    await use('/b');
    clock.advance(50);
    await Promise.resolve();
    clock.advance(50);
    expect(disposed).toContainEqual(['/b', 'idle']);
  });

  it('counts the idle time from now when the clock was set back', async () => {
    const { clock, disposed, use } = setUp({ idleTimeoutMs: 100 });
    await use('/a');
    clock.jump(-500_000);
    clock.advance(100);
    clock.advance(100);
    expect(disposed).toEqual([['/a', 'idle']]);
  });

  it('disposes once the instances whose idle time ended while the machine slept', async () => {
    const { clock, disposed, use } = setUp({ idleTimeoutMs: 100 });
    await use('/a');
    clock.advance(86_400_000);
    expect(disposed).toEqual([['/a', 'idle']]);
  });

  it('disposes one instance after the other while the server uses too much memory, never a held one', async () => {
    let rssBytes = 300;
    const { clock, registry, disposed, use } = setUp(
      { idleTimeoutMs: 60_000, maxServerRssBytes: 150 },
      () => {
        rssBytes -= 100;
        return true;
      },
      () => rssBytes,
    );
    const lease = registry.entry('/held').hold('lease', 'tab');
    await use('/held');
    await use('/a');
    await use('/b');
    await use('/c');
    await Promise.resolve();
    clock.advance(10_000);
    await Promise.resolve();
    expect(disposed).toEqual([
      ['/a', 'cap'],
      ['/b', 'cap'],
    ]);
    clock.advance(20_000);
    rssBytes = 200;
    clock.advance(10_000);
    await Promise.resolve();
    expect(disposed).toHaveLength(3);
    clock.advance(60_000);
    expect(registry.entry('/held').loaded).toBe(true);
    lease();
  });

  it('gives the deadline of an idle instance only', async () => {
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

  it('disposes nothing after stop()', async () => {
    const { clock, idle, disposed, use } = setUp({ idleTimeoutMs: 100 });
    await use('/a');
    idle.stop();
    clock.advance(1_000);
    await use('/b');
    clock.advance(1_000);
    expect(disposed).toEqual([]);
    expect(clock.timers).toBe(0);
  });
});
