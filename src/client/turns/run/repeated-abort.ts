import { realTime } from '../../../core/real-time.js';
import type { TurnEventTracker } from './event-tracker.js';
import type { TurnPoll } from './poll.js';

/**
 * How long an aborted turn may take to end on the server, and before that to begin. OpenCode 1.18.33 kills a tool that ignores
 * SIGTERM after 2 to 6 s.
 */
const ABORT_LIMIT_MS = 15_000;

/** Aborts a turn on the server as often as it is seen at work. */
export class RepeatedAbort {
  readonly #poll: Pick<TurnPoll, 'hasAnswer' | 'abort'>;
  readonly #tracker: Pick<TurnEventTracker, 'hasBegun'>;
  /** When the turn is overdue. */
  #deadline = Number.POSITIVE_INFINITY;

  constructor(poll: Pick<TurnPoll, 'hasAnswer' | 'abort'>, tracker: Pick<TurnEventTracker, 'hasBegun'>) {
    this.#poll = poll;
    this.#tracker = tracker;
  }

  /** From now on the turn is to end. */
  begin(): void {
    this.#deadline = realTime.now() + ABORT_LIMIT_MS;
  }

  /**
   * Aborts the turn once more, if its session may still work on it.
   *
   * @returns `false` when it is overdue and to be given up.
   */
  async repeat(mayAbort: boolean): Promise<boolean> {
    const isOverdue = realTime.now() > this.#deadline;
    if (isOverdue && this.#tracker.hasBegun) return false;
    if (!mayAbort) return true;
    if (isOverdue) {
      // The session may work on another client's prompt first and on this one next: abort it all the same.
      this.#tracker.hasBegun = true;
      this.#deadline += ABORT_LIMIT_MS;
    }
    // An abort before the answer has begun breaks the instance. The session's status shows whether this abort worked.
    this.#tracker.hasBegun ||= await this.#poll.hasAnswer();
    if (this.#tracker.hasBegun) await this.#poll.abort();
    return true;
  }
}
