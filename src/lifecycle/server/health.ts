import { abortable } from '../../core/abort.js';
import { systemClock, type Clock, type Timer } from '../../core/clock.js';
import { policyOf, positiveInteger, positiveMs, type OptionChecks } from '../../core/checks.js';
import { TimeoutError } from '../../errors.js';
import type { Probe } from './ready.js';

/** How a server that hangs is told from one that is busy. */
export interface HealthPolicy {
  /** Milliseconds between two questions (`GET /global/health`). @default 10_000 */
  readonly intervalMs?: number | undefined;
  /** Milliseconds the answer may take. @default 10_000 */
  readonly timeoutMs?: number | undefined;
  /** After how many failures in a row the server counts as hung. The first one makes it `unhealthy`. @default 3 */
  readonly failures?: number | undefined;
}

export type ParsedHealthPolicy = { readonly [K in keyof HealthPolicy]-?: number };

const DEFAULT_INTERVAL_MS = 10_000;
/** OpenCode 1.18.33 can be silent for some seconds: it takes 12 s to take in a prompt of 60 MB. */
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_FAILURES = 3;

/** An answer that is missing this much later than its time limit was missed by this process: it or the machine slept. */
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

/** What a {@link HealthMonitor} asks, and whom it tells. */
export interface HealthMonitorInit {
  readonly policy: ParsedHealthPolicy;
  readonly probe: Probe;
  readonly clock?: Clock | undefined;
  /** The first failure after a sign of life. */
  readonly unhealthy: () => void;
  /** A sign of life after a failure. */
  readonly healthy: () => void;
  /** The last of the failures in a row that the policy allows. */
  readonly hung: () => void;
}

/**
 * Asks one server for its health as long as it gives no other sign of life, and tells when it hangs. Its timer does not keep the
 * process alive. One question at a time, so a machine that slept has missed one at most, and that one does not count.
 */
export class HealthMonitor {
  readonly #init: HealthMonitorInit;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  readonly #over = new AbortController();
  #hasSign = false;
  #failures = 0;

  constructor(init: HealthMonitorInit) {
    this.#init = init;
    this.#clock = init.clock ?? systemClock;
    this.#schedule();
  }

  /** The server has answered something or sent an event: whatever it is busy with, it does not hang. */
  sign(): void {
    this.#hasSign = true;
    if (this.#failures === 0 || this.#over.signal.aborted) return;
    this.#failures = 0;
    this.#init.healthy();
  }

  stop(): void {
    this.#over.abort();
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer = this.#clock.after(this.#init.policy.intervalMs, () => void this.#look());
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    if (!this.#hasSign) {
      const outcome = await this.#ask();
      if (this.#over.signal.aborted) return;
      if (outcome === 'healthy') this.sign();
      else if (outcome === 'failed') this.#failed();
    }
    this.#hasSign = false;
    if (!this.#over.signal.aborted) this.#schedule();
  }

  async #ask(): Promise<'healthy' | 'failed' | 'unknown'> {
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
      // Why it did not answer makes no difference.
    } finally {
      timer.cancel();
      this.#over.signal.removeEventListener('abort', cancel);
    }
    if (this.#hasSign) return 'healthy';
    return this.#clock.now() - askedAt > policy.timeoutMs + LATE_MS ? 'unknown' : 'failed';
  }

  #failed(): void {
    this.#failures += 1;
    if (this.#failures === 1) this.#init.unhealthy();
    if (this.#failures < this.#init.policy.failures) return;
    this.stop();
    this.#init.hung();
  }
}
