import { deferred, resolvesWithin, type Deferred } from '../../../core/abort.js';
import { realTime } from '../../../core/real-time.js';
import { sessionIDOf } from '../../events/event-stream.js';
import type { OpenCodeEvent } from '../../schema/event.js';
import type { ServerErrorInfo } from '../../schema/message.js';
import { MAX_EMPTY_STEPS, TurnProgress } from './progress.js';
import { RECHECK_MS } from '../result/verdict.js';

/** Tracks what the events show about one turn. They are hints: the turn reads from the server how it ended. */
export class TurnEventTracker {
  /** When the last event of the session or a child of it came, on the clock of `realTime.now()`. */
  lastEventAt = realTime.now();
  /**
   * The first error that the server reported for the session; a second report of the same error only adds a stack. An
   * answer that begins afterwards shows that the session goes on all the same, e.g. without a file that cannot be read.
   */
  sessionError: ServerErrorInfo | undefined;
  /** When the instance was disposed, on the clock of `realTime.now()`. */
  disposedAt: number | undefined;
  /** Whether events are missing and the turn has not caught up yet. */
  hasGap = false;
  /** Whether events were missing at any time. */
  hadGap = false;
  /** The progress of the turn. */
  readonly progress = new TurnProgress();
  /** Whether the session was deleted. */
  isDeleted = false;
  /** Why no more events will come. */
  failure: { readonly error: unknown } | undefined;
  /** Whether the last event that says so was that the session is idle. */
  isIdle = false;
  /** Whether the session was idle since it began to answer: what keeps it at work now may be what waited for that. */
  wasIdle = false;
  /** Whether the session has begun to answer, so that an abort is safe. */
  hasBegun = false;
  /** Resolves when an event shows the user message of this turn. */
  readonly stored = deferred();
  isStored = false;
  readonly #sessionID: string;
  readonly #messageID: string;
  readonly #isWithin: (sessionID: string) => boolean;
  #answerID: string | undefined;
  /** Whether an answer is complete and nothing says yet that the session is idle. */
  #isEnding = false;
  #wake: Deferred<void> = deferred();

  constructor(init: {
    readonly sessionID: string;
    readonly messageID: string;
    readonly isWithin: (sessionID: string) => boolean;
  }) {
    this.#sessionID = init.sessionID;
    this.#messageID = init.messageID;
    this.#isWithin = init.isWithin;
  }

  /** Milliseconds since the last event of the turn. */
  get quietMs(): number {
    return realTime.now() - Math.max(this.lastEventAt, this.disposedAt ?? 0);
  }

  /** Handles one event of the turn's directory. */
  onEvent(event: OpenCodeEvent): void {
    if (event.type === 'server.instance.disposed') return this.#noteDisposal();
    if (event.type === 'jarvis.gap') {
      this.hasGap = true;
      this.hadGap = true;
      return this.wake();
    }
    const sessionID = sessionIDOf(event);
    if (sessionID === undefined || !this.#isWithin(sessionID)) return;
    this.lastEventAt = realTime.now();
    this.progress.onEvent(event);
    if (this.progress.emptySteps >= MAX_EMPTY_STEPS) this.wake();
    if (sessionID === this.#sessionID) this.#onOwnEvent(event);
  }

  /** The event stream has ended for good. */
  fail(error: unknown): void {
    this.failure = { error };
    this.wake();
  }

  /** Ends the current {@link next}. */
  wake(): void {
    this.#wake.resolve();
  }

  /**
   * Arms the wait: whatever comes from now on ends the next {@link next}. When an answer is complete, the event that the session is
   * idle follows; this gives it a moment.
   */
  async arm(): Promise<void> {
    const isEnding = this.#isEnding;
    this.#isEnding = false;
    this.#wake = deferred();
    if (!isEnding) return;
    await this.next(RECHECK_MS);
    await this.arm();
  }

  /** Waits for an event that may matter, at most `ms`. */
  async next(ms: number): Promise<void> {
    await resolvesWithin(ms, this.#wake.promise);
  }

  #noteDisposal(): void {
    this.disposedAt = realTime.now();
    this.wake();
  }

  #noteStored(): void {
    if (!this.isStored) this.progress.note();
    this.isStored = true;
    this.stored.resolve();
  }

  #onOwnEvent(event: OpenCodeEvent): void {
    switch (event.type) {
      case 'session.error':
        this.sessionError ??= event.properties.error;
        this.wake();
        return;
      case 'session.deleted':
        this.isDeleted = true;
        this.wake();
        return;
      case 'session.idle':
        this.isIdle = true;
        this.wasIdle ||= this.hasBegun;
        this.#isEnding = false;
        this.wake();
        return;
      case 'session.status':
        if (event.properties.status.type !== 'idle') this.isIdle = false;
        return;
      case 'message.part.delta':
        // The answer may be to another client's prompt; this turn is then part of that one.
        this.hasBegun = true;
        this.isIdle = false;
        return;
      case 'message.updated': {
        const { info } = event.properties;
        if (info.id === this.#messageID) this.#noteStored();
        if (info.role !== 'assistant') return;
        const isComplete = info.time.completed !== undefined;
        if (!isComplete) this.isIdle = false;
        if (info.id !== this.#answerID && !isComplete) {
          this.#answerID = info.id;
          this.sessionError = undefined;
        }
        if (info.parentID === this.#messageID) this.hasBegun = true;
        // After calls of tools the model is called again.
        if (!isComplete || info.finish === 'tool-calls') return;
        this.#isEnding = !this.isIdle;
        this.wake();
        return;
      }
      default:
    }
  }
}
