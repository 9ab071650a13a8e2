import type { Clock, Timer } from '../../../core/clock.js';
import type { Logger } from '../../../core/logger.js';
import { ClosedError, DisposeRefusedError } from '../../../errors.js';

/** How often a server that something holds is looked at. */
const CHECK_MS = 30_000;

/** What the watch needs to know, and what it does. */
export interface IdleWatchInit {
  readonly clock: Clock;
  /** Milliseconds without a use after which the server falls asleep; `undefined` for never. */
  readonly stopAfterIdleMs: number | undefined;
  /** Stops the server; rejects when it is in use after all. */
  readonly sleep: () => Promise<void>;
  readonly logger: Logger;
}

/** Knows when a server was last used, and has it stopped when that was long ago. */
export class IdleWatch {
  readonly #init: IdleWatchInit;
  readonly #watched: (() => number | undefined)[] = [];
  /** How many requests run that belong to no repository. */
  #uses = 0;
  #lastUse = 0;
  /** A last use in the future, and when that was noticed. */
  #ahead: { readonly since: number; readonly noticedAt: number } | undefined;
  #timer: Timer | undefined;
  #isRunning = false;

  constructor(init: IdleWatchInit) {
    this.#init = init;
  }

  /** Counts what a client knows: since when it does nothing, epoch milliseconds; `undefined` while something holds the server. */
  watch(idleSince: () => number | undefined): void {
    this.#watched.push(idleSince);
  }

  /** Whether a request runs that belongs to no repository. */
  get isUsed(): boolean {
    return this.#uses > 0;
  }

  /** Notes such a request until the returned function is called. */
  use(): () => void {
    this.#uses += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#uses -= 1;
      this.#lastUse = this.#init.clock.now();
    };
  }

  /** Since when nothing uses the server, epoch milliseconds; `undefined` while something does, and while it does not run. */
  get since(): number | undefined {
    const since = this.#isRunning ? this.#idleSince() : undefined;
    const now = this.#init.clock.now();
    if (since === undefined || since <= now) return since;
    // A clock that was set back must not keep the server for as long as it was ahead: the time counts from when that was noticed.
    if (this.#ahead?.since !== since) this.#ahead = { since, noticedAt: now };
    return Math.min(this.#ahead.noticedAt, now);
  }

  /** When the server falls asleep if nothing uses it, epoch milliseconds; `undefined` while something does, or never. */
  get deadline(): number | undefined {
    const { stopAfterIdleMs } = this.#init;
    const { since } = this;
    return stopAfterIdleMs === undefined || since === undefined ? undefined : since + stopAfterIdleMs;
  }

  /** The server is ready: its idle time begins. */
  start(): void {
    this.stop();
    this.#isRunning = true;
    this.#lastUse = this.#init.clock.now();
    this.#arm();
  }

  /** Looks no more until the next `start()`. */
  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
  }

  #arm(atLeastMs = 0): void {
    const { clock, stopAfterIdleMs } = this.#init;
    if (stopAfterIdleMs === undefined || !this.#isRunning) return;
    const checkMs = Math.min(CHECK_MS, stopAfterIdleMs);
    const waitMs = (this.deadline ?? clock.now() + checkMs) - clock.now();
    this.#timer = clock.after(Math.max(waitMs, atLeastMs), () => void this.#check());
  }

  async #check(): Promise<void> {
    const { clock, sleep, logger, stopAfterIdleMs = 0 } = this.#init;
    if (!this.#isRunning) return;
    if ((this.deadline ?? Number.POSITIVE_INFINITY) > clock.now()) return this.#arm();
    try {
      await sleep();
    } catch (error) {
      if (!(error instanceof DisposeRefusedError) && !(error instanceof ClosedError))
        logger.warn('could not ask whether the server may be stopped', { error: String(error) });
    }
    this.#arm(Math.min(CHECK_MS, stopAfterIdleMs));
  }

  #idleSince(): number | undefined {
    if (this.#uses > 0) return undefined;
    let since = this.#lastUse;
    for (const idleSince of this.#watched) {
      const own = idleSince();
      if (own === undefined) return undefined;
      since = Math.max(since, own);
    }
    return since;
  }
}
