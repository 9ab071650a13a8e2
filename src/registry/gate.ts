import { deferred } from '../core/abort.js';

/** A gate: callers wait at it while it is closed. */
export class Gate {
  readonly #onOpen: () => void;
  #closed: Promise<void> | undefined;

  constructor(onOpen: () => void) {
    this.#onOpen = onOpen;
  }

  /** Resolves when the gate opens again; `undefined` while it is open. */
  get closed(): Promise<void> | undefined {
    return this.#closed;
  }

  /** Closes the gate until the caller calls the returned function. */
  close(): () => void {
    const { promise, resolve } = deferred();
    this.#closed = promise;
    return () => {
      this.#closed = undefined;
      resolve();
      this.#onOpen();
    };
  }
}
