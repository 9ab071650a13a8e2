import { deferred, type Deferred } from '../../../core/abort.js';
import type { TurnStep } from './turn-step.js';

/**
 * Buffers the steps that nobody has read yet. It joins the deltas of one part and keeps only the newest step of a
 * running tool, so it never holds more than the answer itself.
 */
export class StepBuffer {
  #steps: TurnStep[] = [];
  #waiting: Deferred<void> | undefined;

  /** Adds a step and wakes the reader that waits for one. */
  push(step: TurnStep): void {
    const last = this.#steps.at(-1);
    const merged = last && merge(last, step);
    if (merged === undefined) this.#steps.push(step);
    else this.#steps[this.#steps.length - 1] = merged;
    this.wake();
  }

  /** Removes the oldest step; `undefined` when there is none. */
  take(): TurnStep | undefined {
    return this.#steps.shift();
  }

  /** Resolves at the next {@link push} or {@link wake}. */
  next(): Promise<void> {
    this.#waiting ??= deferred();
    return this.#waiting.promise;
  }

  /** Resolves what {@link next} returned. */
  wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}

/** Merges two steps into one; `undefined` when both are needed. */
function merge(last: TurnStep, step: TurnStep): TurnStep | undefined {
  switch (step.type) {
    case 'text':
    case 'reasoning':
      if (last.type !== step.type || last.partID !== step.partID) return undefined;
      return { ...step, delta: last.delta + step.delta };
    case 'tool':
      if (last.type !== 'tool' || last.callID !== step.callID || last.status !== step.status)
        return undefined;
      return step;
    default:
      return undefined;
  }
}
