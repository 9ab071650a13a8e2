import type { PermissionRule } from '../../client/schema/session.js';
import type { AllowedCall, ToolDialect } from '../model/tool-dialect.js';
import { questionResult } from '../model/tool-results.js';
import { needOf } from '../state/permission-rules.js';

/** What the tools of OpenCode 1.x are called in OpenCode 2. */
const NAMES: Readonly<Record<string, string>> = { bash: 'shell', task: 'subagent' };

const DECLINED = 'The user declined this tool call';
const DISMISSED = 'The user dismissed this question';
const SHUT_DOWN = 'Interaction cancelled because the location shut down';
const INTERRUPTED = 'Tool execution interrupted';

/** The errors of tools that end the turn. */
export const ENDS_TURN: ReadonlySet<string> = new Set([DECLINED, DISMISSED]);
/** The errors of tools that were not run to their end; all others are failures of the tool. */
export const ABORTED: ReadonlySet<string> = new Set([DECLINED, DISMISSED, SHUT_DOWN, INTERRUPTED]);

/** The tools of OpenCode 2.0.14. */
export const OPENCODE_2_TOOLS: ToolDialect = {
  nameOf,
  needOf(tool, input, ask) {
    const { command } = input;
    const always =
      tool === 'shell' && typeof command === 'string' ? [`${command.split(' ', 1)[0]} *`] : ['*'];
    const need = needOf(tool, input, ask);
    return { ...need, permission: nameOf(need.permission), always: ask?.always ?? always };
  },
  permitted({ reply, message, isCancelled = false }, call) {
    if (reply !== 'reject') return { status: 'completed', output: call.output };
    if (isCancelled) return { status: 'error', error: SHUT_DOWN };
    return message === undefined || message === ''
      ? { status: 'error', error: DECLINED, endsTurn: true }
      : { status: 'error', error: unable(call) };
  },
  // The model is not shown a tool that is denied.
  denied: (_: readonly PermissionRule[], { tool }) => ({
    status: 'error',
    error: `No tool named "${tool}" is currently available. Please use a tool from the available tool list.`,
  }),
  answered: (questions, answers) =>
    answers === 'cancelled' ? { status: 'error', error: SHUT_DOWN } : questionResult(questions, answers),
  aborted: () => ({ status: 'error', error: INTERRUPTED }),
  subtask: {
    tool: 'subagent',
    input: ({ description, prompt, agent }) => ({ description, prompt, agent }),
    unknownAgent: (agent) => `Unknown agent: ${agent}`,
    metadata: (_, sessionID) => ({ sessionID, status: 'running' }),
    result: (sessionID, answer) => ({
      status: 'completed',
      output: `<subagent sessionID="${sessionID}" state="completed">\n${answer}\n</subagent>`,
      metadata: { sessionID, status: 'completed' },
    }),
  },
};

function nameOf(tool: string): string {
  return NAMES[tool] ?? tool;
}

function unable({ tool, input }: AllowedCall): string {
  const { command, filePath, path = filePath } = input;
  if (tool === 'shell' && typeof command === 'string') return `Unable to execute command: ${command}`;
  return typeof path === 'string' ? `Unable to ${tool} ${path}` : `Unable to execute ${tool}`;
}
