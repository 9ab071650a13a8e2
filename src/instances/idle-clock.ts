import { backoffMs } from '../core/backoff.js';
import type { InstanceEntry } from '../registry/instance-entry.js';
import type { InstanceRegistry } from '../registry/instance-registry.js';
import type { Places } from './admission.js';
import { hasOwnHolds } from './disposal/refusal.js';
import type { ParsedIdlePolicy } from './idle-policy.js';
import type { Scheduler } from './scheduler.js';

/** The pauses before a disposal that failed is tried again. */
const MIN_RETRY_MS = 5_000;
const MAX_RETRY_MS = 300_000;
/** Milliseconds between two samples of the server's memory. */
const SAMPLE_MS = 10_000;

/** What became of an automatic disposal; a refused one is tried again when the last hold ends. */
export type IdleOutcome = 'disposed' | 'refused' | 'failed';

/** Why the idle clock disposes an instance. */
type IdleReason = 'idle' | 'cap';

/** What the idle clock needs from outside. */
export interface IdleClockInit {
  /** Disposes one instance if nothing holds it; resolves when that is settled, and never rejects. */
  readonly dispose: (entry: InstanceEntry, reason: IdleReason) => Promise<IdleOutcome>;
  /** Returns the resident memory of the server and its children, in bytes; `undefined` when it is not known. */
  readonly serverRssBytes?: (() => number | undefined) | undefined;
  /** The jitter of the pauses before retries, from 0 to 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/** Disposes instances that are idle for too long, or too many; it waits for the earliest deadline of all. */
export class IdleClock {
  readonly #registry: InstanceRegistry;
  readonly #scheduler: Scheduler;
  readonly #policy: ParsedIdlePolicy;
  readonly #init: IdleClockInit;
  /** Instances whose disposal failed, how often in a row, and when it is tried again. */
  readonly #failed = new Map<InstanceEntry, { readonly retryAt: number; readonly failures: number }>();
  /** Instances that this clock is disposing, each with the end of that. */
  readonly #disposing = new Map<InstanceEntry, Promise<void>>();
  readonly #task = (): void => this.check();
  #sampleAt = 0;
  /** Whether an idle instance has a deadline. */
  #hasDeadline = false;
  #isStopped = false;

  constructor(
    registry: InstanceRegistry,
    scheduler: Scheduler,
    policy: ParsedIdlePolicy,
    init: IdleClockInit,
  ) {
    this.#registry = registry;
    this.#scheduler = scheduler;
    this.#policy = policy;
    this.#init = init;
  }

  /**
   * When the instance will be disposed if nothing uses it, in epoch milliseconds; `undefined` while something keeps it or it is not
   * loaded.
   */
  deadline(entry: InstanceEntry): number | undefined {
    if (!entry.loaded || entry.isDisposing || entry.lastUsedAt === undefined) return undefined;
    if (entry.holds().length > 0 || this.#isKept(entry)) return undefined;
    return Math.max(
      entry.lastUsedAt + this.#policy.idleTimeoutMs,
      this.#failed.get(entry)?.retryAt ?? Number.NEGATIVE_INFINITY,
    );
  }

  /** Begins the idle time of an instance whose last hold has ended. */
  released(entry: InstanceEntry): void {
    this.#failed.delete(entry);
    if (!this.#hasDeadline || this.#registry.stayingCount > this.#policy.maxLoaded) this.check();
  }

  /** Disposes what is over a limit or due, and sets the deadline of the rest. Call it after every change. */
  check(): void {
    if (this.#isStopped) return;
    const now = this.#registry.clock.now();
    // The registry reports when the gate opens again; then this is called once more.
    const { due, next } = this.#registry.isGateClosed
      ? { due: [], next: Number.POSITIVE_INFINITY }
      : this.#plan(now);
    this.#hasDeadline = next < Number.POSITIVE_INFINITY;
    const wakeAt = this.#isSampling ? Math.min(next, this.#sampleAt) : next;
    this.#scheduler.set(this.#task, this.#hasDeadline ? wakeAt : undefined);
    for (const [entry, reason] of due) void this.#dispose(entry, reason);
  }

  /** Tries what failed again now. */
  retry(): void {
    this.#failed.clear();
    this.check();
  }

  /**
   * Disposes the least recently used instances until every repository with a place may be loaded within `maxLoaded`. Instances that
   * this client holds do not count, nor do those that cannot be disposed. Never rejects.
   */
  async makeRoom(places: Places): Promise<void> {
    const tried = new Set<InstanceEntry>();
    for (;;) {
      const others = this.#disposable().filter((entry) => !places.has(entry) && !tried.has(entry));
      const excess = others.length + places.size - this.#policy.maxLoaded;
      if (this.#isStopped || excess <= 0) return;
      const leaving = others.slice(0, excess);
      for (const entry of leaving) tried.add(entry);
      await Promise.all(leaving.map((entry) => this.#dispose(entry, 'cap')));
    }
  }

  /** Disposes nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#scheduler.set(this.#task, undefined);
  }

  /** Finds what is to be disposed now, and the earliest deadline of the other idle instances. */
  #plan(now: number): { readonly due: [InstanceEntry, IdleReason][]; readonly next: number } {
    let excess = this.#excess(now);
    let next = Number.POSITIVE_INFINITY;
    const due: [InstanceEntry, IdleReason][] = [];
    for (const entry of this.#registry.idleEntries()) {
      if (entry.isDisposing || this.#disposing.has(entry) || this.#isKept(entry)) continue;
      // A clock that was set back must not keep an instance for as long as it was ahead.
      if (entry.lastUsedAt === undefined || entry.lastUsedAt > now) entry.lastUsedAt = now;
      const retryAt = Math.min(this.#failed.get(entry)?.retryAt ?? now, now + MAX_RETRY_MS);
      const deadline = Math.max(entry.lastUsedAt + this.#policy.idleTimeoutMs, retryAt);
      if (excess > 0 && retryAt <= now) {
        excess -= 1;
        due.push([entry, 'cap']);
      } else if (deadline <= now) {
        due.push([entry, 'idle']);
      } else {
        next = Math.min(next, deadline);
        // The entries behind it were used later; only one that failed may be due out of turn.
        if (retryAt <= now && excess <= 0) break;
      }
    }
    return { due, next };
  }

  /**
   * The loaded instances that this client does not hold: those whose disposal is under way, then the idle ones, least recently used
   * first, then those that the server reported to be at work, which it may have finished.
   */
  #disposable(): InstanceEntry[] {
    const now = this.#registry.clock.now();
    const rank = (entry: InstanceEntry): number => (entry.isDisposing ? 0 : entry.isHeld ? 2 : 1);
    return [...this.#registry.loadedEntries()]
      .filter((entry) => !hasOwnHolds(entry) && !this.#isKept(entry))
      .filter((entry) => (this.#failed.get(entry)?.retryAt ?? now) <= now)
      .sort((a, b) => rank(a) - rank(b));
  }

  /** How many instances are to be disposed before their idle time is over. */
  #excess(now: number): number {
    // A disposal that was started and has not closed its gate yet counts as done.
    const leaving = [...this.#disposing.keys()].filter((entry) => entry.loaded && !entry.isDisposing).length;
    const excess = this.#registry.stayingCount - leaving - this.#policy.maxLoaded;
    return excess <= 0 && this.#isOverMemory(now) ? 1 : excess;
  }

  #isKept(entry: InstanceEntry): boolean {
    return this.#policy.keepForeign && entry.foreign.isSeen;
  }

  /** Whether the memory is sampled now: not during a disposal, because what it gives back shows only afterwards. */
  get #isSampling(): boolean {
    return this.#policy.maxServerRssBytes < Number.POSITIVE_INFINITY && this.#disposing.size === 0;
  }

  #isOverMemory(now: number): boolean {
    if (!this.#isSampling || now < this.#sampleAt || this.#registry.idleEntries().size === 0) return false;
    this.#sampleAt = now + SAMPLE_MS;
    return (this.#init.serverRssBytes?.() ?? 0) > this.#policy.maxServerRssBytes;
  }

  #dispose(entry: InstanceEntry, reason: IdleReason): Promise<void> {
    const underWay = this.#disposing.get(entry);
    if (underWay !== undefined) return underWay;
    const disposal = this.#init.dispose(entry, reason).then((outcome) => {
      this.#disposing.delete(entry);
      if (outcome === 'failed') this.#postpone(entry);
      else this.#failed.delete(entry);
      this.#sampleAt = 0;
      this.check();
    });
    this.#disposing.set(entry, disposal);
    return disposal;
  }

  #postpone(entry: InstanceEntry): void {
    const failures = this.#failed.get(entry)?.failures ?? 0;
    const bounds = { minMs: Math.min(MIN_RETRY_MS, this.#policy.idleTimeoutMs), maxMs: MAX_RETRY_MS };
    const retryAt = this.#registry.clock.now() + backoffMs(failures, bounds, this.#init.random);
    this.#failed.set(entry, { retryAt, failures: failures + 1 });
  }
}
