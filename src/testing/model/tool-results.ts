import type { PermissionRule } from '../../client/schema/session.js';
import type { PermissionOutcome, QuestionOutcome } from '../state/asks.js';
import type { MockQuestion } from '../script/steps.js';
import type { ToolResult } from './tool-call.js';

/** The result of a tool whose permission request is answered. */
export function permissionResult({ reply, message }: PermissionOutcome, output: string): ToolResult {
  if (reply !== 'reject') return { status: 'completed', output };
  const rejected = 'The user rejected permission to use this specific tool call';
  return message === undefined
    ? { status: 'error', error: `${rejected}.`, endsTurn: true }
    : { status: 'error', error: `${rejected} with the following feedback: ${message}` };
}

/** The result of a tool that a rule denies. */
export function denied(rules: readonly PermissionRule[]): ToolResult {
  const error =
    'The user has specified a rule which prevents you from using this specific tool call. ' +
    `Here are some of the relevant rules ${JSON.stringify(rules)}`;
  return { status: 'error', error };
}

/** The result of a question that is answered or dismissed. */
export function questionResult(questions: readonly MockQuestion[], answers: QuestionOutcome): ToolResult {
  if (answers === undefined) {
    return { status: 'error', error: 'The user dismissed this question', endsTurn: true };
  }
  const said = questions.map(({ question }, index) => {
    const given = answers[index]?.join(', ');
    return `"${question}"="${given === undefined || given === '' ? 'Unanswered' : given}"`;
  });
  const output = `User has answered your questions: ${said.join(', ')}. You can now continue with the user's answers in mind.`;
  return { status: 'completed', output, metadata: { answers } };
}
