import { deferred, type Deferred } from '../../core/abort.js';
import type { TurnStep } from './turn-step.js';

/**
 * Steps that nobody has read yet. It joins the deltas of one part, and keeps of a running tool only the newest step, so it never
 * holds more than the answer itself.
 */
export class StepBuffer {
  #steps: TurnStep[] = [];
  #waiting: Deferred<void> | undefined;

  /** Adds a step and wakes who waits for one. */
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

/** One step in the place of two; `undefined` when both are needed. */
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
