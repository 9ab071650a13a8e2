import type { Hold } from '../instance.js';

/** The holds of one instance. */
export class HoldSet {
  readonly #holds = new Set<Hold>();
  readonly #onEmpty: () => void;

  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#holds.size;
  }

  /** Adds a hold; the returned function ends it, once. */
  add(hold: Hold): () => void {
    this.#holds.add(hold);
    return () => {
      if (this.#holds.delete(hold) && this.#holds.size === 0) this.#onEmpty();
    };
  }

  list(): Hold[] {
    return [...this.#holds];
  }
}
