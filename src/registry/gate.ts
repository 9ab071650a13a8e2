import { deferred } from '../core/abort.js';

/** Where callers wait while it is closed. */
export class Gate {
  readonly #onOpen: () => void;
  #closed: Promise<void> | undefined;

  constructor(onOpen: () => void) {
    this.#onOpen = onOpen;
  }

  /** Resolves when it is opened again; `undefined` while it is open. */
  get closed(): Promise<void> | undefined {
    return this.#closed;
  }

  /** Closes it until the returned function is called. */
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
