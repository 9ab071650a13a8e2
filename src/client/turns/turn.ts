import { deferred } from '../../core/abort.js';
import type { PermissionPolicy, QuestionPolicy } from '../asks/policy.js';
import type { RequestOptions } from '../http/request-options.js';
import type { AssistantMessage, Message, Part } from '../schema/message.js';
import type { AnswerFormat } from '../schema/prompt.js';
import type { Tokens } from '../schema/session.js';
import { StepBuffer } from './steps/step-buffer.js';
import type { TurnStep } from './steps/turn-step.js';

/** Options of one turn. */
export interface TurnOptions extends Omit<RequestOptions, 'timeoutMs' | 'retry' | 'maxResponseBytes'> {
  /**
   * Milliseconds for the whole turn, its time in the queue included. When they are over, the turn is aborted.
   *
   * @default false
   */
  readonly timeoutMs?: number | false | undefined;
  /**
   * Milliseconds without progress of the session or its children, after which the turn is aborted and rejects with
   * reason `stalled`. Progress is text, reasoning, what a tool does, a child that begins, and an answer to a question
   * or permission. It is no progress when OpenCode asks the model once more, waits to ask a failed provider again, or
   * when a question or permission waits for an answer. Text that repeats is progress; `timeoutMs` bounds it.
   *
   * Even without this option a turn stalls when the model answers ten times in a row with nothing: OpenCode 1.18.33
   * asks a model that answers with an empty stream again without pause or end.
   *
   * @default false
   */
  readonly stallTimeoutMs?: number | false | undefined;
  /**
   * Who answers the permission requests of this turn and its children, instead of the session's, the repository's or the
   * client's policy.
   */
  readonly onPermission?: PermissionPolicy | undefined;
  /** Who answers the questions of this turn and its children, likewise. */
  readonly onQuestion?: QuestionPolicy | undefined;
  /**
   * Turns of higher priority start first when `turns.concurrency` is reached.
   *
   * @default 0
   */
  readonly priority?: number | undefined;
}

/** Options of a prompt. */
export interface PromptOptions extends TurnOptions {
  /** The object to answer with, unless the prompt itself says so. @default text */
  readonly format?: AnswerFormat | undefined;
}

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

/**
 * One prompt and everything until the session is idle again: iterate it for its steps, await `result` for its answer.
 *
 * Iteration ends when the turn does: by throwing what `result` rejects with, or quietly when the caller ended it.
 */
export class Turn<T = unknown> implements AsyncIterable<TurnStep> {
  readonly sessionID: string;
  /** Id of the user message. */
  readonly messageID: string;
  /** The answer; rejects when the turn ends without one. Settles exactly once. */
  readonly result: Promise<TurnResult<T>>;
  readonly #settled = deferred<TurnResult<T>>();
  readonly #steps: StepBuffer | undefined;
  readonly #onAbort: () => Promise<void>;
  readonly #onSettle: () => void;
  #readers = 0;
  #outcome: { readonly error?: unknown; readonly quiet: boolean } | undefined;

  /** @internal */
  constructor(init: {
    readonly sessionID: string;
    readonly messageID: string;
    readonly collectSteps: boolean;
    readonly onAbort: () => Promise<void>;
    readonly onSettle: () => void;
  }) {
    this.sessionID = init.sessionID;
    this.messageID = init.messageID;
    this.#steps = init.collectSteps ? new StepBuffer() : undefined;
    this.#onAbort = init.onAbort;
    this.#onSettle = init.onSettle;
    this.result = this.#settled.promise;
  }

  /**
   * Aborts the turn on the server and resolves when the session is idle again; `result` rejects with reason `aborted`.
   * Does nothing when the turn has ended.
   */
  async abort(): Promise<void> {
    if (this.#outcome === undefined) await this.#onAbort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TurnStep, void, undefined> {
    this.#readers += 1;
    try {
      for (;;) {
        const step = this.#steps?.take();
        if (step !== undefined) {
          yield step;
        } else if (this.#outcome !== undefined) {
          if ('error' in this.#outcome && !this.#outcome.quiet) throw this.#outcome.error;
          return;
        } else {
          await this.#steps?.next();
        }
      }
    } finally {
      this.#readers -= 1;
    }
  }

  /** @internal Whether somebody iterates it now. */
  get hasReader(): boolean {
    return this.#readers > 0;
  }

  /** @internal */
  get isSettled(): boolean {
    return this.#outcome !== undefined;
  }

  /** @internal */
  push(step: TurnStep): void {
    if (this.#outcome === undefined) this.#steps?.push(step);
  }

  /** @internal Ends the turn. Nothing else does, and a second call changes nothing. */
  settle(
    outcome: { readonly result: TurnResult<T> } | { readonly error: unknown; readonly quiet?: boolean },
  ): void {
    if (this.#outcome !== undefined) return;
    if ('result' in outcome) {
      this.#outcome = { quiet: true };
      this.#settled.resolve(outcome.result);
    } else {
      this.#outcome = { error: outcome.error, quiet: outcome.quiet ?? false };
      this.#settled.reject(outcome.error);
    }
    this.#onSettle();
    this.#steps?.wake();
  }
}
