import { describe, expect, it } from 'vitest';
import { backoffMs } from '../../../src/core/backoff.js';

const BOUNDS = { minMs: 100, maxMs: 500 };

describe('backoffMs', () => {
  it('doubles the pause with each failure up to the longest pause', () => {
    const pauses = [0, 1, 2, 3, 4].map((failures) => backoffMs(failures, BOUNDS, () => 1));
    expect(pauses).toEqual([100, 200, 400, 500, 500]);
  });

  it('takes up to a half of a pause away', () => {
    expect(backoffMs(1, BOUNDS, () => 0)).toBe(100);
    expect(backoffMs(1, BOUNDS, () => 0.5)).toBe(150);
    expect(backoffMs(9, BOUNDS, () => 0)).toBe(250);
  });

  it('stays at the longest pause after any number of failures', () => {
    expect(backoffMs(100_000, BOUNDS, () => 1)).toBe(500);
  });

  it('takes the jitter of a pause from Math.random by default', () => {
    const pauses = Array.from({ length: 200 }, () => backoffMs(0, BOUNDS));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(100);
    expect(new Set(pauses).size).toBeGreaterThan(1);
  });
});
