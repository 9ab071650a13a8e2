import { describe, expect, it } from 'vitest';
import { DisposalsUnderWay, type Disposal } from '../../../../src/instances/disposal/disposals-under-way.js';
import {
  GuardedRestart,
  type GuardedRestartInit,
} from '../../../../src/instances/disposal/guarded-restart.js';
import type { InstanceEntry } from '../../../../src/registry/instance-entry.js';
import { quietRegistry } from '../../../support/quiet-registry.js';
import { deferred } from '../../../support/wait.js';

interface Setup {
  readonly entry: InstanceEntry;
  readonly underWay: DisposalsUnderWay;
  readonly restarted: () => number;
  restart(force?: boolean): Promise<void>;
}

function setUp(init: Partial<GuardedRestartInit> = {}): Setup {
  const registry = quietRegistry();
  const entry = registry.entry('/a');
  entry.use();
  const underWay = new DisposalsUnderWay();
  const restarter = new GuardedRestart({
    underWay,
    confirm: () => Promise.resolve(),
    streamLive: () => Promise.resolve(),
    closed: new AbortController().signal,
    ...init,
  });
  let restarts = 0;
  const instances = { list: () => [...registry.loadedEntries()], closeGate: () => registry.closeGate() };
  const run = (): Promise<void> => {
    restarts += 1;
    return Promise.resolve();
  };
  return {
    entry,
    underWay,
    restarted: () => restarts,
    restart: (force = false) => restarter.run(instances, run, force),
  };
}

describe('a guarded restart', () => {
  it('restarts the server when nothing holds an instance', async () => {
    const { entry, restart, restarted } = setUp();
    await restart();
    expect([restarted(), entry.isDisposing]).toEqual([1, false]);
  });

  it('refuses a restart because of a hold of this client, or of work that the server reports', async () => {
    const own = setUp();
    own.entry.hold('lease', 'tab');
    await expect(own.restart()).rejects.toMatchObject({ name: 'DisposeRefusedError' });
    const busy = setUp({
      confirm: () => Promise.resolve(busy.entry.begin('session-busy', { id: 'ses_1' })),
    });
    await expect(busy.restart()).rejects.toMatchObject({ holds: [{ kind: 'session-busy' }] });
    expect([own.restarted(), busy.restarted(), busy.entry.isDisposing]).toEqual([0, 0, false]);
  });

  it('restarts the server at once when the caller forces it', async () => {
    const { entry, underWay, restart, restarted } = setUp();
    entry.hold('lease', 'tab');
    underWay.add('/a', new Promise(() => undefined));
    await restart(true);
    expect(restarted()).toBe(1);
  });

  it('waits for the disposals under way before a restart, and keeps others from beginning', async () => {
    const stream = deferred();
    const { underWay, restart, restarted } = setUp({ streamLive: () => stream.promise });
    const disposal = deferred<Disposal>();
    underWay.add('/a', disposal.promise);
    const restarting = restart();
    await Promise.resolve();
    expect(restarted()).toBe(0);
    disposal.resolve({ disposed: true, aborted: [] });
    await expect.poll(() => underWay.of('/a')).toBeUndefined();
    let begun = false;
    const beginning = underWay.whenNoneOfAll(undefined, () => (begun = true));
    await Promise.resolve();
    expect(begun).toBe(false);
    stream.resolve();
    await Promise.all([restarting, beginning]);
    expect([restarted(), begun]).toEqual([1, true]);
  });

  it('ends a guarded restart with its client', async () => {
    const closing = new AbortController();
    const { restart, restarted } = setUp({
      closed: closing.signal,
      streamLive: () => new Promise(() => undefined),
    });
    const restarting = restart();
    closing.abort('closed');
    await expect(restarting).rejects.toBe('closed');
    expect(restarted()).toBe(0);
  });
});
