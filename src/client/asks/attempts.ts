import { delay } from '../../core/abort.js';
import { backoffMs } from '../../core/backoff.js';
import { isPermanent } from '../../errors.js';
import type { RequestOptions } from '../http/request-options.js';

/** Limits of one request that no caller waits for. */
export const OWN_REQUEST: RequestOptions = { timeoutMs: 10_000 };
/** How often such work is tried, and the pauses between the attempts. */
const MAX_ATTEMPTS = 5;
const PAUSE = { minMs: 200, maxMs: 1_600 };

export interface AttemptsInit {
  /** Aborts when the work is not needed any more. */
  readonly signal: AbortSignal;
  /** Called with the error of each attempt that fails. */
  readonly onFailure: (error: unknown) => void;
  /** The jitter of the pauses, from 0 to 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/**
 * Runs `work` until it succeeds, five times at most. An error that another attempt cannot mend ends it at once. Never rejects.
 *
 * @returns whether it succeeded; `false` too when `signal` aborts first.
 */
export async function attemptRepeatedly(
  work: () => Promise<unknown>,
  { signal, onFailure, random }: AttemptsInit,
): Promise<boolean> {
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      await work();
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      onFailure(error);
      // A `TypeError` is an argument that was refused before anything was sent.
      if (attempt === MAX_ATTEMPTS || isPermanent(error) || error instanceof TypeError) return false;
      await delay(backoffMs(attempt - 1, PAUSE, random), signal).catch(() => undefined);
    }
  }
  return false;
}
