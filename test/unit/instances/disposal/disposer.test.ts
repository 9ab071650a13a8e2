import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClosedError, DisposeRefusedError, TimeoutError } from 'jarvis-opencode';
import { Disposer, type DisposerInit } from '../../../../src/instances/disposal/disposer.js';
import type { InstanceEntry } from '../../../../src/registry/instance-entry.js';
import { InstanceRegistry } from '../../../../src/registry/instance-registry.js';
import { fakeClock } from '../../../support/fake-clock.js';
import { deferred } from '../../../support/wait.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

const closed = new AbortController();

function setUp(init: Partial<DisposerInit> = {}): {
  entry: InstanceEntry;
  disposer: Disposer;
  sent: string[];
} {
  const entry = new InstanceRegistry(fakeClock(), {
    loaded: () => undefined,
    released: () => undefined,
    reopened: () => undefined,
  }).entry('/a');
  entry.use();
  const sent: string[] = [];
  const disposer = new Disposer({
    confirm: () => Promise.resolve(),
    send: (directory) => {
      sent.push(directory);
      return Promise.resolve();
    },
    streamLive: () => Promise.resolve(),
    closed: closed.signal,
    abort: () => Promise.resolve(),
    unloaded: () => undefined,
    ...init,
  });
  return { entry, disposer, sent };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('a disposal', () => {
  it('keeps the gate closed until the server reports the end of the instance', async () => {
    const { entry, disposer, sent } = setUp();
    const disposing = disposer.dispose(entry, 'explicit');
    await vi.waitFor(() => expect(sent).toEqual(['/a']));
    let entered = false;
    const entering = entry.acquire('request', 'GET /x').then((release) => {
      entered = true;
      release();
    });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(entered).toBe(false);
    disposer.disposed(entry);
    expect(await disposing).toEqual({ disposed: true, aborted: [] });
    await entering;
    expect(entry).toMatchObject({ boots: 2, disposals: { explicit: 1, external: 0 } });
  });

  it('calls a disposal off for a request that comes before it is sent, and for work that the server reports', async () => {
    const confirming = deferred();
    const { entry, disposer, sent } = setUp({ confirm: () => confirming.promise });
    const disposing = disposer.dispose(entry, 'idle');
    disposing.catch(() => undefined);
    const entering = entry.acquire('request', 'GET /x');
    confirming.resolve();
    await expect(disposing).rejects.toMatchObject({
      name: 'DisposeRefusedError',
      holds: [{ kind: 'request', detail: 'GET /x' }],
    });
    (await entering)();
    expect(sent).toEqual([]);
    const busy = setUp({
      confirm: () => {
        busy.entry.begin('session-busy', { id: 'ses_1' });
        return Promise.resolve();
      },
    });
    await expect(busy.disposer.dispose(busy.entry, 'idle')).rejects.toBeInstanceOf(DisposeRefusedError);
    expect(busy.sent).toEqual([]);
    expect(busy.entry.isDisposing).toBe(false);
  });

  it('keeps an instance when it cannot ask the server about it', async () => {
    const failure = new Error('nobody answers');
    const { entry, disposer, sent } = setUp({ confirm: () => Promise.reject(failure) });
    await expect(disposer.dispose(entry, 'idle')).rejects.toBe(failure);
    expect(sent).toEqual([]);
    expect(entry).toMatchObject({ loaded: true, isDisposing: false });
  });

  it('waits for the event stream before it disposes anything, within its time limit', async () => {
    const { entry, disposer, sent } = setUp({
      streamLive: () => new Promise(() => undefined),
      timeoutMs: 100,
    });
    const disposing = disposer.dispose(entry, 'idle');
    disposing.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(100);
    await expect(disposing).rejects.toBeInstanceOf(TimeoutError);
    expect(sent).toEqual([]);
    expect(entry).toMatchObject({ loaded: true, isDisposing: false });
  });

  it('rejects with TimeoutError when no event reports the end of a disposal in time, and counts the instance as loaded until one does', async () => {
    const { entry, disposer } = setUp({ timeoutMs: 100 });
    const disposing = disposer.dispose(entry, 'explicit');
    disposing.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(100);
    await expect(disposing).rejects.toMatchObject({ name: 'TimeoutError', phase: 'dispose', timeoutMs: 100 });
    expect(entry).toMatchObject({ loaded: true, isDisposing: false });
    expect(entry.holds()).toMatchObject([{ kind: 'unknown' }]);
    disposer.disposed(entry);
    expect(entry).toMatchObject({ loaded: false, disposals: { explicit: 1, external: 0 } });
    expect(entry.holds()).toEqual([]);
  });

  it('continues a disposal when a caller stops waiting, and keeps the gate closed until it is over', async () => {
    const { entry, disposer, sent } = setUp();
    const controller = new AbortController();
    const disposing = disposer.dispose(entry, 'explicit', { signal: controller.signal });
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    controller.abort('never mind');
    await expect(disposing).rejects.toBe('never mind');
    expect(entry.isDisposing).toBe(true);
    const second = disposer.dispose(entry, 'explicit');
    disposer.disposed(entry);
    expect(await second).toMatchObject({ disposed: true });
    expect(sent).toHaveLength(1);
  });

  it('disposes nothing for an instance that is not loaded, and notes disposals by others', async () => {
    const { entry, disposer, sent } = setUp();
    disposer.disposed(entry);
    expect(entry.disposals.external).toBe(1);
    expect(await disposer.dispose(entry, 'explicit')).toMatchObject({ disposed: false });
    expect(sent).toEqual([]);
  });

  it('ends a disposal with its client', async () => {
    const ending = new AbortController();
    const { entry, disposer, sent } = setUp({ closed: ending.signal });
    const disposing = disposer.dispose(entry, 'explicit');
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    const error = new ClosedError();
    ending.abort(error);
    await expect(disposing).rejects.toBe(error);
  });
});
