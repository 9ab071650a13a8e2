import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TurnTimeLimits } from '../../../../../src/client/turns/run/time-limits.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function limits(queueTimeoutMs: number | false, timeoutMs: number | false) {
  const onExpire = vi.fn();
  const init = { sessionID: 'ses_1', queueTimeoutMs, timeoutMs, waitsFor: () => 'a place', onExpire };
  return { onExpire, limits: new TurnTimeLimits(init) };
}

it('ends the wait of a prompt after queueTimeoutMs, and its turn after timeoutMs from then', () => {
  const queued = limits(100, 500);
  vi.advanceTimersByTime(100);
  expect(queued.onExpire).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ phase: 'queue', timeoutMs: 100 }),
  );

  const sent = limits(100, 500);
  vi.advanceTimersByTime(99);
  sent.limits.sent();
  vi.advanceTimersByTime(400);
  sent.limits.sent();
  vi.advanceTimersByTime(99);
  expect(sent.onExpire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(sent.onExpire).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ phase: 'request', timeoutMs: 500 }),
  );
});

it('keeps no timer of a turn that has ended, and begins none afterwards', () => {
  const ended = limits(100, 500);
  ended.limits.end();
  ended.limits.sent();
  expect(vi.getTimerCount()).toBe(0);
});
