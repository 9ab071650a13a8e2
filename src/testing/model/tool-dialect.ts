import type { PermissionRule } from '../../client/schema/session.js';
import type { MockAsk, MockQuestion, MockStepOf } from '../script/steps.js';
import type { PermissionOutcome, QuestionOutcome } from '../state/asks.js';
import type { PermissionNeed } from '../state/permission-rules.js';
import type { ToolResult } from './tool-call.js';

/** A call of a tool that has to be allowed. */
export interface AllowedCall {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** The output when it may run. */
  readonly output: string;
}

/** What differs between the majors of OpenCode in the names of tools and in how their calls end. */
export interface ToolDialect {
  /** The name of a tool on this server, by the name in a script. */
  nameOf(tool: string): string;
  /** The permission that a tool call needs. */
  needOf(tool: string, input: Readonly<Record<string, unknown>>, ask: MockAsk | undefined): PermissionNeed;
  /** The result of a tool whose permission request is answered. */
  permitted(outcome: PermissionOutcome, call: AllowedCall): ToolResult;
  /** The result of a tool that a rule denies. */
  denied(rules: readonly PermissionRule[], call: AllowedCall): ToolResult;
  /** The result of a question that is answered or dismissed. */
  answered(questions: readonly MockQuestion[], answers: QuestionOutcome): ToolResult;
  /** The result of a tool whose turn is aborted. */
  aborted(isAsking: boolean): ToolResult;
  /** The tool that lets another agent work. */
  readonly subtask: {
    readonly tool: string;
    input(step: MockStepOf<'subtask'>): Record<string, unknown>;
    /** The error for an agent that does not exist. */
    unknownAgent(agent: string): string;
    /** The metadata while the child session works. */
    metadata(parentID: string, childID: string): Record<string, unknown>;
    result(
      childID: string,
      answer: string,
      more: { title: string; metadata: Record<string, unknown> },
    ): ToolResult;
  };
}
