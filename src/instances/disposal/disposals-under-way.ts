import { abortable } from '../../core/abort.js';

/** What a disposal did. */
export interface Disposal {
  /** `false` when nothing was loaded. */
  readonly disposed: boolean;
  /** The sessions whose work was aborted. */
  readonly aborted: readonly string[];
}

/** The disposals of one server that have not ended. While all instances are disposed, or the server restarts, there is no other. */
export class DisposalsUnderWay {
  readonly #byDirectory = new Map<string, Promise<Disposal>>();
  /** Resolves when the disposal of all instances has ended. */
  #ofAll: Promise<void> | undefined;

  /** The disposal of one instance; `undefined` when none is under way. */
  of(directory: string): Promise<Disposal> | undefined {
    return this.#byDirectory.get(directory);
  }

  add(directory: string, disposal: Promise<Disposal>): void {
    this.#byDirectory.set(directory, disposal);
    const forget = (): void => void this.#byDirectory.delete(directory);
    disposal.then(forget, forget);
  }

  /** Adds a disposal of all instances, or a restart of the server. */
  addOfAll(disposal: Promise<unknown>): void {
    const forget = (): void => {
      this.#ofAll = undefined;
    };
    this.#ofAll = disposal.then(forget, forget);
  }

  /**
   * Calls `begin` as soon as no disposal of all instances is under way, at once if possible.
   *
   * @throws the reason of `signal` when that aborts first.
   */
  async whenNoneOfAll<T>(signal: AbortSignal | undefined, begin: () => T | Promise<T>): Promise<T> {
    while (this.#ofAll !== undefined) await abortable(this.#ofAll, signal);
    return begin();
  }

  /**
   * Calls `begin` as soon as no disposal is under way, at once if possible.
   *
   * @throws the reason of `signal` when that aborts first.
   */
  async whenNone<T>(signal: AbortSignal | undefined, begin: () => T | Promise<T>): Promise<T> {
    // While some end, others may begin.
    while (this.#ofAll !== undefined || this.#byDirectory.size > 0)
      await abortable(Promise.allSettled([this.#ofAll, ...this.#byDirectory.values()]), signal);
    return begin();
  }
}
