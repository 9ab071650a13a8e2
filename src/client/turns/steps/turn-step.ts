import type { PermissionAsk, QuestionAsk } from '../../asks/reply.js';
import type { ToolState } from '../../schema/message.js';
import type { Tokens } from '../../schema/session.js';

/** A permission request or a question, in whatever form. */
export interface AskType {
  readonly type: 'permission' | 'question';
}

/** One step of a turn, with `Ask` for the permission requests and the questions. */
export type TurnStepOf<Ask extends AskType> =
  /**
   * An assistant message of the turn begins; summaries are left out. The text pieces of each message, in order, with a blank line
   * between the messages that have any, make up `result.transcript`; those of `result.message` make up `result.text`.
   */
  | { readonly type: 'message'; readonly messageID: string }
  | { readonly type: 'text'; readonly delta: string; readonly messageID: string; readonly partID: string }
  | {
      readonly type: 'reasoning';
      readonly delta: string;
      readonly messageID: string;
      readonly partID: string;
    }
  | {
      readonly type: 'tool';
      /** The session of the turn, or the child that runs the tool. */
      readonly sessionID: string;
      readonly tool: string;
      readonly callID: string;
      readonly status: ToolState['status'];
      readonly input: Readonly<Record<string, unknown>>;
      /** What the tool returned, or its error text; `undefined` while it runs. */
      readonly output: string | undefined;
    }
  /** The server asks before a tool may run, or the model asks the user, and no policy decides. The turn waits until it is answered. */
  | Ask
  /** Another client keeps the session at work; the prompt is sent when it is idle. */
  | { readonly type: 'waiting'; readonly sessionID: string }
  /** A child session began to work, or is done. */
  | {
      readonly type: 'child';
      readonly sessionID: string;
      readonly title: string;
      readonly status: 'started' | 'ended';
    }
  /** The provider failed and is asked again at `next`, epoch milliseconds. */
  | { readonly type: 'retry'; readonly attempt: number; readonly message: string; readonly next: number }
  /** One model call is done, of the turn's session or of a child. A result counts those of the turn's session only. */
  | {
      readonly type: 'usage';
      readonly sessionID: string;
      readonly cost: number;
      readonly tokens: Tokens;
    }
  /**
   * `count` steps in front of the next one were dropped, because a turn keeps 64 Mi characters for readers that are late or slow.
   * `turn.result` has everything.
   */
  | { readonly type: 'dropped'; readonly count: number };

/**
 * One step of a turn, a union on `type`. Children contribute tools, usage, permission requests and questions, but no
 * text.
 *
 * @useDeclaredType
 */
export type TurnStep = TurnStepOf<PermissionAsk | QuestionAsk>;
