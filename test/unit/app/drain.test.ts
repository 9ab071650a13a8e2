import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Drain } from '../../../src/app/drain.js';

vi.mock('../../../src/core/real-time.js', () => import('../../support/global-time.js'));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the time that running work has to end', () => {
  it('ends after the shortest limit that was given', async () => {
    const drain = new Drain();
    drain.limit(1_000);
    await vi.advanceTimersByTimeAsync(500);
    drain.limit(100);
    drain.limit(5_000);
    await vi.advanceTimersByTimeAsync(99);
    expect(drain.isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(drain.isOver).toBe(true);
    await drain.over;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends at once with a limit of 0, and leaves no timer', async () => {
    const drain = new Drain();
    drain.limit(1_000);
    drain.limit(0);
    expect([drain.isOver, vi.getTimerCount()]).toEqual([true, 0]);
    drain.limit(1_000);
    expect([drain.isOver, vi.getTimerCount()]).toEqual([true, 0]);
    await drain.over;
  });
});
