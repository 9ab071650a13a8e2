import type { Hold } from '../core/instance.js';

/** The holds of one instance. */
export class HoldSet {
  readonly #holds = new Set<Hold>();
  readonly #onChange: (isHeld: boolean) => void;

  /** @param onChange - called with `true` when the first hold begins and with `false` when the last one ends. */
  constructor(onChange: (isHeld: boolean) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#holds.size;
  }

  /** Adds a hold; the returned function ends it, once. */
  add(hold: Hold): () => void {
    this.#holds.add(hold);
    if (this.#holds.size === 1) this.#onChange(true);
    return () => {
      if (this.#holds.delete(hold) && this.#holds.size === 0) this.#onChange(false);
    };
  }

  list(): Hold[] {
    return [...this.#holds];
  }
}
