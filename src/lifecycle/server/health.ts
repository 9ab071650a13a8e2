import { abortable } from '../../core/abort.js';
import { systemClock, type Clock, type Timer } from '../../core/clock.js';
import { policyOf, positiveInteger, positiveMs, type OptionChecks } from '../../core/checks.js';
import { TimeoutError } from '../../errors.js';
import type { Probe } from './launch/ready.js';

/** How a server that hangs is distinguished from a busy one. */
export interface HealthPolicy {
  /** Milliseconds between two probes (`GET /global/health`). @default 10_000 */
  readonly intervalMs?: number | undefined;
  /** Milliseconds a probe may take. @default 10_000 */
  readonly timeoutMs?: number | undefined;
  /**
   * After how many failures in a row a server of ours counts as hung. The first one makes a server `unhealthy`; of one that somebody else
   * runs nothing follows from more.
   *
   * @default 3
   */
  readonly failures?: number | undefined;
}

export type ParsedHealthPolicy = { readonly [K in keyof HealthPolicy]-?: number };

const DEFAULT_INTERVAL_MS = 10_000;
/** OpenCode 1.18.33 can be silent for some seconds: it takes 12 s to read a prompt of 60 MB. */
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_FAILURES = 3;

/** A probe that takes this much longer than its time limit says nothing of the server: this process or the machine slept. */
const LATE_MS = 1_000;

const healthChecks: OptionChecks<HealthPolicy> = {
  intervalMs: positiveMs,
  timeoutMs: positiveMs,
  failures: positiveInteger,
};

/**
 * Checks a health policy and fills in its defaults; `undefined` when it is switched off.
 *
 * @throws {TypeError} {@link RangeError} for an invalid one.
 */
export function parseHealthPolicy(policy: HealthPolicy | false | undefined): ParsedHealthPolicy | undefined {
  const given = policyOf('health', healthChecks, policy);
  if (given === undefined) return undefined;
  const {
    intervalMs = DEFAULT_INTERVAL_MS,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    failures = DEFAULT_FAILURES,
  } = given;
  return { intervalMs, timeoutMs, failures };
}

/** What a {@link HealthMonitor} probes, and its callbacks. */
export interface HealthMonitorInit {
  readonly policy: ParsedHealthPolicy;
  readonly probe: Probe;
  readonly clock?: Clock | undefined;
  /** Called at the first failure after activity. */
  readonly unhealthy: () => void;
  /** Called at activity after a failure. */
  readonly healthy: () => void;
  /** Called when as many probes in a row have failed as the policy says; nothing is probed then. @default probing goes on */
  readonly hung?: (() => void) | undefined;
}

/**
 * Probes one server as long as it shows no other activity, and reports when it hangs. Its timer does not keep the process alive.
 * It sends one probe at a time, so a machine that slept has missed one at most, which does not count.
 */
export class HealthMonitor {
  readonly #init: HealthMonitorInit;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  readonly #over = new AbortController();
  #wasActive = false;
  #failures = 0;

  constructor(init: HealthMonitorInit) {
    this.#init = init;
    this.#clock = init.clock ?? systemClock;
    this.#schedule();
  }

  /** Notes that the server has answered something or sent an event: it does not hang. */
  recordActivity(): void {
    this.#wasActive = true;
    if (this.#failures === 0 || this.#over.signal.aborted) return;
    this.#failures = 0;
    this.#init.healthy();
  }

  stop(): void {
    this.#over.abort();
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer = this.#clock.after(this.#init.policy.intervalMs, () => void this.#check());
  }

  /** Never rejects. */
  async #check(): Promise<void> {
    if (!this.#wasActive) {
      const outcome = await this.#probe();
      if (this.#over.signal.aborted) return;
      if (outcome === 'healthy') this.recordActivity();
      else if (outcome === 'failed') this.#failed();
    }
    this.#wasActive = false;
    if (!this.#over.signal.aborted) this.#schedule();
  }

  async #probe(): Promise<'healthy' | 'failed' | 'unknown'> {
    const { policy, probe } = this.#init;
    const askedAt = this.#clock.now();
    const limit = new AbortController();
    const timer = this.#clock.after(policy.timeoutMs, () =>
      limit.abort(new TimeoutError('GET /global/health', { phase: 'request', timeoutMs: policy.timeoutMs })),
    );
    const cancel = (): void => limit.abort();
    this.#over.signal.addEventListener('abort', cancel, { once: true });
    try {
      const { healthy } = await abortable(probe(limit.signal, false), limit.signal);
      if (healthy) return 'healthy';
    } catch {
      // The reason makes no difference.
    } finally {
      timer.cancel();
      this.#over.signal.removeEventListener('abort', cancel);
    }
    if (this.#wasActive) return 'healthy';
    return this.#clock.now() - askedAt > policy.timeoutMs + LATE_MS ? 'unknown' : 'failed';
  }

  #failed(): void {
    this.#failures += 1;
    if (this.#failures === 1) this.#init.unhealthy();
    const { policy, hung } = this.#init;
    if (hung === undefined || this.#failures < policy.failures) return;
    this.stop();
    hung();
  }
}
