import type { PermissionRule } from '../../client/schema/session.js';
import type { MockAsk } from '../script/steps.js';

/** The tools whose permission has another name. */
const PERMISSION_OF: Readonly<Record<string, string>> = { write: 'edit', apply_patch: 'edit', patch: 'edit' };

/** What a tool needs a permission for. */
export interface PermissionNeed {
  readonly permission: string;
  readonly patterns: readonly string[];
  readonly always: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What the call of a tool needs, as far as the script does not say. */
export function needOf(
  tool: string,
  input: Readonly<Record<string, unknown>>,
  ask: MockAsk | undefined,
): PermissionNeed {
  const { command, filePath } = input;
  const [subject, metadata] =
    typeof command === 'string'
      ? [command, { command }]
      : typeof filePath === 'string'
        ? [filePath, { filepath: filePath }]
        : ['*', {}];
  return {
    permission: ask?.permission ?? PERMISSION_OF[tool] ?? tool,
    patterns: ask?.patterns ?? [subject],
    always: ask?.always ?? ['*'],
    metadata: ask?.metadata ?? metadata,
  };
}

/** What the rules say: the last one that matches wins for a pattern, and the strictest of the patterns for all. */
export function decide(
  rules: readonly PermissionRule[],
  need: Pick<PermissionNeed, 'permission' | 'patterns'>,
): PermissionRule['action'] {
  const actions = need.patterns.map((pattern) => {
    const rule = rules.findLast(
      (one) => matches(one.permission, need.permission) && matches(one.pattern, pattern),
    );
    return rule?.action ?? 'allow';
  });
  return (['deny', 'ask'] as const).find((action) => actions.includes(action)) ?? 'allow';
}

/** `*` stands for any text, `?` for one character. */
function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
