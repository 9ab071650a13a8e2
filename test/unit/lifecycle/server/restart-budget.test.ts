import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  parseRestartPolicy,
  RestartBudget,
  type RestartPolicy,
} from '../../../../src/lifecycle/server/restart-budget.js';

afterEach(() => vi.restoreAllMocks());

function budget(policy: RestartPolicy): { take(): number | undefined; pass(ms: number): void } {
  const parsed = parseRestartPolicy(policy);
  if (parsed === undefined) throw new Error('switched off');
  let now = 0;
  const own = new RestartBudget(parsed, () => now);
  return { take: () => own.take(), pass: (ms) => void (now += ms) };
}

describe('the wait before a restart', () => {
  it('doubles the wait before a restart with each attempt up to its cap', () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const own = budget({ maxAttempts: 5, minDelayMs: 100, maxDelayMs: 500 });
    expect([own.take(), own.take(), own.take(), own.take(), own.take()]).toEqual([100, 200, 400, 500, 500]);
  });

  it('takes up to a half of the wait away as jitter', () => {
    const waits = Array.from({ length: 200 }, () => budget({ minDelayMs: 100 }).take() ?? 0);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...waits)).toBeLessThanOrEqual(100);
    expect(new Set(waits).size).toBeGreaterThan(1);
  });
});

describe('the circuit breaker', () => {
  it('opens the circuit breaker after maxAttempts within windowMs, and counts those only', () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const own = budget({ maxAttempts: 2, windowMs: 1_000, minDelayMs: 10 });
    expect(own.take()).toBe(10);
    own.pass(600);
    expect(own.take()).toBe(20);
    expect(own.take()).toBeUndefined();
    own.pass(399);
    expect(own.take()).toBeUndefined();
    own.pass(1);
    expect(own.take()).toBe(20);
    expect(own.take()).toBeUndefined();
    own.pass(1_000);
    expect(own.take()).toBe(10);
  });
});

describe('a restart policy', () => {
  it('fills in the defaults of a restart policy, and switches it off by false', () => {
    const defaults = { maxAttempts: 5, windowMs: 600_000, minDelayMs: 250, maxDelayMs: 30_000 };
    expect(parseRestartPolicy(undefined)).toEqual(defaults);
    expect(parseRestartPolicy({ minDelayMs: 60_000 })).toMatchObject({ maxDelayMs: 60_000 });
    expect(parseRestartPolicy(false)).toBeUndefined();
  });

  it.each([
    [{ maxAttempts: 0 }, /restart\.maxAttempts to be a positive integer, got 0/],
    [{ maxAttempts: 1.5 }, /restart\.maxAttempts/],
    [{ windowMs: -1 }, /restart\.windowMs to be a number of milliseconds, 0 or more, got -1/],
    [{ minDelayMs: Number.NaN }, /restart\.minDelayMs/],
    [{ maxDelayMs: Number.POSITIVE_INFINITY }, /restart\.maxDelayMs/],
    [{ minDelayMs: 10, maxDelayMs: 5 }, /restart\.maxDelayMs to be at least minDelayMs \(10\), got 5/],
  ])('refuses the restart policy %j', (policy, message) => {
    expect(() => parseRestartPolicy(policy)).toThrow(RangeError);
    expect(() => parseRestartPolicy(policy)).toThrow(message);
  });

  it('takes only an object or false as a restart policy', () => {
    expect(() => parseRestartPolicy(true as never)).toThrow(TypeError);
    expect(() => parseRestartPolicy(null as never)).toThrow(TypeError);
  });
});
