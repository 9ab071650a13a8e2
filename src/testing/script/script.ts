import { abortable } from '../../core/abort.js';
import { aBoolean, aString, assertOptions, type OptionChecks } from '../../core/checks.js';
import { text, type MockStep, type MockSteps } from './steps.js';

/** The prompt that a script answers. */
export interface MockScriptInput {
  /** The text of the prompt, its text parts joined by line breaks. */
  readonly prompt: string;
  /** The prompted session. */
  readonly session: { readonly id: string; readonly title: string; readonly parentID: string | undefined };
  /** The directory of the session. */
  readonly directory: string;
}

/** Gives the steps by which the model answers a prompt. A generator can decide each step when the one before is done. */
export type MockScript = (input: MockScriptInput) => MockSteps;

/** The prompts that a script answers. */
export interface ScriptOptions {
  /** The directory of one repository, as `forRepo()` shows it. @default every repository that has no script of its own */
  readonly directory?: string | undefined;
  /**
   * Whether the script makes the summaries of sessions instead of answering prompts. Without such a script a summary is
   * `Scripted summary`.
   *
   * @default false
   */
  readonly summary?: boolean | undefined;
}

const scriptOptionChecks: OptionChecks<ScriptOptions> = { directory: aString, summary: aBoolean };

/** The scripts of one server: for prompts and for summaries. */
export class Scripts {
  readonly #answers: ScriptChoice;
  readonly #summaries = new ScriptChoice(() => [text('Scripted summary')]);

  constructor(script: MockScript) {
    this.#answers = new ScriptChoice(script);
  }

  /**
   * Replaces a script.
   *
   * @throws {TypeError} when `script` is not a function.
   */
  set(script: MockScript, options: ScriptOptions = {}): void {
    assertOptions('script() or reply()', scriptOptionChecks, options);
    const { directory, summary = false } = options;
    if (typeof script !== 'function') {
      throw new TypeError(`Expected a script to be a function that gives steps, got ${typeof script}.`);
    }
    (summary ? this.#summaries : this.#answers).set(script, directory);
  }

  readonly play: MockScript = (input) => this.#answers.of(input.directory)(input);

  readonly summarize: MockScript = (input) => this.#summaries.of(input.directory)(input);
}

/** One script for all repositories, and others for single repositories. */
class ScriptChoice {
  readonly #byDirectory = new Map<string, MockScript>();
  #general: MockScript;

  constructor(script: MockScript) {
    this.#general = script;
  }

  set(script: MockScript, directory: string | undefined): void {
    if (directory === undefined) this.#general = script;
    else this.#byDirectory.set(directory, script);
  }

  of(directory: string): MockScript {
    return this.#byDirectory.get(directory) ?? this.#general;
  }
}

/**
 * Yields the steps of a script.
 *
 * @param signal - ends the iteration with its reason, also while the script is stuck in an await of its own.
 */
export async function* stepsOf(
  steps: MockSteps,
  signal: AbortSignal,
): AsyncGenerator<MockStep, void, undefined> {
  const iterator = iteratorOf(steps);
  let isDone = false;
  try {
    for (;;) {
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      isDone = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a generator that is stuck never returns.
    if (!isDone) Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** @throws {TypeError} when the script gave something that is not iterable. */
export function iteratorOf(steps: MockSteps): Iterator<MockStep, unknown> | AsyncIterator<MockStep, unknown> {
  if (typeof steps !== 'object' || steps === null) {
    throw new TypeError(`The script gave no steps but ${steps === null ? 'null' : typeof steps}.`);
  }
  return Symbol.asyncIterator in steps ? steps[Symbol.asyncIterator]() : steps[Symbol.iterator]();
}
