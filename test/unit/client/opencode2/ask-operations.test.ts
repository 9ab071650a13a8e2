import { describe, expect, it } from 'vitest';
import { toFormAnswer } from '../../../../src/client/opencode2/ask-operations.js';
import type { FormField } from '../../../../src/client/opencode2/wire.js';

const options = [
  { value: 'r', label: 'red' },
  { value: 'b', label: 'blue' },
];

describe('toFormAnswer()', () => {
  it.each<[FormField, string[], unknown]>([
    [{ key: 'q', type: 'string', options }, ['red'], 'r'],
    [{ key: 'q', type: 'string' }, ['of my own'], 'of my own'],
    [{ key: 'q', type: 'multiselect', options }, ['red', 'blue'], ['r', 'b']],
    [{ key: 'q', type: 'multiselect', options }, [], []],
    [{ key: 'q', type: 'boolean' }, ['yes'], true],
    [{ key: 'q', type: 'boolean' }, ['no'], false],
    [{ key: 'q', type: 'integer' }, ['7'], 7],
    [{ key: 'q', type: 'number' }, ['0.5'], 0.5],
  ])('answers %j with %j as the field takes it', (field, chosen, expected) => {
    expect(toFormAnswer([field], [chosen])).toEqual({ q: expected });
  });

  it('leaves out a field without an answer', () => {
    expect(
      toFormAnswer(
        [
          { key: 'a', type: 'string' },
          { key: 'b', type: 'string' },
        ],
        [[], ['x']],
      ),
    ).toEqual({ b: 'x' });
  });
});
