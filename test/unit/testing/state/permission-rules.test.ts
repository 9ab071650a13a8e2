import { describe, expect, it } from 'vitest';
import { decide, needOf } from '../../../../src/testing/state/permission-rules.js';

const rule = (permission: string, pattern: string, action: 'allow' | 'ask' | 'deny') => ({
  permission,
  pattern,
  action,
});

describe('decide()', () => {
  it.each([
    ['allows what no rule names', [], ['ls'], 'allow'],
    [
      'follows the last rule that matches',
      [rule('*', '*', 'deny'), rule('bash', 'ls', 'allow')],
      ['ls'],
      'allow',
    ],
    ['ignores a rule for another permission', [rule('edit', '*', 'deny')], ['ls'], 'allow'],
    [
      'takes the strictest decision of several patterns',
      [rule('bash', 'rm*', 'deny')],
      ['ls', 'rm -r x'],
      'deny',
    ],
    ['prefers a question to a permission', [rule('bash', 'git *', 'ask')], ['ls', 'git push'], 'ask'],
    ['matches one character by a question mark', [rule('bash', 'l?', 'deny')], ['ls'], 'deny'],
    ['takes a dot in a pattern as a dot', [rule('bash', 'a.c', 'deny')], ['abc'], 'allow'],
    ['matches line breaks by a star', [rule('bash', 'a*', 'deny')], ['a\nb'], 'deny'],
  ] as const)('%s', (_title, rules, patterns, decision) => {
    expect(decide(rules, { permission: 'bash', patterns })).toBe(decision);
  });
});

describe('needOf()', () => {
  it('takes the command or the path of the input as the pattern', () => {
    expect(needOf('bash', { command: 'ls' }, undefined)).toEqual({
      permission: 'bash',
      patterns: ['ls'],
      always: ['*'],
      metadata: { command: 'ls' },
    });
    expect(needOf('write', { filePath: '/a' }, undefined)).toMatchObject({
      permission: 'edit',
      patterns: ['/a'],
      metadata: { filepath: '/a' },
    });
    expect(needOf('grep', {}, undefined)).toMatchObject({ patterns: ['*'], metadata: {} });
  });

  it('prefers what the script gives', () => {
    const ask = { permission: 'external_directory', patterns: ['/x'], always: ['/x/*'], metadata: { a: 1 } };
    expect(needOf('bash', { command: 'ls' }, ask)).toEqual(ask);
  });
});
