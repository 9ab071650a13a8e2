import { describe, expect, it } from 'vitest';
import { changeOf, isEmptyChange, stateOf } from '../../../src/instances/directory-change.js';
import { quietRegistry } from '../../support/quiet-registry.js';

describe('the change of a directory', () => {
  it('lists what began and what ended in a directory', () => {
    const before = { busy: ['ses_1', 'ses_2'], asks: ['per_1'] };
    const after = { busy: ['ses_2', 'ses_3'], asks: ['per_1', 'que_1'] };
    expect(changeOf('/a', before, after)).toEqual({
      directory: '/a',
      busy: ['ses_3'],
      idle: ['ses_1'],
      asked: ['que_1'],
      answered: [],
    });
  });

  it('counts everything as begun when nothing was known before', () => {
    expect(changeOf('/a', undefined, { busy: ['ses_1'], asks: ['per_1'] })).toMatchObject({
      busy: ['ses_1'],
      asked: ['per_1'],
    });
  });

  it('finds no change only between two equal states', () => {
    const state = { busy: ['ses_1'], asks: ['per_1'] };
    expect(isEmptyChange(changeOf('/a', state, { ...state }))).toBe(true);
    expect(isEmptyChange(changeOf('/a', state, { ...state, asks: [] }))).toBe(false);
  });

  it('makes the state of a directory from the sessions and asks of its instance, without its terminals', () => {
    const entry = quietRegistry().entry('/a');
    entry.begin('session-busy', { id: 'ses_1' });
    entry.begin('question', { id: 'que_1', sessionID: 'ses_1' });
    entry.begin('permission', { id: 'per_1', sessionID: 'ses_1' });
    entry.begin('pty', { id: 'pty_1' });
    expect(stateOf(entry)).toEqual({ busy: ['ses_1'], asks: ['per_1', 'que_1'] });
  });
});
