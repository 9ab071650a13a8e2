import type { PermissionRule } from '../../client/schema/session.js';
import type { MockAsk } from '../script/steps.js';

/** The tools whose permission has another name than the tool. */
const PERMISSION_OF: Readonly<Record<string, string>> = { write: 'edit', apply_patch: 'edit', patch: 'edit' };

/** The permission that a tool call needs. */
export interface PermissionNeed {
  readonly permission: string;
  /** The commands or paths it needs the permission for. */
  readonly patterns: readonly string[];
  /** The patterns that an answer of `always` allows. */
  readonly always: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The permission that a tool call needs: what the script gives, the rest by the tool and its input. */
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

/** Applies the rules: the last matching rule decides each pattern, and the strictest decision counts for all patterns. */
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

/** Whether the text matches the pattern: `*` stands for any text, `?` for one character. */
function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
