import { deferred } from '../../core/abort.js';
import type { PermissionPolicy, QuestionPolicy } from '../asks/policy.js';
import type { PermissionAsk, QuestionAsk } from '../asks/reply.js';
import type { RequestOptions } from '../http/request-options.js';
import type { AnswerFormat } from '../schema/prompt.js';
import { endAtOnce } from './steps/end-at-once.js';
import { StepLog } from './steps/step-log.js';
import { textOf } from './steps/text-of.js';
import type { TurnStep } from './steps/turn-step.js';
import { turnResponse, type TurnResponseOptions } from './turn-response.js';
import type { TurnResult } from './result/turn-result.js';

/**
 * What to do with a prompt whose session is at work with something that no turn of this client runs: another client's prompt, a
 * summary, a prompt through `repo.fetch`.
 *
 * - `wait`: sends it when the session is idle.
 * - `join`: sends it at once. OpenCode 1.18.33 reads it in the running turn, between two calls of the model, and both prompts get the
 *   same answer.
 * - `reject`: sends nothing; the turn rejects with a {@link TurnError} of reason `busy`.
 */
export type WhenBusy = 'wait' | 'join' | 'reject';

/** Options of one turn. */
export interface TurnOptions extends Omit<RequestOptions, 'timeoutMs' | 'retry' | 'maxResponseBytes'> {
  /**
   * Milliseconds for the turn, from when its prompt is sent. When they are over, the turn is aborted and rejects with
   * `TimeoutError` of phase `request`.
   *
   * @default false
   */
  readonly timeoutMs?: number | false | undefined;
  /**
   * Milliseconds until the prompt is sent: it waits for the turns of its session, also of other clients (`whenBusy`), for a place
   * (`turns.concurrency`), for the instance to be loaded, and for the server when that is away. When they are over, nothing was sent, and the turn rejects with
   * `TimeoutError` of phase `queue`.
   *
   * @default false
   */
  readonly queueTimeoutMs?: number | false | undefined;
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
  /**
   * What to do when another client keeps the session at work. The client knows by events and by the status of the server; a prompt
   * that another client sends in the same moment is not seen. While this one waits it logs a line and yields a step of type `waiting`.
   *
   * @default 'wait'
   */
  readonly whenBusy?: WhenBusy | undefined;
}

/** Options of `session.attach()`. The turn is not the caller's, so it goes on when he no longer waits; `turn.abort()` ends it. */
export interface AttachOptions extends Pick<TurnOptions, 'stallTimeoutMs' | 'onPermission' | 'onQuestion'> {
  /** Ends the waiting: `attach()` and `turn.result` reject with its reason, and the turn goes on. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds for the turn from now on. When they are over, `turn.result` rejects with `TimeoutError`, and the turn goes on.
   *
   * @default false
   */
  readonly timeoutMs?: number | false | undefined;
}

/** Options of a prompt. */
export interface PromptOptions extends TurnOptions {
  /** The object to answer with, unless the prompt itself says so. @default text */
  readonly format?: AnswerFormat | undefined;
}

/**
 * One prompt and everything until the session is idle again: iterate it for its steps, await `result` for its answer.
 *
 * Any number of readers may iterate it, at any time, also when it has ended: each gets every step from the beginning. A reader that is
 * behind gets the deltas of one part as one. Beyond 64 Mi characters the turn drops its oldest steps; a reader that has not had them
 * gets a step of type `dropped`. Iteration ends when the turn does: by throwing what `result` rejects with, or quietly when the caller
 * ended it.
 */
export class Turn<T = unknown> implements AsyncIterable<TurnStep> {
  readonly sessionID: string;
  /** Id of the user message that began it. */
  readonly messageID: string;
  /** The answer; rejects when the turn ends without one. Settles exactly once. */
  readonly result: Promise<TurnResult<T>>;
  readonly #settled = deferred<TurnResult<T>>();
  readonly #steps = new StepLog<PermissionAsk | QuestionAsk>();
  readonly #collectsSteps: boolean;
  readonly #onAbort: () => Promise<void>;
  readonly #onSettle: () => void;
  #readers = 0;
  #isSettled = false;

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
    this.#collectsSteps = init.collectSteps;
    this.#onAbort = init.onAbort;
    this.#onSettle = init.onSettle;
    this.result = this.#settled.promise;
  }

  /**
   * Aborts the turn on the server and resolves when the session is idle again; `result` rejects with reason `aborted`.
   * Does nothing when the turn has ended.
   */
  async abort(): Promise<void> {
    if (!this.#isSettled) await this.#onAbort();
  }

  [Symbol.asyncIterator](): AsyncGenerator<TurnStep, void, undefined> {
    return this.read();
  }

  /**
   * The text of the answer as it grows, with a blank line between messages; together the pieces are `result.transcript`. Each loop over
   * it is a reader of its own, and ends as one over the turn does.
   */
  get text(): AsyncIterable<string> {
    return { [Symbol.asyncIterator]: () => textOf(this.read()) };
  }

  /**
   * A response of server-sent events for an HTTP framework. Each event is JSON: `{ step }` for each step, and as the last one
   * `{ result }` with the {@link TurnResult} or `{ error }` with the {@link Problem} of the error. `readTurn()` reads it on the other
   * side.
   *
   * When the client goes away the turn runs on, unless `abortOnCancel` is set.
   *
   * @throws {TypeError} if an option is invalid.
   */
  toResponse(options?: TurnResponseOptions): Response {
    return turnResponse(this, options);
  }

  /** @internal Reads the steps until the turn ends or `signal` aborts. */
  read(signal?: AbortSignal): AsyncGenerator<TurnStep, void, undefined> {
    const steps = this.#steps.read(signal);
    return endAtOnce(this.#counted(steps), () => void steps.return());
  }

  /** Counts the reader while it reads. */
  async *#counted(
    steps: AsyncGenerator<TurnStep, void, undefined>,
  ): AsyncGenerator<TurnStep, void, undefined> {
    this.#readers += 1;
    try {
      yield* steps;
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
    return this.#isSettled;
  }

  /** @internal */
  push(step: TurnStep): void {
    if (this.#collectsSteps && !this.#isSettled) this.#steps.push(step);
  }

  /** @internal Ends the turn. Nothing else does, and a second call changes nothing. */
  settle(
    outcome: { readonly result: TurnResult<T> } | { readonly error: unknown; readonly quiet?: boolean },
  ): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if ('result' in outcome) this.#settled.resolve(outcome.result);
    else this.#settled.reject(outcome.error);
    this.#onSettle();
    this.#steps.end('result' in outcome || outcome.quiet === true ? {} : { error: outcome.error });
  }
}
