import { resolvesWithin } from '../../core/abort.js';
import { realTime } from '../../core/real-time.js';
import type { EndableInstance } from './disposable.js';

/** How many milliseconds aborted work may take to end before its instance is disposed all the same. */
const ABORT_LIMIT_MS = 10_000;
/** After how many milliseconds an abort is repeated: one that comes too early has no effect. */
const ABORT_AGAIN_MS = 1_000;
/** How many milliseconds requests under way may take when their instance is disposed by force. */
const DRAIN_LIMIT_MS = 2_000;

/** How a forced disposal talks to the server. */
export interface ForcedDisposalInit {
  /** Reads what the server does in a directory and makes it the holds of the instance. */
  readonly confirm: (directory: string, signal: AbortSignal) => Promise<void>;
  /** Aborts the work of a session of the directory. */
  readonly abort: (directory: string, sessionID: string, signal: AbortSignal) => Promise<void>;
}

/** Ends what holds an instance, instead of keeping the instance for it. New turns wait until `end()`. */
export class ForcedDisposal {
  readonly #instance: EndableInstance;
  readonly #init: ForcedDisposalInit;
  readonly #openTurnGate: () => void;

  constructor(instance: EndableInstance, init: ForcedDisposalInit) {
    this.#instance = instance;
    this.#init = init;
    this.#openTurnGate = instance.closeTurnGate();
  }

  /** Aborts every session at work, again if need be, and returns which they were. */
  async abortWork(signal: AbortSignal): Promise<string[]> {
    const { confirm, abort } = this.#init;
    const { directory } = this.#instance;
    const aborted = new Set<string>();
    const giveUpAt = realTime.now() + ABORT_LIMIT_MS;
    do {
      // An instance that cannot be read is disposed too.
      await confirm(directory, signal).catch(() => signal.throwIfAborted());
      const sessionIDs = this.#instance.activityIDs('session-busy');
      for (const sessionID of sessionIDs) aborted.add(sessionID);
      await Promise.allSettled(sessionIDs.map((id) => abort(directory, id, signal)));
      if (await resolvesWithin(ABORT_AGAIN_MS, this.#instance.turnsEnded(), signal)) break;
    } while (realTime.now() < giveUpAt);
    return [...aborted];
  }

  /** Waits, behind the closed gate and for 2 s at most, until no request is under way. */
  async drain(signal: AbortSignal): Promise<void> {
    await resolvesWithin(DRAIN_LIMIT_MS, this.#instance.drained(), signal);
  }

  /** Lets new turns through. */
  end(): void {
    this.#openTurnGate();
  }
}
