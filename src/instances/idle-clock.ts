import { MAX_TIMER_MS, type Clock, type Timer } from '../core/clock.js';
import {
  aBoolean,
  aNumber,
  policyOf,
  positiveInteger,
  positiveMs,
  type OptionChecks,
} from '../core/checks.js';
import type { RepoEntry } from '../registry/instance-entry.js';
import type { RepoRegistry } from '../registry/instance-registry.js';

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
  /**
   * Bytes of resident memory that the server may use together with its children; over it, the least recently used instance
   * that nothing holds is disposed, one after the other. Looked at every 10 s while there is one. The server keeps its own
   * heap for reuse (about 500 MB after a day's work are usual), so only its children's memory comes back: leave room for
   * it. For a server started by this library, on Linux.
   *
   * @default no limit
   */
  readonly maxServerRssBytes?: number | undefined;
  /**
   * Whether an instance that somebody else uses is left alone: neither its idle time nor `maxLoaded` nor `maxServerRssBytes` disposes
   * it, until it was disposed otherwise. It counts as used by somebody else when it was loaded without a call of this client, or
   * when a session that this client has sent nothing to was created or at work in it. On a server that this client only connected to,
   * nobody can tell who loaded an instance, so none is disposed by itself.
   *
   * Work of others holds an instance in any case, while it runs. This option is for those who only listen: OpenCode 1.18.33 gives no sign
   * of a client that reads `GET /event`. The disposal ends its stream, after a last `server.instance.disposed`. An attached TUI goes on
   * then; `opencode run --attach` ends at once, with code 0, when its stream ends before its prompt is at work.
   * A client that listens and has done nothing yet in an instance of yours is not seen even with this option: `hold()` the instance then.
   *
   * @default false
   */
  readonly keepForeign?: boolean | undefined;
}

const DEFAULT_IDLE_TIMEOUT_MS = 600_000;
const DEFAULT_MAX_LOADED = 8;

/** How long a disposal that failed waits before it is tried again; twice as long after each failure. */
const RETRY_MS = 5_000;
const MAX_RETRY_MS = 300_000;
/** How often the memory of the server is looked at. */
const SAMPLE_MS = 10_000;

/** What became of an automatic disposal; a refused one is tried again when the last hold is gone. */
export type IdleOutcome = 'disposed' | 'refused' | 'failed';

/** What the idle clock needs from outside. */
export interface IdleClockInit {
  /** Disposes one instance if nothing holds it; resolves when that is settled, and never rejects. */
  readonly dispose: (entry: RepoEntry, reason: 'idle' | 'cap') => Promise<IdleOutcome>;
  /** Looks at what keeps instances loaded when that is due, and says when to do so next; `undefined` when nothing does. */
  readonly look?: ((now: number) => number | undefined) | undefined;
  /** The resident memory of the server and its children, in bytes; `undefined` when it cannot be told. */
  readonly serverRssBytes?: (() => number | undefined) | undefined;
}

/** {@link IdlePolicy}, checked and complete. */
export type ParsedIdlePolicy = { readonly [K in keyof IdlePolicy]-?: NonNullable<IdlePolicy[K]> };

const idleChecks: OptionChecks<IdlePolicy> = {
  idleTimeoutMs: positiveMs,
  maxLoaded: positiveInteger,
  maxServerRssBytes: aNumber('a positive number of bytes', (value) => value > 0),
  keepForeign: aBoolean,
};

/**
 * Checks an idle policy and fills in its defaults; `undefined` when it is switched off.
 *
 * @throws {TypeError} {@link RangeError} for an invalid one.
 */
export function parseIdlePolicy(policy: IdlePolicy | false | undefined): ParsedIdlePolicy | undefined {
  const given = policyOf('idle', idleChecks, policy);
  if (given === undefined) return undefined;
  const {
    idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS,
    maxLoaded = DEFAULT_MAX_LOADED,
    maxServerRssBytes = Number.POSITIVE_INFINITY,
    keepForeign = false,
  } = given;
  return { idleTimeoutMs, maxLoaded, maxServerRssBytes, keepForeign };
}

/** The idle clock: one timer for all instances, set to the earliest deadline, or to the next look at what keeps them. */
export class IdleClock {
  readonly #registry: RepoRegistry;
  readonly #clock: Clock;
  readonly #policy: ParsedIdlePolicy;
  readonly #init: IdleClockInit;
  /** Disposals that failed, and when they are tried again. */
  readonly #failed = new Map<RepoEntry, { readonly retryAt: number; readonly delayMs: number }>();
  /** Disposals that this clock has begun. */
  readonly #running = new Set<RepoEntry>();
  #sampleAt = 0;
  #timer: Timer | undefined;
  /** Whether the timer is set for an idle instance, and not only for a look at the others. */
  #awaitsIdle = false;
  #stopped = false;

  constructor(registry: RepoRegistry, policy: ParsedIdlePolicy, init: IdleClockInit) {
    this.#registry = registry;
    this.#clock = registry.clock;
    this.#policy = policy;
    this.#init = init;
  }

  /** When the entry will be disposed if nothing uses it; `undefined` while something keeps it or it is not loaded. */
  deadline(entry: RepoEntry): number | undefined {
    if (!entry.loaded || entry.isDisposing || entry.lastUsedAt === undefined) return undefined;
    if (entry.holds().length > 0 || this.#isKept(entry)) return undefined;
    return Math.max(
      entry.lastUsedAt + this.#policy.idleTimeoutMs,
      this.#failed.get(entry)?.retryAt ?? Number.NEGATIVE_INFINITY,
    );
  }

  /** The last hold of an entry is gone: its idle time begins. */
  released(entry: RepoEntry): void {
    this.#failed.delete(entry);
    if (!this.#awaitsIdle || this.#registry.stayingCount > this.#policy.maxLoaded) this.check();
  }

  /** Looks at all that changed: disposes what is over the cap or due, and sets the timer for the rest. */
  check(): void {
    if (this.#stopped) return;
    const now = this.#clock.now();
    const isOpen = !this.#registry.isGateClosed;
    const lookAt = isOpen ? this.#init.look?.(now) : undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#awaitsIdle = false;
    // When the gate opens again, this is called again.
    if (!isOpen) return;
    // One that is about to be disposed already counts as gone.
    const leaving = [...this.#running].filter((entry) => entry.loaded && !entry.isDisposing).length;
    let excess = this.#registry.stayingCount - leaving - this.#policy.maxLoaded;
    if (excess <= 0 && this.#isOverMemory(now)) excess = 1;
    let next = Number.POSITIVE_INFINITY;
    const due: [RepoEntry, 'idle' | 'cap'][] = [];
    for (const entry of this.#registry.idleEntries()) {
      if (entry.isDisposing || this.#running.has(entry) || this.#isKept(entry)) continue;
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
        // Those behind it were used later; only one that failed may be due out of turn.
        if (retryAt <= now && excess <= 0) break;
      }
    }
    this.#awaitsIdle = next < Number.POSITIVE_INFINITY;
    if (this.#awaitsIdle && this.#isSampling) next = Math.min(next, this.#sampleAt);
    const wakeAt = Math.min(next, lookAt ?? next);
    if (wakeAt < Number.POSITIVE_INFINITY) {
      this.#timer = this.#clock.after(Math.min(wakeAt - now, MAX_TIMER_MS), () => this.check());
    }
    for (const [entry, reason] of due) this.#start(entry, reason);
  }

  /** What failed is tried again now: the server can be watched again. */
  retry(): void {
    this.#failed.clear();
    this.check();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #isKept(entry: RepoEntry): boolean {
    return this.#policy.keepForeign && entry.foreign.isSeen;
  }

  /** One disposal at a time: what it gives back shows only afterwards. */
  get #isSampling(): boolean {
    return this.#policy.maxServerRssBytes < Number.POSITIVE_INFINITY && this.#running.size === 0;
  }

  #isOverMemory(now: number): boolean {
    if (!this.#isSampling || now < this.#sampleAt || this.#registry.idleEntries().size === 0) return false;
    this.#sampleAt = now + SAMPLE_MS;
    return (this.#init.serverRssBytes?.() ?? 0) > this.#policy.maxServerRssBytes;
  }

  #start(entry: RepoEntry, reason: 'idle' | 'cap'): void {
    if (this.#running.has(entry)) return;
    this.#running.add(entry);
    void this.#init.dispose(entry, reason).then((outcome) => {
      this.#running.delete(entry);
      if (outcome === 'failed') {
        const delayMs = Math.min(
          MAX_RETRY_MS,
          2 * (this.#failed.get(entry)?.delayMs ?? Math.min(RETRY_MS, this.#policy.idleTimeoutMs) / 2),
        );
        this.#failed.set(entry, { retryAt: this.#clock.now() + delayMs, delayMs });
      } else this.#failed.delete(entry);
      this.#sampleAt = 0;
      this.check();
    });
  }
}
