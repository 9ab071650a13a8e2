import { abortable, AbortScope, deferred, onAbort } from '../../core/abort.js';
import { MAX_TIMER_MS } from '../../core/clock.js';
import {
  ClosedError,
  isPermanent,
  RequestError,
  ServerLostError,
  TimeoutError,
  TurnError,
  type ShapeIssue,
} from '../../errors.js';
import { realTime } from '../../core/real-time.js';
import { parsePermissionPolicy, parseQuestionPolicy, type AskPolicies } from '../asks/policy.js';
import { parseTimeoutMs, type RequestOptions } from '../http/request-options.js';
import type { ServerErrorInfo } from '../schema/message.js';
import { hasAnswer, sendAbort } from './abort.js';
import type { Choice } from '../sessions/choices.js';
import type { TurnContext } from './context.js';
import { TurnDelivery } from './delivery.js';
import type { TurnRequest } from './request.js';
import { MAX_EMPTY_STEPS } from './progress.js';
import { readMessages, readTurn, type TurnEvidence } from './result.js';
import { TurnSigns } from './event-tracker.js';
import { TurnSteps } from './steps.js';
import { Turn, type TurnOptions, type TurnResult } from './turn.js';
import { answersOf } from './turn-messages.js';
import { RECHECK_MS, SETTLE_LIMIT_MS, START_LIMIT_MS, verdictOf } from './verdict.js';

/** Without an event of the session for this long, the server is asked; an event that got lost costs no more than that. */
const QUIET_MS = 5_000;
/** How long the server may be out of reach before the turn is given up. */
const UNREACHABLE_LIMIT_MS = 60_000;
/**
 * How long the first try of what the engine asks may take. A connection can accept and never answer: to ask again on another
 * one ends that, and to wait the 60 s of a caller's request would not. Each next try may take twice as long, for a link that
 * is only slow.
 */
const POLL_LIMIT_MS = 10_000;
const MAX_POLL_LIMIT_MS = 60_000;
/** The longest pause between two tries to reach the server. */
const MAX_RETRY_PAUSE_MS = 2_000;
/** How long the event stream may take to come up before a prompt is sent. */
const CONNECT_LIMIT_MS = 60_000;
/**
 * How long an aborted turn may take to end on the server, and before that to begin. A tool that ignores SIGTERM is killed
 * after 2 to 6 s.
 */
const ABORT_LIMIT_MS = 15_000;

/** A message id of our own, so that the answer can be told from others and the server keeps one prompt, however often it comes. */
function newMessageID(): string {
  // No `randomUUID()`: a page that came by plain http from another machine does not have it.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `msg_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** One turn on its way from the queue to its end. */
export class TurnRun {
  readonly turn: Turn;
  readonly #context: TurnContext;
  readonly #stallTimeoutMs: number | false;
  readonly #policies: AskPolicies;
  readonly #closed: AbortSignal;
  readonly #signs: TurnSigns;
  readonly #steps: TurnSteps;
  readonly #delivery: TurnDelivery;
  readonly #request: TurnRequest;
  #choice: Choice = {};
  readonly #detach: (() => void)[] = [];
  /** Aborts when the server that worked on it has ended. */
  readonly #interrupted = new AbortController();
  /** Aborts when the caller no longer waits: signal, time limit or close. */
  readonly #cancelled = new AbortController();
  /** Aborts when the turn is to end on the server. */
  readonly #unwanted = new AbortController();
  readonly #ended = deferred();
  readonly #withdrawn = new AbortController();
  #hasBegun = false;
  /** Lets go of the instance. */
  #release: (() => void) | undefined;
  #pollLimitMs = POLL_LIMIT_MS;
  #abortedAt: number | undefined;
  #abortLimitMs = ABORT_LIMIT_MS;

  constructor(
    context: TurnContext,
    request: TurnRequest,
    options: TurnOptions,
    collectSteps: boolean,
    closed: AbortSignal,
  ) {
    const timeoutMs = parseTimeoutMs('timeoutMs', options.timeoutMs, false);
    this.#stallTimeoutMs = parseTimeoutMs('stallTimeoutMs', options.stallTimeoutMs, false);
    this.#policies = {
      permission: parsePermissionPolicy('onPermission', options.onPermission),
      question: parseQuestionPolicy('onQuestion', options.onQuestion),
    };
    this.#context = context;
    this.#request = request;
    this.#closed = closed;
    this.turn = new Turn({
      sessionID: context.sessionID,
      messageID: newMessageID(),
      collectSteps,
      onAbort: () => this.#abort(),
      onSettle: () => this.#settled(),
    });
    const scope = {
      sessionID: context.sessionID,
      messageID: this.turn.messageID,
      isWithin: (sessionID: string) => context.isWithin(sessionID),
    };
    this.#signs = new TurnSigns(scope);
    this.#steps = new TurnSteps({ ...scope, emit: (step) => this.turn.push(step) });
    this.#delivery = new TurnDelivery({
      transport: context.transport,
      ...scope,
      request,
      headers: options.headers,
      signs: this.#signs,
      cancelled: this.#cancelled.signal,
    });
    onAbort(this.#cancelled.signal, () => this.#unwanted.abort());
    for (const signal of [options.signal, closed]) {
      this.#detach.push(onAbort(signal, () => this.#cancel(signal?.reason)));
    }
    if (timeoutMs !== false) {
      const what = `The turn of session ${context.sessionID}`;
      const timer = setTimeout(
        () => this.#cancel(new TimeoutError(what, { phase: 'request', timeoutMs })),
        Math.min(timeoutMs, MAX_TIMER_MS),
      );
      this.#detach.push(() => clearTimeout(timer));
    }
    if (this.turn.isSettled) this.#unlink();
  }

  /** Aborts when the turn has ended in the queue. */
  get withdrawn(): AbortSignal {
    return this.#withdrawn.signal;
  }

  /** The server has ended: ends the turn if it was sent. One that was not is sent to the next server. */
  interrupt(error: ServerLostError): boolean {
    if (!this.#delivery.isSent) return false;
    const isRunning = !this.turn.isSettled;
    this.#fail('interrupted', { cause: error, detail: 'the server ended; its answer stays unfinished' });
    this.#signs.lose(error);
    this.#interrupted.abort(error);
    return isRunning;
  }

  /** Runs the turn to its end; never rejects. Resolves when the session is free for the next one. */
  async drive(): Promise<void> {
    if (this.turn.isSettled) return;
    this.#hasBegun = true;
    const { sessionID, transport } = this.#context;
    const signal = this.#cancelled.signal;
    let unlisten: (() => void) | undefined;
    try {
      this.#release = await transport.enter('turn', sessionID, signal);
      await this.#verify(signal);
      await this.#connect(signal);
      unlisten = this.#listen();
      await this.#delivery.send(this.#choice);
      await this.#follow();
    } catch (error) {
      this.turn.settle({ error });
    } finally {
      unlisten?.();
      this.#release?.();
      this.#ended.resolve();
    }
  }

  /** Makes sure whose the session is and who is to answer, and asks again when nothing answers. */
  async #verify(signal: AbortSignal): Promise<void> {
    const deadline = realTime.now() + UNREACHABLE_LIMIT_MS;
    for (;;) {
      try {
        const limits = { signal, timeoutMs: this.#pollLimitMs };
        this.#choice = await this.#context.prepare(this.#request, limits);
        this.#pollLimitMs = POLL_LIMIT_MS;
        return;
      } catch (error) {
        if (!(error instanceof TimeoutError) || signal.aborted || realTime.now() > deadline) throw error;
        this.#raisePollLimit();
      }
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const limit = new AbortScope([signal], {
      timeoutMs: CONNECT_LIMIT_MS,
      reason: (timeoutMs) => new TimeoutError('Opening the event stream', { phase: 'events', timeoutMs }),
    });
    try {
      await abortable(this.#context.hub.connect(), limit.signal);
    } finally {
      limit.end();
    }
  }

  #listen(): () => void {
    const { sessionID, hub, asks, transport } = this.#context;
    const unfollow = asks.follow({
      sessionID,
      policies: this.#policies,
      deliver: (ask) => this.turn.push(ask),
      hasReader: () => this.turn.hasReader,
      unwanted: this.#unwanted.signal,
    });
    const unlisten = hub.listen(transport.directory, {
      event: (event) => {
        this.#signs.take(event);
        this.#steps.take(event);
      },
      lost: (error) => this.#signs.lose(error),
    });
    return () => {
      unlisten();
      unfollow();
    };
  }

  /** Whether the prompt is lost and the turn still wanted, so that it may be sent again. */
  #mayRepeat(evidence: TurnEvidence): boolean {
    const { quietMs, sessionError, interruptedAt } = this.#signs;
    return (
      evidence.kind === 'not-stored' &&
      this.#delivery.isRepeatable &&
      quietMs >= SETTLE_LIMIT_MS &&
      !this.#unwanted.signal.aborted &&
      interruptedAt === undefined &&
      sessionError === undefined
    );
  }

  /** Waits until the session is idle and the messages say how the turn ended. */
  async #follow(): Promise<void> {
    let unreachableSince: number | undefined;
    let failures = 0;
    for (;;) {
      if (this.#closed.aborted) return;
      if (this.#delivery.refusal !== undefined) throw this.#delivery.refusal.error;
      if (this.#cancelled.signal.aborted) this.#beginAbort();
      if (this.#signs.lost !== undefined) return this.#giveUp(this.#signs.lost.error);
      this.#signs.rearm();
      let waitMs = QUIET_MS;
      try {
        // OpenCode 1.18.33 lets a deleted session run on, and shows it as busy as long as its model does not answer.
        if (this.#signs.hasGap || this.#signs.isDeleted) await this.#catchUp();
        const evidence = await readTurn(this.#context.transport, this.turn, this.#whileServed);
        unreachableSince = undefined;
        failures = 0;
        this.#pollLimitMs = POLL_LIMIT_MS;
        if (evidence !== undefined) {
          // Known to have arrived, it is not given up sooner than any other.
          if (evidence.kind !== 'not-stored') this.#delivery.error = undefined;
          if (this.#mayRepeat(evidence)) {
            await this.#delivery.send(this.#choice);
            continue;
          }
          if (await this.#judge(evidence)) return;
          waitMs = RECHECK_MS;
        } else if (this.#abortedAt !== undefined) {
          const isOverdue = realTime.now() - this.#abortedAt > this.#abortLimitMs;
          if (isOverdue && this.#signs.hasBegun) return this.#fail('aborted');
          if (isOverdue) {
            // What it works on may be the prompt of another client, and this one next: aborted all the same.
            this.#signs.hasBegun = true;
            this.#abortLimitMs += ABORT_LIMIT_MS;
          }
          await this.#sendAbort();
          waitMs = RECHECK_MS;
        } else {
          const detail = this.#stall();
          if (detail !== undefined) {
            // Aborted like a turn that nobody waits for, and held until it has ended.
            this.#cancelled.abort();
            this.#fail('stalled', { detail });
            continue;
          }
          if (this.#stallTimeoutMs !== false) {
            const leftMs = this.#stallTimeoutMs - (realTime.now() - this.#signs.progress.lastAt);
            waitMs = Math.max(1, Math.min(QUIET_MS, leftMs));
          }
        }
      } catch (error) {
        if (this.#closed.aborted) return;
        if (isPermanent(error)) return this.#giveUp(error);
        if (error instanceof TimeoutError) this.#raisePollLimit();
        unreachableSince ??= realTime.now();
        const unreachableMs = realTime.now() - unreachableSince;
        const { error: sendError } = this.#delivery;
        if (sendError !== undefined && unreachableMs > START_LIMIT_MS) throw sendError;
        if (unreachableMs > UNREACHABLE_LIMIT_MS) return this.#giveUp(error);
        waitMs = Math.min(MAX_RETRY_PAUSE_MS, RECHECK_MS * 2 ** failures++);
      }
      await this.#signs.next(waitMs);
    }
  }

  /** For what is asked about the turn: the next server knows nothing of it. */
  get #whileServed(): RequestOptions {
    return { signal: this.#interrupted.signal, timeoutMs: this.#pollLimitMs };
  }

  #raisePollLimit(): void {
    this.#pollLimitMs = Math.min(MAX_POLL_LIMIT_MS, 2 * this.#pollLimitMs);
  }

  /** After a gap: emits the steps that were missed. */
  async #catchUp(): Promise<void> {
    this.#signs.hasGap = false;
    try {
      const messages = await readMessages(this.#context.transport, this.turn, this.#whileServed);
      this.#steps.complete(answersOf(this.turn.messageID, messages));
    } catch (error) {
      this.#signs.hasGap = true;
      throw error;
    }
  }

  /** Settles the turn if the evidence allows it; `false` when it has to be looked at again. */
  async #judge(evidence: TurnEvidence): Promise<boolean> {
    const { quietMs, sessionError, interruptedAt, hadGap } = this.#signs;
    const { error: sendError, isUnderWay } = this.#delivery;
    const isAborted = this.#abortedAt !== undefined;
    const isDisposed = interruptedAt !== undefined;
    const verdict = verdictOf(evidence, {
      ...{ quietMs, sessionError, isAborted, isDisposed, hadGap, sendError, isUnderWay },
    });
    if (verdict.kind === 'wait') return false;
    if (evidence.kind === 'answered') this.#steps.complete(evidence.result.messages);
    if (verdict.kind === 'answered') await this.#answer(verdict.result);
    else if (verdict.kind === 'not-sent') this.turn.settle({ error: verdict.error });
    else this.#fail(verdict.reason, verdict);
    return true;
  }

  /** Why the turn counts as stalled; `undefined` while it does not. */
  #stall(): string | undefined {
    const { emptySteps, lastAt, retry } = this.#signs.progress;
    if (emptySteps >= MAX_EMPTY_STEPS) {
      return `the model was asked ${emptySteps} times in a row and gave nothing each time`;
    }
    if (this.#stallTimeoutMs === false || realTime.now() - lastAt < this.#stallTimeoutMs) return undefined;
    const asked = retry === undefined ? '' : `; the provider is asked again after: ${retry.message}`;
    return `nothing came of it for stallTimeoutMs, ${this.#stallTimeoutMs} ms${asked}`;
  }

  /** Nobody will ever tell more of the turn: what is left of it is aborted, once. */
  async #giveUp(error: unknown): Promise<void> {
    const isGone = error instanceof RequestError && error.status === 404;
    if (isGone || error instanceof ClosedError) throw error;
    if (error instanceof ServerLostError) return this.#fail('interrupted', { cause: error });
    this.#fail(isPermanent(error) ? 'refused' : 'unreachable', { cause: error, detail: messageOf(error) });
    if (!this.#signs.hasBegun) return;
    const { sessionID, transport } = this.#context;
    await sendAbort(transport, sessionID, this.#whileServed).catch(() => undefined);
  }

  /** Settles with the result, if it is what the prompt asked for. */
  async #answer(result: TurnResult): Promise<void> {
    const { format } = this.#request;
    if (format === undefined) return this.turn.settle({ result });
    // A check of the caller may take for ever.
    const parsed = await abortable(format.parse(result.structured), this.#cancelled.signal);
    if ('value' in parsed) this.turn.settle({ result: { ...result, structured: parsed.value } });
    else this.#fail('format', parsed);
  }

  /** Who awaits the result finds the instance let go of, unless the server still works on what was cancelled. */
  #settled(): void {
    this.#unlink();
    if (!this.#hasBegun) this.#withdrawn.abort();
    this.#delivery.stop();
    if (!this.#cancelled.signal.aborted) this.#release?.();
  }

  /** Nothing of the caller is referenced any longer: no listener on its signal, no timer. */
  #unlink(): void {
    for (const detach of this.#detach.splice(0)) detach();
  }

  #fail(
    reason: TurnError['reason'],
    why: {
      readonly serverError?: ServerErrorInfo;
      readonly detail?: string;
      readonly issues?: readonly ShapeIssue[];
      readonly cause?: unknown;
    } = {},
  ): void {
    const { sessionID, messageID } = this.turn;
    const { cause, ...rest } = why;
    const error = new TurnError(
      { reason, sessionID, messageID, ...rest },
      cause === undefined ? undefined : { cause },
    );
    this.turn.settle({ error, quiet: reason === 'aborted' && this.#abortedAt !== undefined });
  }

  /** The caller waits no longer; on the server the turn is aborted and its session stays taken until it is idle. */
  #cancel(reason: unknown): void {
    if (this.turn.isSettled) return;
    this.#cancelled.abort(reason);
    if (reason instanceof ServerLostError) this.#fail('interrupted', { cause: reason });
    else this.turn.settle({ error: reason, quiet: !(reason instanceof TimeoutError) });
    this.#signs.wake();
  }

  async #abort(): Promise<void> {
    if (!this.#delivery.isSent) {
      this.#abortedAt = realTime.now();
      this.#fail('aborted');
      this.#cancelled.abort();
      return;
    }
    this.#beginAbort();
    await this.#ended.promise;
  }

  /** From now on the turn is aborted whenever it is seen at work. Only who follows it does that: none comes after its end. */
  #beginAbort(): void {
    if (this.#abortedAt !== undefined) return;
    this.#abortedAt = realTime.now();
    this.#unwanted.abort();
    this.#signs.wake();
  }

  /** Only what has begun is aborted. Whether it worked shows in the session's status, so the next look tells. */
  async #sendAbort(): Promise<void> {
    const { transport } = this.#context;
    const { sessionID, messageID } = this.turn;
    this.#signs.hasBegun ||= await hasAnswer(transport, sessionID, messageID, this.#whileServed);
    if (!this.#signs.hasBegun) return;
    await sendAbort(transport, sessionID, this.#whileServed).catch(() => undefined);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
}
