import type { InstanceEntry } from '../registry/instance-entry.js';
import type { InstanceRegistry } from '../registry/instance-registry.js';
import type { Scheduler } from './scheduler.js';

/** After how many milliseconds without an event about its holds the server is asked what an instance does. */
const QUIET_MS = 60_000;

/** What the stale watch needs from outside. */
export interface StaleWatchInit {
  readonly registry: InstanceRegistry;
  readonly scheduler: Scheduler;
  /** Asks the server what it does in an instance and corrects the holds. While it does not answer, they stay. */
  readonly confirm: (entry: InstanceEntry, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Finds stale holds: a lost or reordered event can leave one that would keep its instance for ever. If no event touched the holds of an
 * instance since the last check, the server is asked.
 */
export class StaleWatch {
  readonly #init: StaleWatchInit;
  /** The activity version of each instance at the last check. */
  readonly #seenVersions = new WeakMap<InstanceEntry, number>();
  readonly #task = (): void => this.#checkStaleHolds();
  /** Aborts when the event stream breaks; another one for each period of the stream. */
  #period: AbortController | undefined;
  /** When the next check is due, in epoch milliseconds; `undefined` while no instance is at work. */
  #nextCheckAt: number | undefined;

  constructor(init: StaleWatchInit) {
    this.#init = init;
  }

  /** Begins to watch: the event stream delivers. */
  start(): void {
    this.#period = new AbortController();
    for (const entry of this.#init.registry.loadedEntries()) this.arm(entry);
  }

  /** Stops until the next `start()`, and ends the questions that are under way. */
  stop(): void {
    this.#period?.abort();
    this.#period = undefined;
    this.#setNextCheck(undefined);
  }

  /** Makes sure that an instance at work is checked. */
  arm(entry: InstanceEntry): void {
    if (this.#period === undefined || this.#nextCheckAt !== undefined || !entry.isAtWork) return;
    this.#seenVersions.set(entry, entry.activityVersion);
    this.#setNextCheck(this.#init.registry.clock.now() + QUIET_MS);
  }

  #checkStaleHolds(): void {
    const signal = this.#period?.signal;
    if (signal === undefined || this.#nextCheckAt === undefined) return;
    const { registry, confirm } = this.#init;
    const now = registry.clock.now();
    const leftMs = this.#nextCheckAt - now;
    // A clock that was set back must not delay the check for as long as it was ahead.
    if (leftMs > 0 && leftMs <= QUIET_MS) {
      this.#setNextCheck(this.#nextCheckAt);
      return;
    }
    const atWork = [...registry.loadedEntries()].filter((entry) => entry.isAtWork);
    this.#setNextCheck(atWork.length === 0 ? undefined : now + QUIET_MS);
    for (const entry of atWork) {
      const { activityVersion } = entry;
      const isQuiet = this.#seenVersions.get(entry) === activityVersion;
      this.#seenVersions.set(entry, activityVersion);
      if (isQuiet && !entry.isDisposing) confirm(entry, signal).catch(() => undefined);
    }
  }

  #setNextCheck(at: number | undefined): void {
    this.#nextCheckAt = at;
    this.#init.scheduler.set(this.#task, at);
  }
}
