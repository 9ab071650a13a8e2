import { abortable } from '../abort.js';
import type { MockStep } from './steps.js';

/** What a script decides on. */
export interface MockScriptInput {
  /** The text of the prompt, its text parts joined by line breaks. */
  readonly prompt: string;
  /** The session that is prompted. */
  readonly session: { readonly id: string; readonly title: string; readonly parentID: string | undefined };
  /** The directory it runs in. */
  readonly directory: string;
}

/** Says how the model answers a prompt. A generator may decide each step when the one before is done. */
export type MockScript = (input: MockScriptInput) => Iterable<MockStep> | AsyncIterable<MockStep>;

/** The steps of a script, until they end or `signal` aborts, also while the script is stuck in an await of its own. */
export async function* stepsOf(
  script: MockScript,
  input: MockScriptInput,
  signal: AbortSignal,
): AsyncGenerator<MockStep, void, undefined> {
  const steps = script(input);
  const iterator = Symbol.asyncIterator in steps ? steps[Symbol.asyncIterator]() : steps[Symbol.iterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      isDone = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a script that is stuck never gets there.
    if (!isDone) Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
