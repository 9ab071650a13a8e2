import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/core/logger.js';
import type { Activity, ActivityReader } from '../../../src/instances/activity-reader.js';
import { GapResync } from '../../../src/instances/gap-resync.js';
import type { InstanceEntry } from '../../../src/registry/instance-entry.js';
import type { InstanceRegistry } from '../../../src/registry/instance-registry.js';
import { quietRegistry } from '../../support/quiet-registry.js';

const { signal } = new AbortController();
const NOBODY = (): boolean => false;
const ACTIVITY: Activity = { busySessions: [], permissions: [], questions: [], runningPtys: undefined };

interface Setup {
  readonly registry: InstanceRegistry;
  readonly gap: GapResync;
  readonly read: string[];
  readonly reread: [string, unknown][];
}

/** A resync whose reader does `read` to an instance and answers, or throws. */
function setUp(readOne: (entry: InstanceEntry) => void = () => undefined): Setup {
  const registry = quietRegistry();
  const read: string[] = [];
  const reread: Setup['reread'] = [];
  const reader = {
    confirmInTime: async (entry: InstanceEntry) => {
      read.push(entry.directory);
      await Promise.resolve();
      readOne(entry);
      return ACTIVITY;
    },
  } as unknown as ActivityReader;
  const gap = new GapResync({
    registry,
    reader,
    logger: silentLogger,
    asksReread: (directory, asks) => reread.push([directory, asks]),
  });
  return { registry, gap, read, reread };
}

describe('the resync after a gap', () => {
  it('reads the directories that are held or subscribed to, and no others', async () => {
    const { registry, gap, read } = setUp();
    registry.entry('/held').begin('session-busy', { id: 'ses_1' });
    registry.entry('/subscribed').use();
    registry.entry('/idle').use();
    registry.entry('/going').begin('session-busy', { id: 'ses_2' });
    const open = registry.entry('/going').closeGate();
    registry.entry('/unloaded');
    await gap.resync((directory) => directory === '/subscribed', signal);
    expect(read).toEqual(['/held', '/subscribed']);
    open();
  });

  it('reports what has changed since the stream broke first', async () => {
    const { registry, gap } = setUp((entry) =>
      entry.replaceActivity('session-busy', [{ id: 'ses_2' }, { id: 'ses_3' }]),
    );
    const entry = registry.entry('/a');
    entry.begin('session-busy', { id: 'ses_1' });
    entry.begin('session-busy', { id: 'ses_2' });
    expect(gap.streamBroke()).toBe(true);
    entry.end('session-busy', 'ses_1');
    expect(gap.streamBroke()).toBe(false);
    expect(await gap.resync(NOBODY, signal)).toEqual([
      { directory: '/a', busy: ['ses_3'], idle: ['ses_1'], asked: [], answered: [] },
    ]);
    gap.streamDelivers();
    expect(gap.streamBroke()).toBe(true);
    expect(await gap.resync(NOBODY, signal)).toMatchObject([{ busy: [], idle: [] }]);
  });

  it('lists an instance that ended with its server, also without another change', async () => {
    const { registry, gap } = setUp();
    registry.entry('/a').use();
    registry.entry('/b').use();
    gap.streamBroke();
    registry.entry('/a').unload('external');
    gap.endedWithServer('/a');
    expect(await gap.resync(NOBODY, signal)).toMatchObject([{ directory: '/a' }]);
    gap.streamDelivers();
    expect(await gap.resync(NOBODY, signal)).toEqual([]);
  });

  it('leaves out an instance that cannot be read, and keeps its holds', async () => {
    const { registry, gap, reread } = setUp(({ directory }) => {
      if (directory === '/a') throw new Error('no answer');
    });
    for (const directory of ['/a', '/b']) registry.entry(directory).begin('session-busy', { id: directory });
    const changes = await gap.resync(NOBODY, signal);
    expect(changes.map(({ directory }) => directory)).toEqual(['/b']);
    expect(registry.entry('/a').isHeld).toBe(true);
    expect(reread).toEqual([
      ['/a', undefined],
      ['/b', ACTIVITY],
    ]);
  });

  it('rejects a resync with the reason of its signal', async () => {
    const controller = new AbortController();
    const reason = new Error('the stream broke again');
    const { registry, gap } = setUp(() => controller.abort(reason));
    registry.entry('/a').begin('session-busy', { id: 'ses_1' });
    await expect(gap.resync(NOBODY, controller.signal)).rejects.toBe(reason);
  });
});
