import { backoffMs } from '../../core/backoff.js';
import { policyOf, positiveInteger, someMs, type OptionChecks } from '../../core/checks.js';

/** How often a server that ended by itself is started again. */
export interface RestartPolicy {
  /** How many starts there may be within `windowMs`; after them the server counts as failed for good. @default 5 */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds after which an attempt no longer counts. @default 600_000 */
  readonly windowMs?: number | undefined;
  /** Milliseconds before the first attempt; each further one within the window waits twice as long. @default 250 */
  readonly minDelayMs?: number | undefined;
  /** The longest of these waits, in milliseconds. @default 30_000 */
  readonly maxDelayMs?: number | undefined;
}

export type ParsedRestartPolicy = { readonly [K in keyof RestartPolicy]-?: number };

const DEFAULT_MAX_ATTEMPTS = 5;
/** Long enough for five starts that each take the whole default `startTimeoutMs`. */
const DEFAULT_WINDOW_MS = 600_000;
const DEFAULT_MIN_DELAY_MS = 250;
const DEFAULT_MAX_DELAY_MS = 30_000;

const restartChecks: OptionChecks<RestartPolicy> = {
  maxAttempts: positiveInteger,
  windowMs: someMs,
  minDelayMs: someMs,
  maxDelayMs: someMs,
};

/**
 * Checks a restart policy and fills in its defaults; `undefined` when it is switched off.
 *
 * @throws {TypeError} {@link RangeError} for an invalid one.
 */
export function parseRestartPolicy(
  policy: RestartPolicy | false | undefined,
): ParsedRestartPolicy | undefined {
  const given = policyOf('restart', restartChecks, policy);
  if (given === undefined) return undefined;
  const {
    maxAttempts = DEFAULT_MAX_ATTEMPTS,
    windowMs = DEFAULT_WINDOW_MS,
    minDelayMs = DEFAULT_MIN_DELAY_MS,
  } = given;
  const { maxDelayMs = Math.max(DEFAULT_MAX_DELAY_MS, minDelayMs) } = given;
  if (maxDelayMs < minDelayMs) {
    throw new RangeError(
      `Expected restart.maxDelayMs to be at least minDelayMs (${minDelayMs}), got ${maxDelayMs}.`,
    );
  }
  return { maxAttempts, windowMs, minDelayMs, maxDelayMs };
}

/** Counts the attempts to start a server again: the wait before each, and the circuit breaker that ends them. */
export class RestartBudget {
  readonly #policy: ParsedRestartPolicy;
  readonly #now: () => number;
  #attempts: number[] = [];

  /** @param now - milliseconds on any clock. */
  constructor(policy: ParsedRestartPolicy, now: () => number = () => performance.now()) {
    this.#policy = policy;
    this.#now = now;
  }

  /** Takes one attempt: how long to wait before it, in milliseconds; `undefined` when there is none left. */
  take(): number | undefined {
    const { maxAttempts, windowMs, minDelayMs, maxDelayMs } = this.#policy;
    const now = this.#now();
    this.#attempts = this.#attempts.filter((at) => now - at < windowMs);
    const taken = this.#attempts.length;
    if (taken >= maxAttempts) return undefined;
    this.#attempts.push(now);
    return backoffMs(taken, { minMs: minDelayMs, maxMs: maxDelayMs });
  }
}
