import type { PermissionAsk, QuestionAsk } from '../../asks/reply.js';
import type { ToolState } from '../../schema/message.js';
import type { Tokens } from '../../schema/session.js';

/**
 * One step of a turn, a union on `type`. Children contribute tools, usage, permission requests and questions, but no
 * text.
 */
export type TurnStep =
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
  /** The server asks before a tool may run, and no policy decides. The turn waits until it is answered. */
  | PermissionAsk
  /** The model asks the user, and no policy decides. The turn waits until it is answered. */
  | QuestionAsk
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
    };
