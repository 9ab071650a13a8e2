import type { QuestionOutcome } from '../state/asks.js';
import type { MockQuestion } from '../script/steps.js';
import { needOf } from '../state/permission-rules.js';
import type { ToolDialect } from './tool-dialect.js';
import type { ToolResult } from './tool-call.js';

const REJECTED = 'The user rejected permission to use this specific tool call';

/** The tools of OpenCode 1.18.33. */
export const OPENCODE_1_TOOLS: ToolDialect = {
  nameOf: (tool) => tool,
  needOf,
  permitted({ reply, message }, { output }) {
    if (reply !== 'reject') return { status: 'completed', output };
    return message === undefined
      ? { status: 'error', error: `${REJECTED}.`, endsTurn: true }
      : { status: 'error', error: `${REJECTED} with the following feedback: ${message}` };
  },
  denied(rules) {
    const error =
      'The user has specified a rule which prevents you from using this specific tool call. ' +
      `Here are some of the relevant rules ${JSON.stringify(rules)}`;
    return { status: 'error', error };
  },
  answered: questionResult,
  aborted: (isAsking) =>
    isAsking
      ? { status: 'error', error: 'Tool execution aborted', metadata: { interrupted: true } }
      : {
          status: 'completed',
          output: '(no output)\n\n<shell_metadata>\nUser aborted the command\n</shell_metadata>',
        },
  subtask: {
    tool: 'task',
    input: ({ description, prompt, agent }) => ({ description, prompt, subagent_type: agent }),
    unknownAgent: (agent) => `Unknown agent type: ${agent} is not a valid agent type`,
    metadata: (parentSessionId, sessionId) => ({ parentSessionId, sessionId }),
    result(childID, answer, more) {
      const result = `<task_result>\n${answer}\n</task_result>`;
      const output = `<task id="${childID}" state="completed">\n${result}\n</task>`;
      return { status: 'completed', output, ...more };
    },
  },
};

/** The result of a question that is answered or dismissed. */
export function questionResult(questions: readonly MockQuestion[], answers: QuestionOutcome): ToolResult {
  if (answers === undefined || answers === 'cancelled') {
    return { status: 'error', error: 'The user dismissed this question', endsTurn: true };
  }
  const said = questions.map(({ question }, index) => {
    const given = answers[index]?.join(', ');
    return `"${question}"="${given === undefined || given === '' ? 'Unanswered' : given}"`;
  });
  const output = `User has answered your questions: ${said.join(', ')}. You can now continue with the user's answers in mind.`;
  return { status: 'completed', output, metadata: { answers } };
}
