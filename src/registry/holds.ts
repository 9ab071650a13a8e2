import type { Hold, HoldKind } from '../core/instance.js';

/** The holds of one instance. */
export class HoldSet {
  readonly #holds = new Set<Hold>();
  readonly #onChange: (isHeld: boolean) => void;
  readonly #onEnd: () => void;

  /**
   * @param onChange - called with `true` when the first hold begins and with `false` when the last one ends.
   * @param onEnd - called when any hold ends.
   */
  constructor(onChange: (isHeld: boolean) => void, onEnd: () => void) {
    this.#onChange = onChange;
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#holds.size;
  }

  /** Adds a hold; the returned function ends it, once. */
  add(hold: Hold): () => void {
    this.#holds.add(hold);
    if (this.#holds.size === 1) this.#onChange(true);
    return () => {
      if (!this.#holds.delete(hold)) return;
      if (this.#holds.size === 0) this.#onChange(false);
      this.#onEnd();
    };
  }

  list(): Hold[] {
    return [...this.#holds];
  }

  /** Whether there is a hold of one of these kinds. */
  hasAny(kinds: ReadonlySet<HoldKind>): boolean {
    for (const { kind } of this.#holds) if (kinds.has(kind)) return true;
    return false;
  }
}
