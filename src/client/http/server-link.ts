import { abortable, AbortScope, deferred, delay, type Deferred } from '../../core/abort.js';
import type { ServerLostError } from '../../errors.js';

/** How long to wait for the report that the process ended: its connections break some ms before. */
const END_TOLD_MS = 1_000;

/**
 * Knows whether there is a server to send to. When the server ends, requests under way on it are cut off, and new ones
 * wait until the next server is ready.
 */
export class ServerLink {
  readonly #isWatched: boolean;
  readonly #wake: () => Promise<void> | undefined;
  readonly #listeners = new Set<(error: ServerLostError) => void>();
  #lost = new AbortController();
  /** Resolves when the next server is ready; `undefined` while there is one. */
  #next: Deferred<void> | undefined;

  /**
   * @param isWatched - whether somebody reports the end of the server. Nobody does for a server that somebody else
   *   runs.
   * @param wake - starts a server that sleeps; resolves when it is ready. `undefined` when there is nothing to start.
   */
  constructor(isWatched: boolean, wake: () => Promise<void> | undefined = () => undefined) {
    this.#isWatched = isWatched;
    this.#wake = wake;
  }

  /** Aborts with the error when the current server is lost. Each server has a signal of its own. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get isReady(): boolean {
    return this.#next === undefined;
  }

  /**
   * Waits for a server to send a request to, and has one that sleeps started.
   *
   * @throws what the start fails with, and the reason of `signal` when that aborts first.
   */
  async untilUp(signal: AbortSignal): Promise<void> {
    while (this.#next !== undefined) {
      const { promise } = this.#next;
      const woken = this.#wake();
      await abortable(woken === undefined ? promise : Promise.race([promise, woken]), signal);
    }
  }

  /** Waits for a server and starts none; rejects with the reason of `signal` when that aborts first. */
  async whenReady(signal: AbortSignal): Promise<void> {
    while (this.#next !== undefined) await abortable(this.#next.promise, signal);
  }

  /** Calls the listener whenever a server is lost. */
  onLost(listener: (error: ServerLostError) => void): void {
    this.#listeners.add(listener);
  }

  /** Records that the server has ended, and tells the listeners. */
  markLost(error: ServerLostError): void {
    if (this.#next !== undefined) return;
    this.#next = deferred();
    this.#lost.abort(error);
    for (const listener of this.#listeners) listener(error);
  }

  /** Records that the next server is ready. */
  markReady(): void {
    if (this.#next === undefined) return;
    this.#lost = new AbortController();
    this.#next.resolve();
    this.#next = undefined;
  }

  /**
   * Whether a connection broke because its server ended. `lost` is the signal of that server. Waits up to 1 s for the
   * report.
   */
  async hasEnded(lost: AbortSignal, signal: AbortSignal): Promise<boolean> {
    if (lost.aborted || !this.#isWatched) return lost.aborted;
    const limit = new AbortScope([lost, signal]);
    await delay(END_TOLD_MS, limit.signal).catch(() => undefined);
    limit.end();
    return lost.aborted;
  }
}
