import { backoffMs } from '../../../core/backoff.js';
import { RECHECK_MS } from '../result/verdict.js';

/**
 * How long to wait without an event of the session before asking the server. A lost event delays the end of a turn by
 * no more.
 */
const QUIET_MS = 5_000;
/** How long to wait for the end of a turn whose prompt was accepted before asking the server the first time. */
const FIRST_LOOK_MS = 1_000;
/** The longest pause between two tries to reach the server. */
const MAX_RETRY_PAUSE_MS = 2_000;

/** What the last look at a turn showed. */
export type TurnLook =
  /** The server has accepted the prompt and was not asked yet. */
  | { readonly kind: 'accepted' }
  /** The session is idle, and the server has not stored the end of the turn yet. */
  | { readonly kind: 'undecided' }
  /** The turn was aborted and is still at work. */
  | { readonly kind: 'aborting' }
  /** The turn is at work. */
  | {
      readonly kind: 'at-work';
      readonly stallTimeoutMs: number | false;
      /** Milliseconds since the turn made progress. */
      readonly idleMs: number;
    }
  /** The server did not answer, for the `failures`th time in a row. */
  | { readonly kind: 'unanswered'; readonly failures: number };

/**
 * How many milliseconds to wait for an event before asking the server again.
 *
 * @param random - the jitter of {@link backoffMs}, a number from 0 to 1.
 */
export function nextWait(look: TurnLook, random?: () => number): number {
  switch (look.kind) {
    case 'accepted':
      return FIRST_LOOK_MS;
    case 'undecided':
    case 'aborting':
      return RECHECK_MS;
    case 'at-work': {
      const leftMs = look.stallTimeoutMs === false ? QUIET_MS : look.stallTimeoutMs - look.idleMs;
      return Math.max(1, Math.min(QUIET_MS, leftMs));
    }
    case 'unanswered':
      return backoffMs(look.failures - 1, { minMs: RECHECK_MS, maxMs: MAX_RETRY_PAUSE_MS }, random);
  }
}
