import { deferred } from '../core/abort.js';
import { MAX_TIMER_MS } from '../core/clock.js';
import { realTime } from '../core/real-time.js';

/** The time from `close({ drainMs })` until everything is ended: what runs may end by itself, and nothing new begins. */
export class Drain {
  /** Resolves when the time is over. */
  readonly over: Promise<void>;
  readonly #over = deferred();
  #deadline = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof realTime.setTimeout> | undefined;
  #isOver = false;

  constructor() {
    this.over = this.#over.promise;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Lets it last no longer than `ms` from now. The shortest limit counts; 0 ends it at once. */
  limit(ms: number): void {
    const deadline = realTime.now() + ms;
    if (this.#isOver || deadline >= this.#deadline) return;
    if (ms === 0) return this.end();
    this.#deadline = deadline;
    realTime.clearTimeout(this.#timer);
    this.#timer = realTime.setTimeout(() => this.end(), Math.min(ms, MAX_TIMER_MS));
  }

  end(): void {
    this.#isOver = true;
    realTime.clearTimeout(this.#timer);
    this.#over.resolve();
  }
}
