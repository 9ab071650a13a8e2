import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseInput, parseTimeoutMs } from '../../../../src/client/http/request-options.js';

describe('parseTimeoutMs', () => {
  it.each([
    ['a number', 250, 250],
    ['a fraction', 0.5, 0.5],
    ['more than a timer can hold', 2 ** 40, 2 ** 40],
    ['false', false, false],
    ['undefined', undefined, 60_000],
  ])('takes %s as timeoutMs', (_what, value, expected) => {
    expect(parseTimeoutMs('timeoutMs', value, 60_000)).toBe(expected);
  });

  it('takes a default timeout without a limit', () => {
    expect(parseTimeoutMs('timeoutMs', undefined, false)).toBe(false);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'refuses %s with a RangeError that names the option and the value',
    (value) => {
      const parse = (): unknown => parseTimeoutMs('stallTimeoutMs', value, 1);
      expect(parse).toThrow(RangeError);
      expect(parse).toThrow(new RegExp(`expected stallTimeoutMs to be .* got ${value}`, 'i'));
    },
  );

  it.each([
    ['5', '"5" (string)'],
    [true, 'true (boolean)'],
    [null, 'null'],
    [5n, '5 (bigint)'],
    [{ ms: 5 }, 'an object'],
  ])('refuses %s with a TypeError that names the option, the value and its type', (value, got) => {
    const parse = (): unknown => parseTimeoutMs('timeoutMs', value, 1);
    expect(parse).toThrow(TypeError);
    expect(parse).toThrow(`Expected timeoutMs to be a positive number of milliseconds or false, got ${got}.`);
  });
});

describe('parseInput', () => {
  const schema = z.strictObject({
    title: z.string(),
    model: z.strictObject({ id: z.string().min(1) }).optional(),
  });

  it('gives back the input that was passed', () => {
    const input = { title: 'a', model: { id: 'm' } };
    expect(parseInput(() => schema, 'session', input)).toEqual(input);
  });

  it.each([
    ['a wrong type', { title: 5 }, /^Invalid session: title: .*string/],
    ['a missing key', {}, /^Invalid session: title: /],
    [
      'a key nobody knows',
      { title: 'a', titel: 'b' },
      /^Invalid session: .*"titel" \(did you mean 'title'\?\)/,
    ],
    [
      'a key nobody knows further down',
      { title: 'a', model: { id: 'm', i: 'n', Id: 'o' } },
      /^Invalid session: model: .*"Id" \(did you mean 'id', 'id'\?\)/,
    ],
    ['a mistake further down', { title: 'a', model: { id: '' } }, /^Invalid session: model\.id: /],
    ['no object', 'a', /^Invalid session: .*object/],
    ['null', null, /^Invalid session: .*object/],
  ])('names where in the input the mistake is: %s', (_what, input, message) => {
    const parse = (): unknown => parseInput(() => schema, 'session', input);
    expect(parse).toThrow(TypeError);
    expect(parse).toThrow(message);
  });

  it('names three mistakes of the input at most', () => {
    const many = z.strictObject(
      Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((key) => [key, z.string()])),
    );
    const parse = (): unknown => parseInput(() => many, 'prompt', {});
    expect(parse).toThrow(/a: .*b: .*c: /);
    expect(parse).not.toThrow(/d: /);
  });
});
