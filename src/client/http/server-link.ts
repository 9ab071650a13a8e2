import { abortable, AbortScope, deferred, delay, type Deferred } from '../../core/abort.js';
import type { ServerLostError } from '../../errors.js';

/** A connection breaks some ms before the end of the process is told. */
const END_TOLD_MS = 1_000;

/**
 * Which server there is now. A server that ended is replaced by another one: until then nothing can be sent, and what was under way
 * on the old one is cut off.
 */
export class ServerLink {
  readonly #isWatched: boolean;
  readonly #listeners = new Set<(error: ServerLostError) => void>();
  #lost = new AbortController();
  /** Resolves when the next server is there. */
  #next: Deferred<void> | undefined;

  /** @param isWatched - whether its end is told: that of a server which somebody else runs is not. */
  constructor(isWatched: boolean) {
    this.#isWatched = isWatched;
  }

  /** Aborts, with the error, when the server there is now is lost; another one for each server. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get isReady(): boolean {
    return this.#next === undefined;
  }

  /** Waits for a server; rejects with the reason of `signal` when that aborts first. */
  async whenReady(signal: AbortSignal): Promise<void> {
    while (this.#next !== undefined) await abortable(this.#next.promise, signal);
  }

  /** Calls the listener whenever a server is lost. */
  onLost(listener: (error: ServerLostError) => void): void {
    this.#listeners.add(listener);
  }

  /** The server has ended. */
  markLost(error: ServerLostError): void {
    if (this.#next !== undefined) return;
    this.#next = deferred();
    this.#lost.abort(error);
    for (const listener of this.#listeners) listener(error);
  }

  /** There is another one. */
  markReady(): void {
    if (this.#next === undefined) return;
    this.#lost = new AbortController();
    this.#next.resolve();
    this.#next = undefined;
  }

  /** Whether a connection broke because its server has ended, `lost` being of that one. */
  async hasEnded(lost: AbortSignal, signal: AbortSignal): Promise<boolean> {
    if (lost.aborted || !this.#isWatched) return lost.aborted;
    const limit = new AbortScope([lost, signal]);
    await delay(END_TOLD_MS, limit.signal).catch(() => undefined);
    limit.end();
    return lost.aborted;
  }
}
