import { describe, expect, it } from 'vitest';
import { parseIdlePolicy } from '../../../src/instances/idle-policy.js';

describe('the idle policy', () => {
  it('fills in the defaults of the idle policy', () => {
    const defaults = {
      idleTimeoutMs: 600_000,
      maxLoaded: 8,
      maxServerRssBytes: Number.POSITIVE_INFINITY,
      keepForeign: false,
    };
    expect(parseIdlePolicy(undefined)).toEqual(defaults);
    expect(parseIdlePolicy({ maxLoaded: 3, keepForeign: true })).toEqual({
      ...defaults,
      maxLoaded: 3,
      keepForeign: true,
    });
  });

  it('switches the idle policy off by false', () => {
    expect(parseIdlePolicy(false)).toBeUndefined();
  });

  it.each([
    { idleTimeoutMs: 0 },
    { idleTimeoutMs: -1 },
    { idleTimeoutMs: Number.NaN },
    { idleTimeoutMs: Infinity },
  ])('refuses the idle policy %o', (policy) => {
    expect(() => parseIdlePolicy(policy)).toThrow(RangeError);
  });

  it.each([{ maxServerRssBytes: 0 }, { maxServerRssBytes: -1 }, { maxServerRssBytes: Number.NaN }])(
    'refuses the idle policy %o',
    (policy) => {
      expect(() => parseIdlePolicy(policy)).toThrow(
        /Expected idle.maxServerRssBytes to be a positive number of bytes/,
      );
    },
  );

  it.each([{ maxLoaded: 0 }, { maxLoaded: 1.5 }, { maxLoaded: -3 }, { maxLoaded: Number.NaN }])(
    'refuses the idle policy %o',
    (policy) => {
      expect(() => parseIdlePolicy(policy)).toThrow(/Expected idle.maxLoaded to be a positive integer, got/);
    },
  );
});
