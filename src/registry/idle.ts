import { MAX_TIMER_MS, type Clock, type Timer } from '../clock.js';
import type { RepoEntry, RepoRegistry } from './repos.js';

/** When instances are given back to the server. */
export interface IdlePolicy {
  /**
   * Milliseconds after its last use until an instance that nothing holds is disposed.
   *
   * @default 600_000
   */
  readonly idleTimeoutMs?: number | undefined;
  /**
   * How many instances may stay loaded; over it, the least recently used one that nothing holds is disposed.
   *
   * @default 8
   */
  readonly maxLoaded?: number | undefined;
}

const DEFAULT_IDLE_TIMEOUT_MS = 600_000;
const DEFAULT_MAX_LOADED = 8;

/** How long a refused disposal waits before it is tried again, unless a hold ends before that. */
const RETRY_MS = 5_000;

/** Disposes one instance if nothing holds it; resolves when that is settled, and never rejects. */
export type DisposeIdle = (entry: RepoEntry, reason: 'idle' | 'cap') => Promise<void>;

/**
 * Checks an idle policy and fills in its defaults.
 *
 * @throws {RangeError} for a value out of bounds.
 */
export function parseIdlePolicy(policy: IdlePolicy | undefined): {
  readonly idleTimeoutMs: number;
  readonly maxLoaded: number;
} {
  const { idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS, maxLoaded = DEFAULT_MAX_LOADED } = policy ?? {};
  if (!Number.isFinite(idleTimeoutMs) || idleTimeoutMs <= 0) {
    throw new RangeError(
      `Expected idle.idleTimeoutMs to be a positive number of milliseconds, got ${idleTimeoutMs}.`,
    );
  }
  if (!Number.isInteger(maxLoaded) || maxLoaded < 1) {
    throw new RangeError(`Expected idle.maxLoaded to be a positive integer, got ${maxLoaded}.`);
  }
  return { idleTimeoutMs, maxLoaded };
}

/** The idle clock: one timer for all instances, set to the earliest deadline. */
export class IdleClock {
  readonly #registry: RepoRegistry;
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  readonly #maxLoaded: number;
  readonly #dispose: DisposeIdle;
  /** A refused disposal is not tried again before this time. */
  readonly #notBefore = new WeakMap<RepoEntry, number>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(registry: RepoRegistry, policy: IdlePolicy | undefined, dispose: DisposeIdle) {
    const { idleTimeoutMs, maxLoaded } = parseIdlePolicy(policy);
    this.#registry = registry;
    this.#clock = registry.clock;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#maxLoaded = maxLoaded;
    this.#dispose = dispose;
  }

  /** When the entry will be disposed if nothing uses it; `undefined` while something holds it or it is not loaded. */
  deadline(entry: RepoEntry): number | undefined {
    if (!entry.loaded || entry.isHeld || entry.isDisposing || entry.lastUsedAt === undefined)
      return undefined;
    return Math.max(entry.lastUsedAt + this.#idleTimeoutMs, this.#notBefore.get(entry) ?? 0);
  }

  /** The last hold of an entry is gone: whatever kept it from being disposed is over. */
  released(entry: RepoEntry): void {
    this.#notBefore.delete(entry);
    if (this.#timer === undefined || this.#registry.loadedCount > this.#maxLoaded) this.check();
  }

  /** Looks at all that changed: disposes what is over the cap or due, and sets the timer for the rest. */
  check(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = this.#clock.now();
    let excess = this.#registry.loadedCount - this.#maxLoaded;
    let next = Number.POSITIVE_INFINITY;
    // Least recently used first. A disposal under way already counts as gone.
    for (const entry of [...this.#registry.loadedEntries()]) {
      if (entry.isDisposing) {
        excess -= 1;
        continue;
      }
      const deadline = this.deadline(entry);
      if (deadline === undefined) continue;
      const mayTry = (this.#notBefore.get(entry) ?? 0) <= now;
      if (excess > 0 && mayTry) {
        excess -= 1;
        this.#start(entry, 'cap');
      } else if (deadline <= now) {
        this.#start(entry, 'idle');
      } else {
        next = Math.min(next, deadline);
      }
    }
    if (next < Number.POSITIVE_INFINITY) {
      this.#timer = this.#clock.after(Math.min(next - now, MAX_TIMER_MS), () => this.check());
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #start(entry: RepoEntry, reason: 'idle' | 'cap'): void {
    this.#notBefore.set(entry, this.#clock.now() + Math.min(RETRY_MS, this.#idleTimeoutMs));
    void this.#dispose(entry, reason).then(() => {
      if (!entry.loaded) this.#notBefore.delete(entry);
      this.check();
    });
  }
}
