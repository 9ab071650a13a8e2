import { describe, expect, it } from 'vitest';
import { permissionDecisionSchema, questionDecisionSchema } from 'jarvis-opencode';
import { parsePermissionDecision, parseQuestionDecision } from '../../../../src/client/asks/policy.js';

const VALUES: readonly unknown[] = [
  ...['allow', 'always', 'deny', 'stop', 'ask', '', 1, null, undefined, [], {}],
  ...[{ deny: 'no' }, { deny: '' }, { deny: 1 }, { deny: 'no', more: true }],
  ...[{ answers: [] }, { answers: [['a'], []] }, { answers: ['a'] }, { answers: [[1]] }],
  { answers: [['a']], deny: 'no' },
];

/** Whether the call that sends a decision takes it. */
function takes(parse: (name: string, value: unknown) => unknown, value: unknown): boolean {
  try {
    parse('decision', value);
    return true;
  } catch {
    return false;
  }
}

describe('the schemas of decisions', () => {
  it.each(VALUES.map((value) => [value]))('accept %j exactly when the call that sends it does', (value) => {
    expect(permissionDecisionSchema.safeParse(value).success).toBe(takes(parsePermissionDecision, value));
    expect(questionDecisionSchema.safeParse(value).success).toBe(takes(parseQuestionDecision, value));
  });
});
