import PQueue from 'p-queue';
import {
  aFiniteNumber,
  anObject,
  assertOptions,
  positiveIntegerOrInfinity,
  type OptionChecks,
  oneOf,
} from '../../core/checks.js';
import { untraced, type Bind, type Tracing, type TurnTrace } from '../../core/tracing.js';
import type { ClosedError, ServerLostError } from '../../errors.js';
import { TurnRun, type TurnInit } from './run/run.js';
import { parsePermissionPolicy, parseQuestionPolicy } from '../asks/policy.js';
import { requestOptionChecks } from '../http/request-options.js';
import { AbortScope } from '../../core/abort.js';
import type { TurnContext } from './context.js';
import type { TurnRequest } from './request.js';
import { findRunningTurn } from './run/running-turn.js';
import type { AttachOptions, PromptOptions, Turn, TurnOptions } from './turn.js';

/** Limits for the turns of one server. */
export interface TurnLimits {
  /**
   * How many turns may run at the same time on the server; more wait, highest `priority` first. One that waits for another client
   * (`whenBusy`) has its place already.
   *
   * @default Infinity
   */
  readonly concurrency?: number | undefined;
}

const turnLimitChecks: OptionChecks<TurnLimits> = {
  concurrency: positiveIntegerOrInfinity,
};

const turnOptionChecks: OptionChecks<TurnOptions> = {
  signal: requestOptionChecks.signal,
  timeoutMs: requestOptionChecks.timeoutMs,
  queueTimeoutMs: requestOptionChecks.timeoutMs,
  headers: requestOptionChecks.headers,
  stallTimeoutMs: requestOptionChecks.timeoutMs,
  onPermission: parsePermissionPolicy,
  onQuestion: parseQuestionPolicy,
  priority: aFiniteNumber,
  whenBusy: oneOf('wait', 'join', 'reject'),
};

/** What the routes that begin a turn are called. */
const KINDS = { prompt_async: 'prompt', command: 'command', shell: 'shell', init: 'init' } as const;

/** The check of each option of a prompt. */
export const promptOptionChecks: OptionChecks<PromptOptions> = { ...turnOptionChecks, format: anObject };

const { signal, timeoutMs, stallTimeoutMs, onPermission, onQuestion } = turnOptionChecks;
const attachOptionChecks: OptionChecks<AttachOptions> = {
  ...{ signal, timeoutMs, stallTimeoutMs, onPermission, onQuestion },
};

/** @throws {TypeError} {@link RangeError} for an invalid option. */
export function assertAttachOptions(options: AttachOptions | undefined): void {
  assertOptions('session.attach()', attachOptionChecks, options);
}

/**
 * Checks the limits.
 *
 * @throws {TypeError} {@link RangeError} for a concurrency that is not a positive integer or Infinity.
 */
export function parseTurnLimits(limits: TurnLimits | undefined): { readonly concurrency: number } {
  assertOptions('turns', turnLimitChecks, limits, 'turns.');
  return { concurrency: limits?.concurrency ?? Number.POSITIVE_INFINITY };
}

/**
 * Runs turns: at most `concurrency` per server, and one at a time per session, because the server would merge a second
 * prompt into the running turn.
 */
export class TurnEngine {
  /** Where turns wait for a place; `undefined` when there are as many as anybody wants. */
  readonly #places: PQueue | undefined;
  /** Per session with turns: the end of its last turn. */
  readonly #lastOf = new Map<string, Promise<void>>();
  readonly #closed: AbortSignal;
  /** The turns that have not ended. */
  readonly #runs = new Set<TurnRun>();
  /** Ends a turn that is not to begin any more. */
  #refuse: (run: TurnRun) => void = () => undefined;
  readonly #tracing: Tracing;

  /** @throws {TypeError} {@link RangeError} if a limit is invalid. */
  constructor(limits: TurnLimits | undefined, closed: AbortSignal, tracing: Tracing = untraced) {
    const { concurrency } = parseTurnLimits(limits);
    this.#places = Number.isFinite(concurrency) ? new PQueue({ concurrency }) : undefined;
    this.#closed = closed;
    this.#tracing = tracing;
  }

  /**
   * Queues a prompt and returns its turn at once.
   *
   * @throws {TypeError} {@link RangeError} for an invalid option.
   */
  start(init: TurnInit & { readonly request: TurnRequest }): Turn {
    const isPrompt = init.request.route === 'prompt_async';
    assertOptions('a turn', isPrompt ? promptOptionChecks : turnOptionChecks, init.options);
    const priority = init.options?.priority ?? 0;
    const run = new TurnRun(init, this.#closed);
    this.#refuse(run);
    this.#traced(run, init.context, KINDS[init.request.route], (bind) => this.#enqueue(run, priority, bind));
    return run.turn;
  }

  #enqueue(run: TurnRun, priority: number, bind: Bind): void {
    const { sessionID } = run.turn;
    // The queue calls it in the context of the turn before.
    const work = bind(() => run.drive());
    // A turn that ends in the queue leaves it at once, so that it does not block others of its priority.
    const drive = async (): Promise<void> => {
      if (!run.turn.isSettled) await (this.#places?.add(work, { priority, signal: run.leftQueue }) ?? work());
    };
    // This is no `p-queue`, because that continues by `queueMicrotask`, which the fake timers of jest replace.
    const last = this.#lastOf.get(sessionID);
    this.#runs.add(run);
    const ended: Promise<void> = (last === undefined ? drive() : last.then(drive))
      .catch(() => undefined)
      .finally(() => {
        this.#runs.delete(run);
        if (this.#lastOf.get(sessionID) === ended) this.#lastOf.delete(sessionID);
      });
    this.#lastOf.set(sessionID, ended);
  }

  /** Whether a turn runs or waits. */
  get isBusy(): boolean {
    return this.#lastOf.size > 0;
  }

  /** Resolves when no turn runs or waits. */
  async drained(): Promise<void> {
    while (this.isBusy) await Promise.all(this.#lastOf.values());
  }

  /**
   * Joins the turn that a session runs now; `undefined` when it is idle.
   *
   * @param options - already checked.
   */
  async attach(context: TurnContext, options?: AttachOptions): Promise<Turn | undefined> {
    const scope = new AbortScope([options?.signal, this.#closed]);
    try {
      const running = await findRunningTurn(context, scope.signal);
      if (running === undefined) return undefined;
      const request = { messageID: running.messageID };
      const run = new TurnRun({ context, request, options, collectSteps: true }, this.#closed);
      this.#traced(run, context, 'attach', () => {
        this.#runs.add(run);
        void run.join(running).then(() => this.#runs.delete(run));
      });
      return run.turn;
    } finally {
      scope.end();
    }
  }

  /**
   * Rejects the turns that wait, now or later, and all that come.
   *
   * @param goesOn - whether what comes in a repository belongs to running work; its turns are not rejected.
   */
  refuseNew(reason: ClosedError, goesOn: (directory: string) => boolean): void {
    this.#refuse = (run) => {
      if (!goesOn(run.directory)) run.refuse(reason);
    };
    for (const run of this.#runs) this.#refuse(run);
  }

  /** Interrupts the turns that the server worked on when it ended, and returns the ids of their sessions. */
  interrupt(error: ServerLostError): string[] {
    return [...this.#runs].filter((run) => run.interrupt(error)).map((run) => run.turn.sessionID);
  }

  /** Begins a turn, and publishes its begin and its end. */
  #traced(
    { turn }: TurnRun,
    { transport: { directory } }: TurnContext,
    kind: TurnTrace['kind'],
    begin: (bind: Bind) => void,
  ): void {
    if (!this.#tracing.isTraced('turn')) return begin((run) => run);
    const { sessionID, messageID } = turn;
    const traced = this.#tracing.trace('turn', { sessionID, messageID, directory, kind }, async (bind) => {
      begin(bind);
      const { cost, tokens } = await turn.result;
      return { cost, tokens };
    });
    // Whoever awaits the turn gets its error.
    traced.catch(() => undefined);
  }
}
