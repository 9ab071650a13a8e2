import PQueue from 'p-queue';
import * as z from 'zod';
import { abortable, AbortScope, deferred, delay, onAbort, type Deferred } from '../abort.js';
import { MAX_TIMER_MS } from '../clock.js';
import { ConnectionError, RequestError, ServerLostError, TimeoutError, TurnError } from '../errors.js';
import { sessionIDOf } from './events/event-stream.js';
import { parseTimeoutMs } from './options.js';
import { route } from './route.js';
import type { OpenCodeEvent } from './schema/event.js';
import { messageListSchema, type Message, type ServerErrorInfo } from './schema/message.js';
import { booleanSchema } from './schema/server.js';
import { sessionStatusMapSchema } from './schema/session.js';
import type { Session, SessionContext } from './session.js';
import type { TurnRequest } from './turn-request.js';
import { readTurn, turnErrorOf, type TurnEvidence } from './turn-result.js';
import { TurnSteps } from './turn-steps.js';
import { Turn, type TurnOptions } from './turn.js';

/** Without an event of the session for this long, the server is asked; an event that got lost costs no more than that. */
const QUIET_MS = 5_000;
/** How soon to look again when what the server stores is not final yet. */
const RECHECK_MS = 250;
/** How long an idle session may take to store the end of its turn, after the last event of the session. */
const SETTLE_LIMIT_MS = 5_000;
/** How long an accepted prompt may take to begin, after the last event of the session. */
const START_LIMIT_MS = 15_000;
/** How long the server may be out of reach before the turn counts as interrupted. */
const UNREACHABLE_LIMIT_MS = 60_000;
/** How long the event stream may take to come up before a prompt is sent. */
const CONNECT_LIMIT_MS = 60_000;
/**
 * How long after it was accepted a prompt can be invisible: on a cold instance OpenCode 1.18.33 shows neither status nor
 * message for up to 0.9 s. An abort in that time aborts nothing, so it is repeated when the turn does begin.
 */
const COLD_START_MS = 3_000;
/** How long an aborted turn may take to end on the server. A tool that ignores SIGTERM is killed after 2 to 6 s. */
const ABORT_LIMIT_MS = 15_000;

/** Limits for the turns of one server. */
export interface TurnLimits {
  /**
   * How many turns may run at the same time on the server; more wait, highest `priority` first.
   *
   * @default Infinity
   */
  readonly concurrency?: number | undefined;
}

/**
 * Runs turns: one at a time per session, because the server would merge a second prompt into the running turn, and at
 * most `concurrency` per server.
 */
export class TurnEngine {
  readonly #running: PQueue;
  readonly #sessions = new Map<string, PQueue>();
  readonly #closed: AbortSignal;

  /** @throws {RangeError} for a concurrency that is not a positive integer or Infinity. */
  constructor(limits: TurnLimits | undefined, closed: AbortSignal) {
    const concurrency = limits?.concurrency ?? Number.POSITIVE_INFINITY;
    if (!(concurrency >= 1) || (concurrency !== Number.POSITIVE_INFINITY && !Number.isInteger(concurrency))) {
      throw new RangeError(
        `Expected turns.concurrency to be a positive integer or Infinity, got ${concurrency}.`,
      );
    }
    this.#running = new PQueue({ concurrency });
    this.#closed = closed;
  }

  /** Queues a prompt and returns its turn at once. */
  start(
    context: SessionContext,
    session: Session,
    request: TurnRequest,
    options: TurnOptions = {},
    { collectSteps }: { readonly collectSteps: boolean },
  ): Turn {
    const run = new TurnRun(context, session, request, options, collectSteps, this.#closed);
    const queue = this.#sessions.get(session.id) ?? new PQueue({ concurrency: 1 });
    this.#sessions.set(session.id, queue);
    const priority = options.priority ?? 0;
    void queue
      .add(() => this.#running.add(() => run.drive(), { priority }))
      .finally(() => {
        if (queue.size === 0 && queue.pending === 0) this.#sessions.delete(session.id);
      });
    return run.turn;
  }
}

/** A message id of our own, so that the answer can be told from others and a prompt is never sent twice. */
function newMessageID(): string {
  return `msg_${crypto.randomUUID().replaceAll('-', '')}`;
}

/** One turn on its way from the queue to its end. */
class TurnRun {
  readonly turn: Turn;
  readonly #context: SessionContext;
  readonly #session: Session;
  readonly #request: TurnRequest;
  readonly #headers: TurnOptions['headers'];
  readonly #stallTimeoutMs: number | false;
  readonly #closed: AbortSignal;
  readonly #steps: TurnSteps;
  readonly #detach: (() => void)[] = [];
  /** Aborts when the caller no longer waits: signal, time limit or close. */
  readonly #cancelled = new AbortController();
  readonly #ended = deferred();
  /** Lets go of the instance. */
  #release: (() => void) | undefined;
  #sent = false;
  /** Whether the answer has been seen to begin. */
  #begun = false;
  /** Resolves when the user message of this turn is seen. */
  readonly #stored = deferred();
  #abortedAt: number | undefined;
  #wake: Deferred<void> = deferred();
  #lastEventAt = performance.now();
  #sessionError: ServerErrorInfo | undefined;
  #instanceDisposed = false;
  #serverLost: { readonly error: unknown } | undefined;

  constructor(
    context: SessionContext,
    session: Session,
    request: TurnRequest,
    options: TurnOptions,
    collectSteps: boolean,
    closed: AbortSignal,
  ) {
    const timeoutMs = parseTimeoutMs('timeoutMs', options.timeoutMs, false);
    this.#stallTimeoutMs = parseTimeoutMs('stallTimeoutMs', options.stallTimeoutMs, false);
    this.#context = context;
    this.#session = session;
    this.#request = request;
    this.#headers = options.headers;
    this.#closed = closed;
    this.turn = new Turn({
      sessionID: session.id,
      messageID: newMessageID(),
      collectSteps,
      onAbort: () => this.#abort(),
      onSettle: () => this.#settled(),
    });
    this.#steps = new TurnSteps({
      sessionID: session.id,
      messageID: this.turn.messageID,
      isWithin: (sessionID) => context.isWithin(sessionID, session.id),
      emit: (step) => this.turn.push(step),
    });
    for (const signal of [options.signal, closed]) {
      this.#detach.push(onAbort(signal, () => this.#cancel(signal?.reason)));
    }
    if (timeoutMs !== false) {
      const what = `The turn of session ${session.id}`;
      const timer = setTimeout(
        () => this.#cancel(new TimeoutError(what, { phase: 'request', timeoutMs })),
        Math.min(timeoutMs, MAX_TIMER_MS),
      );
      this.#detach.push(() => clearTimeout(timer));
    }
    if (this.turn.isSettled) this.#unlink();
  }

  /** Runs the turn to its end; never rejects. Resolves when the session is free for the next one. */
  async drive(): Promise<void> {
    if (this.turn.isSettled) return;
    const { transport, hub } = this.#context;
    const signal = this.#cancelled.signal;
    let unlisten: (() => void) | undefined;
    try {
      this.#release = await transport.enter('turn', this.#session.id, signal);
      await this.#session.verify({ signal });
      await abortable(this.#connect(), signal);
      unlisten = hub.listen(transport.directory, {
        event: (event) => this.#take(event),
        lost: (error) => {
          this.#serverLost = { error };
          this.#wake.resolve();
        },
      });
      await this.#send(signal);
      this.#lastEventAt = performance.now();
      await this.#follow();
    } catch (error) {
      this.turn.settle({ error });
    } finally {
      unlisten?.();
      this.#release?.();
      this.#ended.resolve();
    }
  }

  async #connect(): Promise<void> {
    const limit = new AbortScope([], {
      timeoutMs: CONNECT_LIMIT_MS,
      reason: (timeoutMs) => new TimeoutError('Opening the event stream', { phase: 'events', timeoutMs }),
    });
    try {
      await abortable(this.#context.hub.connect(), limit.signal);
    } finally {
      limit.end();
    }
  }

  /** Sends the prompt, once. When nobody knows whether it arrived, the server is asked instead of sending it again. */
  async #send(signal: AbortSignal): Promise<void> {
    this.#sent = true;
    const { route: name, body, isBlocking } = this.#request;
    const sending = this.#context.transport.send(
      {
        method: 'POST',
        path: `${route`/session/${this.#session.id}`}/${name}`,
        json: { ...body, messageID: this.turn.messageID },
        schema: z.unknown(),
      },
      { signal, headers: this.#headers, ...(isBlocking && { timeoutMs: false }) },
    );
    sending.catch(() => undefined);
    try {
      await (isBlocking ? Promise.race([sending, this.#stored.promise]) : sending);
    } catch (error) {
      if (!(error instanceof ConnectionError || error instanceof TimeoutError)) {
        // Cancelled while it was under way: it may have arrived, so it is followed to its end.
        if (signal.aborted && !this.#closed.aborted) return;
        throw error;
      }
      if (!(await this.#isStored())) throw error;
    }
  }

  /** Asks whether the answer has begun, in case no event has told. */
  async #hasAnswer(): Promise<boolean> {
    try {
      const messages = await this.#session.messages({ limit: 4 });
      return messages.some(({ info }) => info.role === 'assistant' && info.parentID === this.turn.messageID);
    } catch {
      return false;
    }
  }

  async #isStored(): Promise<boolean> {
    try {
      await this.#session.message(this.turn.messageID);
      return true;
    } catch {
      return false;
    }
  }

  /** Waits until the session is idle and the messages say how the turn ended. */
  async #follow(): Promise<void> {
    let unreachableSince: number | undefined;
    for (;;) {
      if (this.#closed.aborted) return;
      if (this.#cancelled.signal.aborted) void this.#abort();
      if (this.#serverLost !== undefined) return this.#fail('interrupted', undefined, this.#serverLost.error);
      this.#wake = deferred();
      let waitMs = QUIET_MS;
      try {
        const evidence = await this.#look();
        unreachableSince = undefined;
        if (evidence !== undefined) {
          if (this.#judge(evidence)) return;
          waitMs = RECHECK_MS;
        } else if (this.#abortedAt !== undefined) {
          if (performance.now() - this.#abortedAt > ABORT_LIMIT_MS) return this.#fail('aborted');
          await this.#sendAbort();
          waitMs = RECHECK_MS;
        } else if (this.#stallTimeoutMs !== false) {
          const leftMs = this.#stallTimeoutMs - (performance.now() - this.#lastEventAt);
          if (leftMs <= 0) {
            // Aborted like a turn that nobody waits for, and held until it has ended.
            this.#cancelled.abort();
            this.#fail('stalled');
            continue;
          }
          waitMs = Math.max(1, Math.min(QUIET_MS, leftMs));
        }
      } catch (error) {
        if (this.#closed.aborted) return;
        // The session is gone: nobody will ever finish this turn.
        if (error instanceof RequestError && error.status === 404) throw error;
        unreachableSince ??= performance.now();
        if (performance.now() - unreachableSince > UNREACHABLE_LIMIT_MS) {
          return this.#fail('interrupted', undefined, error);
        }
        waitMs = RECHECK_MS;
      }
      await this.#sleep(waitMs);
    }
  }

  /** Asks the server what became of the turn; `undefined` while the session is at work. */
  async #look(): Promise<TurnEvidence | undefined> {
    const { transport } = this.#context;
    const statuses = await transport.send({
      method: 'GET',
      path: '/session/status',
      schema: sessionStatusMapSchema,
    });
    const status = statuses[this.#session.id];
    if (status !== undefined && status.type !== 'idle') return undefined;
    const { messageID } = this.turn;
    for (let limit = 32; ; limit *= 4) {
      const messages: Message[] = await transport.send({
        method: 'GET',
        path: route`/session/${this.#session.id}/message`,
        query: { limit },
        schema: messageListSchema,
      });
      const isThere = messages.some((message) => message.info.id === messageID);
      if (isThere || messages.length < limit) return readTurn(this.#session.id, messageID, messages);
    }
  }

  /** Settles the turn if the evidence allows it; `false` when it has to be looked at again. */
  #judge(evidence: TurnEvidence): boolean {
    const quietMs = performance.now() - this.#lastEventAt;
    switch (evidence.kind) {
      case 'answered':
        this.turn.settle({ result: evidence.result });
        return true;
      case 'error': {
        const isAbort = evidence.error.name === 'MessageAbortedError';
        // A disposal aborts the turn first and says that it did so a moment later.
        if (isAbort && this.#abortedAt === undefined && !this.#instanceDisposed && quietMs < 2 * RECHECK_MS)
          return false;
        const error = turnErrorOf(
          this.turn,
          evidence.error,
          this.#instanceDisposed && this.#abortedAt === undefined,
        );
        this.turn.settle({ error, quiet: this.#abortedAt !== undefined });
        return true;
      }
      case 'unfinished':
        if (quietMs < SETTLE_LIMIT_MS) return false;
        this.#fail(this.#abortedAt === undefined ? 'interrupted' : 'aborted');
        return true;
      case 'not-stored':
      case 'unanswered':
        // The error of a prompt that never began, e.g. for an unknown agent, comes as an event only.
        if (this.#sessionError !== undefined && quietMs >= 2 * RECHECK_MS) {
          this.turn.settle({ error: turnErrorOf(this.turn, this.#sessionError, false) });
          return true;
        }
        if (this.#abortedAt !== undefined && quietMs >= COLD_START_MS) {
          this.#fail('aborted');
          return true;
        }
        if (quietMs < START_LIMIT_MS) return false;
        this.#fail(this.#instanceDisposed ? 'interrupted' : 'not-started');
        return true;
    }
  }

  #take(event: OpenCodeEvent): void {
    if (event.type === 'server.instance.disposed') {
      this.#instanceDisposed = true;
      this.#wake.resolve();
      return;
    }
    if (event.type === 'jarvis.gap') {
      this.#wake.resolve();
      return;
    }
    this.#steps.take(event);
    const sessionID = sessionIDOf(event);
    if (sessionID === undefined || !this.#context.isWithin(sessionID, this.#session.id)) return;
    this.#lastEventAt = performance.now();
    if (sessionID !== this.#session.id) return;
    if (event.type === 'session.error') {
      this.#sessionError = event.properties.error;
      this.#wake.resolve();
    } else if (event.type === 'session.idle') {
      this.#wake.resolve();
    } else if (event.type === 'message.updated') {
      const { info } = event.properties;
      if (info.id === this.turn.messageID) this.#stored.resolve();
      if (info.role !== 'assistant') return;
      if (info.parentID === this.turn.messageID) this.#begun = true;
      if (info.time.completed !== undefined || this.#abortedAt !== undefined) this.#wake.resolve();
    }
  }

  /** Who awaits the result finds the instance let go of, unless the server still works on what was cancelled. */
  #settled(): void {
    this.#unlink();
    if (!this.#cancelled.signal.aborted) this.#release?.();
  }

  /** Nothing of the caller is referenced any longer: no listener on its signal, no timer. */
  #unlink(): void {
    for (const detach of this.#detach.splice(0)) detach();
  }

  async #sleep(ms: number): Promise<void> {
    const timer = new AbortController();
    const { promise } = this.#wake;
    await Promise.race([promise, delay(ms, timer.signal).catch(() => undefined)]);
    timer.abort();
  }

  #fail(reason: TurnError['reason'], serverError?: ServerErrorInfo, cause?: unknown): void {
    const { sessionID, messageID } = this.turn;
    const error = new TurnError(
      { reason, sessionID, messageID, serverError },
      cause === undefined ? undefined : { cause },
    );
    this.turn.settle({ error, quiet: reason === 'aborted' && this.#abortedAt !== undefined });
  }

  /** The caller waits no longer; on the server the turn is aborted and its session stays taken until it is idle. */
  #cancel(reason: unknown): void {
    if (this.turn.isSettled) return;
    this.#cancelled.abort(reason);
    if (reason instanceof ServerLostError) this.#fail('interrupted', undefined, reason);
    else this.turn.settle({ error: reason, quiet: !(reason instanceof TimeoutError) });
    this.#wake.resolve();
  }

  async #abort(): Promise<void> {
    if (!this.#sent) {
      this.#abortedAt = performance.now();
      this.#fail('aborted');
      this.#cancelled.abort();
      return;
    }
    if (this.#abortedAt === undefined) {
      this.#abortedAt = performance.now();
      await this.#sendAbort();
      this.#wake.resolve();
    }
    await this.#ended.promise;
  }

  /**
   * Whether it worked shows in the session's status, so the next look tells. An abort that comes before the answer to the
   * first prompt of an instance has begun breaks that instance: OpenCode 1.18.33 then fails every prompt in it with "All
   * fibers interrupted without error" until it is disposed.
   */
  async #sendAbort(): Promise<void> {
    this.#begun ||= await this.#hasAnswer();
    if (!this.#begun) return;
    await this.#context.transport
      .send({ method: 'POST', path: route`/session/${this.#session.id}/abort`, schema: booleanSchema })
      .catch(() => undefined);
  }
}
