import { abortable, deferred, onAbort } from '../../../core/abort.js';
import {
  ClosedError,
  isPermanent,
  RequestError,
  ServerLostError,
  TimeoutError,
  TurnError,
} from '../../../errors.js';
import { parsePermissionPolicy, parseQuestionPolicy, type AskPolicies } from '../../asks/policy.js';
import type { TurnAsks } from '../../asks/resolver.js';
import { parseTimeoutMs } from '../../http/request-options.js';
import { mayNameSession } from '../../events/event-stream.js';
import type { OpenCodeEvent } from '../../schema/event.js';
import type { Choice } from '../../sessions/choices.js';
import type { TurnContext } from '../context.js';
import { ALREADY_DELIVERED, TurnDelivery, type PromptDelivery } from './delivery.js';
import { newMessageID, type TurnRequest } from '../request.js';
import { nextWait, type TurnLook } from './next-wait.js';
import { TurnPoll } from './poll.js';
import { connectEvents, listenTo, prepareTurn, UNREACHABLE_LIMIT_MS, untilIdle } from './preparation.js';
import { logRetry, withAdvice } from './provider-trouble.js';
import { RepeatedAbort } from './repeated-abort.js';
import { RecordedTurn } from '../result/recorded-turn.js';
import type { TurnEvidence } from '../result/result.js';
import { WAITS_FOR, type RunState } from './run-state.js';
import type { RunningTurn } from './running-turn.js';
import { TurnEventTracker } from './event-tracker.js';
import { TurnSteps } from '../steps/steps.js';
import { TurnTimeLimits } from './time-limits.js';
import { Turn, type TurnOptions, type WhenBusy } from '../turn.js';
import type { TurnResult } from '../result/turn-result.js';
import { answersOf } from '../result/turn-messages.js';
import { SETTLE_LIMIT_MS, START_LIMIT_MS, verdictOf, type FailureDetails } from '../result/verdict.js';

/** One turn to run. */
export interface TurnInit {
  /** The session it belongs to. */
  readonly context: TurnContext;
  /** The request that begins the turn, or the id of the prompt of a turn that runs. */
  readonly request: TurnRequest | { readonly messageID: string };
  readonly options?: TurnOptions | undefined;
  /** Whether the caller may read its steps. */
  readonly collectSteps: boolean;
}

/** One turn on its way from the queue to its end. */
export class TurnRun {
  readonly turn: Turn;
  readonly #context: TurnContext;
  /** The request that begins the turn; `undefined` for one that the server works on already. */
  readonly #request: TurnRequest | undefined;
  readonly #stallTimeoutMs: number | false;
  readonly #policies: AskPolicies;
  readonly #whenBusy: WhenBusy;
  readonly #closed: AbortSignal;
  readonly #tracker: TurnEventTracker;
  readonly #steps: TurnSteps;
  readonly #record: RecordedTurn;
  readonly #delivery: PromptDelivery;
  readonly #poll: TurnPoll;
  readonly #limits: TurnTimeLimits;
  readonly #aborting: RepeatedAbort;
  #choice: Choice = {};
  /** Whether the caller no longer waits for a turn that is not his: it goes on. */
  #hasLeft = false;
  #state: RunState = 'queued';
  /** Why it may not wait any more before it is sent. */
  #refusal: ClosedError | undefined;
  /** Aborts when the turn has ended in the queue. */
  readonly #leftQueue = new AbortController();
  /** Aborts when the caller no longer waits: signal, time limit or close. */
  readonly #callerGone = new AbortController();
  /** Aborts when the turn is to end on the server. */
  readonly #abortRequested = new AbortController();
  readonly #ended = deferred();
  /** Removes the listeners from the caller's signals. */
  readonly #detach: (() => void)[] = [];
  /** Releases the hold on the instance. */
  #release: (() => void) | undefined;
  /** Stops listening to events, permission requests and questions. */
  #unlisten: (() => void) | undefined;

  constructor({ context, request, options = {}, collectSteps }: TurnInit, closed: AbortSignal) {
    this.#stallTimeoutMs = parseTimeoutMs('stallTimeoutMs', options.stallTimeoutMs, false);
    const permission = parsePermissionPolicy('onPermission', options.onPermission);
    this.#policies = { permission, question: parseQuestionPolicy('onQuestion', options.onQuestion) };
    this.#whenBusy = options.whenBusy ?? 'wait';
    this.#context = context;
    this.#request = 'messageID' in request ? undefined : request;
    this.#closed = closed;
    this.turn = new Turn({
      sessionID: context.sessionID,
      messageID: 'messageID' in request ? request.messageID : newMessageID(),
      collectSteps,
      onAbort: () => this.#abort(),
      onSettle: () => this.#settled(),
    });
    const scope = {
      sessionID: context.sessionID,
      messageID: this.turn.messageID,
      isWithin: (sessionID: string) => context.isWithin(sessionID),
    };
    this.#tracker = new TurnEventTracker(scope);
    this.#steps = new TurnSteps({ ...scope, emit: (step) => this.turn.push(step) });
    this.#record = new RecordedTurn(scope);
    this.#poll = new TurnPoll(context.transport, scope);
    this.#aborting = new RepeatedAbort(this.#poll, this.#tracker);
    this.#delivery = this.#deliver(options.headers);
    this.#limits = new TurnTimeLimits({
      sessionID: context.sessionID,
      queueTimeoutMs: parseTimeoutMs('queueTimeoutMs', options.queueTimeoutMs, false),
      timeoutMs: parseTimeoutMs('timeoutMs', options.timeoutMs, false),
      waitsFor: () => WAITS_FOR[this.#state] ?? '',
      onExpire: (error) => this.#cancel(error),
    });
    onAbort(this.#callerGone.signal, () => this.#abortRequested.abort());
    for (const signal of [options.signal, closed]) {
      this.#detach.push(onAbort(signal, () => this.#cancel(signal?.reason)));
    }
    if (this.turn.isSettled) this.#unlink();
  }

  /** Aborts when the turn has ended in the queue. */
  get leftQueue(): AbortSignal {
    return this.#leftQueue.signal;
  }

  /**
   * Handles the end of the server: ends the turn if the prompt was sent. If not, the prompt goes to the next server.
   *
   * @returns whether this ended the turn.
   */
  interrupt(error: ServerLostError): boolean {
    if (!this.#isSent) return false;
    const isRunning = !this.turn.isSettled;
    this.#fail('interrupted', { cause: error, detail: 'the server ended; its answer stays unfinished' });
    this.#tracker.fail(error);
    this.#poll.loseServer(error);
    return isRunning;
  }

  /** The repository of its session. */
  get directory(): string {
    return this.#context.transport.directory;
  }

  /** Ends the turn if it waits in the queue, or for the work of another client, now or later. What is about to be sent goes on. */
  refuse(reason: ClosedError): void {
    this.#refusal = reason;
    if (this.#state === 'queued' || this.#state === 'held-up') this.#cancel(reason);
  }

  /** Runs the turn to its end; never rejects. Resolves when the session is free for the next one. */
  drive(): Promise<void> {
    return this.#run(() => this.#prompt());
  }

  /** Follows a turn that the server works on to its end, or until the caller leaves; never rejects. */
  join(running: RunningTurn): Promise<void> {
    this.#release = running.release;
    return this.#run(() => this.#join(running));
  }

  async #run(begin: () => Promise<void> | void): Promise<void> {
    try {
      if (this.turn.isSettled) return;
      this.#state = 'preparing';
      await begin();
      await this.#follow();
    } catch (error) {
      this.turn.settle({ error });
    } finally {
      this.#letGo();
      this.#state = 'ended';
      this.#ended.resolve();
    }
  }

  async #prompt(): Promise<void> {
    const { sessionID, transport, hub } = this.#context;
    const signal = this.#callerGone.signal;
    this.#release = await transport.acquire('turn', sessionID, signal);
    if (this.#request !== undefined) {
      this.#choice = await prepareTurn(this.#context, this.#request, this.#poll, signal);
    }
    await connectEvents(hub, signal);
    if (this.#whenBusy !== 'join') await untilIdle(this.#context, signal, () => this.#holdUp());
    this.#state = 'preparing';
    this.#unlisten = this.#listen(false);
    // OpenCode 2 stores its messages in another form than its events tell.
    if (transport.opencode === 2) this.#record.spoil();
    await this.#delivery.send(this.#choice);
    if (!this.#delivery.isAccepted) return;
    // The events show what the server does with it; it is asked when they are silent.
    await this.#tracker.next(nextWait({ kind: 'accepted' }));
  }

  /** The session is busy with what no turn of this client runs. */
  #holdUp(): void {
    const { sessionID, messageID } = this.turn;
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#whenBusy === 'reject') throw new TurnError({ reason: 'busy', sessionID, messageID });
    this.#state = 'held-up';
    const text = 'somebody else keeps the session at work: the prompt waits until it is idle';
    this.#context.logger.info(text, { directory: this.#context.transport.directory, sessionID });
    this.turn.push({ type: 'waiting', sessionID });
  }

  #join({ messages, children, status, takeEvents }: RunningTurn): void {
    this.#limits.sent();
    this.#state = 'following';
    this.#steps.restore(messages, children, status);
    this.#record.spoil();
    for (const event of takeEvents()) this.#onEvent(event, 0);
    this.#unlisten = this.#listen(true);
  }

  /** Whether the server may know the prompt. */
  get #isSent(): boolean {
    return WAITS_FOR[this.#state] === undefined;
  }

  #deliver(headers: TurnOptions['headers']): PromptDelivery {
    if (this.#request === undefined) return ALREADY_DELIVERED;
    const { transport, sessionID } = this.#context;
    return new TurnDelivery({
      transport,
      sessionID,
      messageID: this.turn.messageID,
      request: this.#request,
      headers,
      tracker: this.#tracker,
      callerGone: this.#callerGone.signal,
      onSent: () => {
        this.#limits.sent();
        if (this.#state === 'preparing') this.#state = 'following';
      },
    });
  }

  /** @param isJoining - whether what the session already waits for an answer to is the turn's, too. */
  #listen(isJoining: boolean): () => void {
    const asks: TurnAsks = {
      sessionID: this.#context.sessionID,
      policies: this.#policies,
      deliver: (ask) => this.turn.push(ask),
      hasReader: () => this.turn.hasReader,
      abortRequested: this.#abortRequested.signal,
      isJoining,
      hasLeft: () => this.#hasLeft,
    };
    return listenTo(this.#context, asks, {
      wants: mayNameSession,
      event: (event, size) => this.#onEvent(event, size),
      lost: (error) => this.#tracker.fail(error),
    });
  }

  #onEvent(event: OpenCodeEvent, size: number): void {
    this.#tracker.onEvent(event);
    this.#record.onEvent(event, size);
    this.#steps.onEvent(event);
    logRetry(event, this.#context);
  }

  /** Waits until the session is idle and the messages show how the turn ended. */
  async #follow(): Promise<void> {
    for (;;) {
      if (this.#closed.aborted || this.#hasLeft) return;
      if (this.#delivery.refusal !== undefined) throw this.#delivery.refusal.error;
      if (this.#callerGone.signal.aborted) this.#beginAbort();
      if (this.#tracker.failure !== undefined) return this.#giveUp(this.#tracker.failure.error);
      await this.#tracker.arm();
      const look = await this.#look().catch((error: unknown) => this.#noteFailure(error));
      if (look === 'ended') return;
      if (look !== 'changed') await this.#tracker.next(nextWait(look));
    }
  }

  /**
   * Asks the server about the turn and acts on the answer; returns `changed` when it must look again without a pause.
   */
  async #look(): Promise<TurnLook | 'changed' | 'ended'> {
    // OpenCode 1.18.33 lets a deleted session run on, and shows it as busy as long as its model does not answer.
    if (this.#tracker.hasGap || this.#tracker.isDeleted) await this.#catchUp();
    const isIdle = this.#tracker.isIdle && this.#state === 'following';
    const evidence = (isIdle ? this.#record.finalAnswer() : undefined) ?? (await this.#poll.evidence(isIdle));
    if (evidence !== undefined) return this.#judge(evidence);
    return this.#state === 'aborting' || this.#tracker.wasIdle ? this.#lookBack() : this.#checkProgress();
  }

  /** Looks at a turn that may have ended, although its session is at work: with what waited for that end. */
  async #lookBack(): Promise<TurnLook | 'changed' | 'ended'> {
    const work = await this.#poll.whoseWork();
    if (work.kind === 'later') return this.#judge(work.evidence, true);
    if (this.#state === 'aborting') return this.#repeatAbort(work.kind === 'own');
    const look = this.#checkProgress();
    return look === 'changed' ? look : { kind: 'undecided' };
  }

  /** After a gap: emits the steps that were missed. */
  async #catchUp(): Promise<void> {
    this.#tracker.hasGap = false;
    try {
      this.#steps.complete(answersOf(this.turn.messageID, await this.#poll.messages()));
    } catch (error) {
      this.#tracker.hasGap = true;
      throw error;
    }
  }

  /**
   * Judges the turn of an idle session: sends a lost prompt again, or settles the turn if the evidence allows it.
   *
   * @param isLongOver - whether the session works on something later: events tell of that now.
   */
  async #judge(evidence: TurnEvidence, isLongOver = false): Promise<TurnLook | 'changed' | 'ended'> {
    if (evidence.kind !== 'not-stored') {
      this.#delivery.noteArrival();
    } else if (this.#mayRepeat) {
      await this.#delivery.send(this.#choice);
      return 'changed';
    }
    const { disposedAt, hadGap } = this.#tracker;
    const quietMs = isLongOver ? Number.POSITIVE_INFINITY : this.#tracker.quietMs;
    const sessionError = isLongOver ? undefined : this.#tracker.sessionError;
    const { error: sendError, isUnderWay } = this.#delivery;
    const isAborted = this.#state === 'aborting';
    const isDisposed = disposedAt !== undefined;
    const verdict = verdictOf(evidence, {
      ...{ quietMs, sessionError, isAborted, isDisposed, hadGap, sendError, isUnderWay },
    });
    if (verdict.kind === 'wait') return { kind: 'undecided' };
    if (evidence.kind === 'answered') this.#steps.complete(evidence.result.messages);
    if (verdict.kind === 'answered') await this.#answer(verdict.result);
    else if (verdict.kind === 'not-sent') this.turn.settle({ error: verdict.error });
    else
      this.#fail(verdict.reason, await withAdvice(verdict, this.#context.transport, this.#callerGone.signal));
    return 'ended';
  }

  /** Whether a prompt that the server has not stored may be sent again. */
  get #mayRepeat(): boolean {
    const { quietMs, sessionError, disposedAt } = this.#tracker;
    return (
      this.#delivery.isRepeatable &&
      quietMs >= SETTLE_LIMIT_MS &&
      !this.#abortRequested.signal.aborted &&
      disposedAt === undefined &&
      sessionError === undefined
    );
  }

  /**
   * Aborts a turn once more whose session is still at work after an abort, or gives it up when it is overdue.
   *
   * @param mayAbort - whether that may be the work of the turn.
   */
  async #repeatAbort(mayAbort: boolean): Promise<TurnLook | 'ended'> {
    if (await this.#aborting.repeat(mayAbort)) return { kind: 'aborting' };
    this.#fail('aborted');
    return 'ended';
  }

  /** Fails a turn that is at work and has stalled. */
  #checkProgress(): TurnLook | 'changed' {
    const { progress } = this.#tracker;
    const stallTimeoutMs = this.#stallTimeoutMs;
    const detail = progress.whyStalled(stallTimeoutMs);
    if (detail === undefined) return { kind: 'at-work', stallTimeoutMs, idleMs: progress.idleMs };
    // The turn is aborted like one that nobody waits for, and holds the instance until it has ended.
    this.#callerGone.abort();
    this.#fail('stalled', { detail });
    return 'changed';
  }

  /** Handles a request that failed: gives the turn up when the failure lasts too long or cannot change. */
  async #noteFailure(error: unknown): Promise<TurnLook | 'ended'> {
    if (this.#closed.aborted) return 'ended';
    const outage = this.#poll.noteFailure(error);
    if (!isPermanent(error)) {
      const { error: sendError } = this.#delivery;
      if (sendError !== undefined && outage.ms > START_LIMIT_MS) throw sendError;
      if (outage.ms <= UNREACHABLE_LIMIT_MS) return { kind: 'unanswered', failures: outage.failures };
    }
    await this.#giveUp(error);
    return 'ended';
  }

  /** Fails a turn about which nothing more can be learned, and sends one abort for what is left of it. */
  async #giveUp(error: unknown): Promise<void> {
    const isGone = error instanceof RequestError && error.status === 404;
    if (isGone || error instanceof ClosedError) throw error;
    if (error instanceof ServerLostError) return this.#fail('interrupted', { cause: error });
    this.#fail(isPermanent(error) ? 'refused' : 'unreachable', { cause: error, detail: messageOf(error) });
    if (this.#tracker.hasBegun) await this.#poll.abort();
  }

  /** Settles with the result, if it has the format that the prompt asked for. */
  async #answer(result: TurnResult): Promise<void> {
    const format = this.#request?.format;
    if (format === undefined) return this.turn.settle({ result });
    // A check in the caller's schema may never end.
    const parsed = await abortable(format.parse(result.structured), this.#callerGone.signal);
    if ('value' in parsed) this.turn.settle({ result: { ...result, structured: parsed.value } });
    else this.#fail('format', parsed);
  }

  /** Releases the hold before `result` settles, unless the server may still work on a cancelled turn. */
  #settled(): void {
    this.#unlink();
    if (this.#state === 'queued') this.#leftQueue.abort();
    this.#delivery.stop();
    if (!this.#callerGone.signal.aborted) this.#letGo();
  }

  /** Releases the hold and stops listening: what comes now belongs to the next turn, or to none. */
  #letGo(): void {
    this.#unlisten?.();
    this.#release?.();
  }

  /** Removes every listener from the caller's signal, and every timer. */
  #unlink(): void {
    for (const detach of this.#detach.splice(0)) detach();
    this.#limits.end();
  }

  #fail(reason: TurnError['reason'], why: FailureDetails & ErrorOptions = {}): void {
    const { sessionID, messageID } = this.turn;
    const { cause, ...rest } = why;
    const options = cause === undefined ? undefined : { cause };
    const error = new TurnError({ reason, sessionID, messageID, ...rest }, options);
    this.turn.settle({ error, quiet: reason === 'aborted' && this.#abortRequested.signal.aborted });
  }

  /**
   * Handles a caller that no longer waits: aborts the turn on the server. The session is free for the next turn when it
   * is idle. A turn that was joined goes on.
   */
  #cancel(reason: unknown): void {
    if (this.turn.isSettled) return;
    if (this.#request === undefined) this.#hasLeft = true;
    else this.#callerGone.abort(reason);
    if (reason instanceof ServerLostError) this.#fail('interrupted', { cause: reason });
    else this.turn.settle({ error: reason, quiet: !(reason instanceof TimeoutError) });
    this.#tracker.wake();
  }

  async #abort(): Promise<void> {
    if (!this.#isSent) {
      this.#abortRequested.abort();
      this.#fail('aborted');
      this.#callerGone.abort();
      return;
    }
    this.#beginAbort();
    await this.#ended.promise;
  }

  /** From now on this run aborts the turn whenever it sees it at work. */
  #beginAbort(): void {
    if (this.#state === 'aborting') return;
    this.#state = 'aborting';
    this.#aborting.begin();
    this.#abortRequested.abort();
    this.#tracker.wake();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
}
