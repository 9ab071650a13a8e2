import type { AssistantMessage, Message, Part } from '../../schema/message.js';
import type { Tokens } from '../../schema/session.js';

/** The answer of a turn, as the server stores it. `T` is what its `format` makes of it. */
export interface TurnResult<T = unknown> {
  readonly sessionID: string;
  /**
   * The final answer to the prompt: the last assistant message of the turn, or the last before OpenCode summarized the session
   * and let the model go on by itself. It is never a summary.
   */
  readonly message: AssistantMessage;
  /** Its parts. */
  readonly parts: readonly Part[];
  /**
   * Its text: the text parts in order, without those that the server added. Empty when the answer consists of tools
   * only.
   */
  readonly text: string;
  /** What the model said in the whole turn, summaries left out: the texts of its messages in order, with a blank line between. */
  readonly transcript: string;
  /**
   * The object that `format` asked for: with a zod schema validated and typed, with a JSON schema as the model gave it;
   * `undefined` without a `format`.
   */
  readonly structured: T;
  /** Every assistant message of the turn, one per model call, oldest first. */
  readonly messages: readonly Message[];
  /** What the whole turn cost, in the provider's currency as the server reports it. */
  readonly cost: number;
  /** The tokens of the whole turn. */
  readonly tokens: Tokens;
}

/** The result of `session.shell()`. */
export interface ShellResult extends TurnResult {
  /** What the command printed, standard output and standard error as they came; the server may cut it. */
  readonly output: string;
}
