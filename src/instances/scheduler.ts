import { MAX_TIMER_MS, type Clock, type Timer } from '../core/clock.js';

/**
 * Keeps several deadlines with one timer, which is set to the earliest of them. When it ends, every task that has a deadline is called,
 * due or not: after a change of the system's clock each task sets its deadline anew.
 */
export class Scheduler {
  readonly #clock: Clock;
  /** When each task is due, in epoch milliseconds. */
  readonly #deadlines = new Map<() => void, number>();
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sets the deadline of a task, in epoch milliseconds, in place of its last one; `undefined` takes it away. */
  set(task: () => void, deadline: number | undefined): void {
    if (this.#isStopped) return;
    if (deadline === undefined) this.#deadlines.delete(task);
    else this.#deadlines.set(task, deadline);
    this.#setTimer();
  }

  /** Takes every deadline away, for good. */
  stop(): void {
    this.#isStopped = true;
    this.#deadlines.clear();
    this.#setTimer();
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#deadlines.size === 0) return;
    const delayMs = Math.min(...this.#deadlines.values()) - this.#clock.now();
    this.#timer = this.#clock.after(Math.min(Math.max(delayMs, 0), MAX_TIMER_MS), () => this.#run());
  }

  #run(): void {
    this.#timer = undefined;
    const tasks = [...this.#deadlines.keys()];
    this.#deadlines.clear();
    for (const task of tasks) task();
  }
}
