import { abortable, deferred, type Deferred } from '../../../core/abort.js';
import { endAtOnce } from './end-at-once.js';
import type { AskType, TurnStepOf } from './turn-step.js';

/** How much is kept for late readers, in characters of text, tool inputs and tool outputs. */
const MAX_CHARACTERS = 64 * 1024 * 1024;
/** What a step counts at least. */
const MIN_STEP_CHARACTERS = 200;
/** A delta joins the one before it up to this length. */
const MAX_DELTA_CHARACTERS = 1024 * 1024;

/** A step and its length, which is measured once: the input of a tool may be long. */
interface Entry<Ask extends AskType> {
  step: TurnStepOf<Ask>;
  characters: number;
}

/**
 * Keeps the steps of one turn for any number of readers. Each reader gets every step from the beginning. The log joins the deltas of
 * one part and keeps only the newest step of a running tool; beyond 64 Mi characters it drops the oldest steps.
 */
export class StepLog<Ask extends AskType> {
  readonly #entries: Entry<Ask>[] = [];
  /** How many steps were dropped in front. */
  #dropped = 0;
  #characters = 0;
  #end: { readonly error?: unknown } | undefined;
  #changed: Deferred<void> | undefined;

  /** Adds a step. */
  push(step: TurnStepOf<Ask>): void {
    const last = this.#entries.at(-1);
    const merged = last && merge(last.step, step);
    const added = { step: merged ?? step, characters: charactersOf(merged ?? step) };
    this.#characters += added.characters;
    if (last !== undefined && merged !== undefined) {
      this.#characters -= last.characters;
      Object.assign(last, added);
    } else {
      this.#entries.push(added);
    }
    while (this.#characters > MAX_CHARACTERS && this.#entries.length > 1) this.#drop();
    this.#notify();
  }

  /** Ends the log: readers that have read everything return, or throw `error` where it is given. */
  end(outcome: { readonly error?: unknown }): void {
    this.#end ??= outcome;
    this.#notify();
  }

  /** Reads every step from the beginning, until the log ends or `signal` aborts. */
  read(signal?: AbortSignal): AsyncGenerator<TurnStepOf<Ask>, void, undefined> {
    const ended = new AbortController();
    return endAtOnce(this.#read(ended.signal, signal), () => ended.abort());
  }

  async *#read(ended: AbortSignal, signal?: AbortSignal): AsyncGenerator<TurnStepOf<Ask>, void, undefined> {
    let index = 0;
    let entry: Entry<Ask> | undefined;
    /** The step of `entry` as it was given last; it may have grown since. */
    let given: TurnStepOf<Ask> | undefined;
    while (!ended.aborted && signal?.aborted !== true) {
      if (index < this.#dropped) {
        // What the reader was given whole is not missing.
        if (given !== undefined && given === entry?.step) index += 1;
        const count = this.#dropped - index;
        index = this.#dropped;
        given = undefined;
        if (count > 0) {
          yield { type: 'dropped', count };
          continue;
        }
      }
      entry = this.#entries[index - this.#dropped];
      const step = entry?.step;
      const fresh = step && freshPart(step, given);
      if (fresh !== undefined) {
        given = step;
        yield fresh;
      } else if (index - this.#dropped < this.#entries.length - 1) {
        index += 1;
        given = undefined;
      } else if (this.#end !== undefined) {
        if ('error' in this.#end) throw this.#end.error;
        return;
      } else {
        this.#changed ??= deferred();
        await abortable(abortable(this.#changed.promise, signal), ended).catch(() => undefined);
      }
    }
  }

  #drop(): void {
    const oldest = this.#entries.shift();
    if (oldest === undefined) return;
    this.#dropped += 1;
    this.#characters -= oldest.characters;
  }

  #notify(): void {
    this.#changed?.resolve();
    this.#changed = undefined;
  }
}

/** What a reader has not got of a step that it was given as `given` before; `undefined` when it has all of it. */
function freshPart<Ask extends AskType>(
  step: TurnStepOf<Ask>,
  given: TurnStepOf<Ask> | undefined,
): TurnStepOf<Ask> | undefined {
  if (given === undefined) return step;
  if (step === given) return undefined;
  return isText(step) && isText(given) ? { ...step, delta: step.delta.slice(given.delta.length) } : step;
}

/** Merges two steps into one; `undefined` when both are needed. */
function merge<Ask extends AskType>(
  last: TurnStepOf<Ask>,
  step: TurnStepOf<Ask>,
): TurnStepOf<Ask> | undefined {
  if (isText(step) && isText(last)) {
    if (last.type !== step.type || last.partID !== step.partID) return undefined;
    if (last.delta.length + step.delta.length > MAX_DELTA_CHARACTERS) return undefined;
    return { ...step, delta: last.delta + step.delta };
  }
  if (!isTool(step) || !isTool(last)) return undefined;
  return last.callID === step.callID && last.status === step.status ? step : undefined;
}

function charactersOf(step: TurnStepOf<AskType>): number {
  if (isText(step)) return MIN_STEP_CHARACTERS + step.delta.length;
  if (!isTool(step)) return MIN_STEP_CHARACTERS;
  return MIN_STEP_CHARACTERS + JSON.stringify(step.input).length + (step.output?.length ?? 0);
}

// By the type: a step of one that this version does not know may have any fields.

function isText(step: TurnStepOf<AskType>): step is StepOfType<'text' | 'reasoning'> {
  return step.type === 'text' || step.type === 'reasoning';
}

function isTool(step: TurnStepOf<AskType>): step is StepOfType<'tool'> {
  return step.type === 'tool';
}

type StepOfType<Type> = Extract<TurnStepOf<AskType>, { readonly type: Type }>;
