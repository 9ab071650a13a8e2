import { describe, expect, it, vi } from 'vitest';
import { lazy } from '../../../src/core/lazy.js';

describe('lazy()', () => {
  it('makes its value when it is first asked for, and once', () => {
    const make = vi.fn(() => ({}));
    const value = lazy(make);
    expect(make).not.toHaveBeenCalled();
    expect(value()).toBe(value());
    expect(make).toHaveBeenCalledTimes(1);
  });

  it('keeps undefined, and makes again what could not be made', () => {
    const make = vi.fn<() => undefined>().mockImplementationOnce(() => {
      throw new Error('not now');
    });
    const value = lazy(make);
    expect(value).toThrow('not now');
    expect(value()).toBeUndefined();
    expect(value()).toBeUndefined();
    expect(make).toHaveBeenCalledTimes(2);
  });
});
