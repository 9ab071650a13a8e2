import { describe, expect, it } from 'vitest';
import { comparableOptions, differingOption } from '../../../src/app/comparable-options.js';

function difference(a: object, b: object): string | undefined {
  return differingOption(comparableOptions(a), comparableOptions(b));
}

describe('comparableOptions', () => {
  it.each<[what: string, a: object, b: object]>([
    ['equal data', { env: { A: '1' }, args: ['x'] }, { args: ['x'], env: { A: '1' } }],
    ['another order of keys', { config: { a: { b: 1, c: 2 } } }, { config: { a: { c: 2, b: 1 } } }],
    ['an option that is undefined', { port: undefined }, {}],
    ['two functions', { permissions: () => 1 }, { permissions: () => 2 }],
    ['loggers, restores and signals', { logger: console, restore: {}, signal: {} }, {}],
  ])('finds no difference in %s', (_what, a, b) => {
    expect(difference(a, b)).toBeUndefined();
  });

  it.each<[what: string, name: string, a: object, b: object]>([
    ['another value', 'port', { port: 1 }, { port: 2 }],
    ['one that is missing in the first', 'port', {}, { port: 1 }],
    ['one that is missing in the second', 'port', { port: 1 }, {}],
    ['another order in an array', 'args', { args: ['a', 'b'] }, { args: ['b', 'a'] }],
    ['a nested value', 'config', { config: { a: { b: 1 } } }, { config: { a: { b: 2 } } }],
    ['a variable that is removed', 'env', { env: { A: undefined } }, { env: {} }],
    ['a function and a text', 'permissions', { permissions: () => 1 }, { permissions: 'ask' }],
    ['no limit and null', 'idle', { idle: { maxLoaded: Infinity } }, { idle: { maxLoaded: null } }],
    ['a key __proto__', 'config', { config: JSON.parse('{"__proto__":{"a":1}}') as object }, { config: {} }],
  ])('names the option that differs by %s', (_what, name, a, b) => {
    expect(difference(a, b)).toBe(name);
  });

  it('keeps no value, which may be a secret', () => {
    const [text] = comparableOptions({ password: 'hunter2' }).values();
    expect(text).not.toContain('hunter2');
  });
});
