import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ForcedDisposal,
  type ForcedDisposalInit,
} from '../../../../src/instances/disposal/forced-disposal.js';
import type { InstanceEntry } from '../../../../src/registry/instance-entry.js';
import { quietRegistry } from '../../../support/quiet-registry.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

const { signal } = new AbortController();

function setUp(init: Partial<ForcedDisposalInit> = {}): { entry: InstanceEntry; forced: ForcedDisposal } {
  const entry = quietRegistry().entry('/a');
  entry.use();
  const forced = new ForcedDisposal(entry, {
    confirm: () => Promise.resolve(),
    abort: (_directory, sessionID) => Promise.resolve(entry.end('session-busy', sessionID)),
    ...init,
  });
  return { entry, forced };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('a forced disposal', () => {
  it('aborts every session at work on a forced disposal and names them', async () => {
    const { entry, forced } = setUp({
      confirm: () => Promise.resolve(entry.begin('session-busy', { id: 'ses_told_by_server' })),
    });
    entry.begin('session-busy', { id: 'ses_1' });
    expect(await forced.abortWork(signal)).toEqual(['ses_1', 'ses_told_by_server']);
    forced.end();
  });

  it('aborts a session again after a second, because an abort may come too early', async () => {
    let aborts = 0;
    const { entry, forced } = setUp({
      abort: () => {
        if (++aborts === 2) entry.end('session-busy', 'ses_1');
        return Promise.resolve();
      },
    });
    entry.begin('session-busy', { id: 'ses_1' });
    const aborting = forced.abortWork(signal);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await aborting).toEqual(['ses_1']);
    expect(aborts).toBe(2);
    forced.end();
  });

  it('gives up after ten seconds on a session that goes on', async () => {
    const { entry, forced } = setUp({ abort: () => Promise.reject(new Error('no answer')) });
    entry.begin('session-busy', { id: 'ses_1' });
    let aborted: readonly string[] | undefined;
    const aborting = forced.abortWork(signal).then((ids) => (aborted = ids));
    await vi.advanceTimersByTimeAsync(9_000);
    expect(aborted).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2_000);
    await aborting;
    expect(aborted).toEqual(['ses_1']);
    forced.end();
  });

  it('continues a forced disposal when the instance cannot be read', async () => {
    const { forced } = setUp({ confirm: () => Promise.reject(new Error('no answer')) });
    expect(await forced.abortWork(signal)).toEqual([]);
    forced.end();
  });

  it('makes new turns wait until a forced disposal ends, and lets requests pass', async () => {
    const { entry, forced } = setUp();
    (await entry.acquire('request', 'GET /path'))();
    let entered = false;
    const entering = entry.acquire('turn', 'ses_1').then((release) => {
      entered = true;
      release();
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(entered).toBe(false);
    forced.end();
    await entering;
    expect(entered).toBe(true);
  });

  it('waits two seconds at most for requests under way', async () => {
    const { entry, forced } = setUp();
    await entry.acquire('request', 'GET /path');
    let isDrained = false;
    const draining = forced.drain(signal).then(() => (isDrained = true));
    await vi.advanceTimersByTimeAsync(1_999);
    expect(isDrained).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await draining;
    forced.end();
  });
});
