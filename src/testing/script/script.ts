import { abortable } from '../../core/abort.js';
import { aBoolean, aString, assertOptions, type OptionChecks } from '../../core/checks.js';
import { text, type MockStep, type MockSteps } from './steps.js';

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
export type MockScript = (input: MockScriptInput) => MockSteps;

/** For which prompts a script is meant. */
export interface ScriptOptions {
  /** The directory of the repository, as `forRepo()` shows it. @default every one that has no script of its own */
  readonly directory?: string | undefined;
  /**
   * Whether it makes the summaries of sessions instead of answering prompts. Until there is one, they say `Scripted summary`.
   *
   * @default false
   */
  readonly summary?: boolean | undefined;
}

const scriptOptionChecks: OptionChecks<ScriptOptions> = { directory: aString, summary: aBoolean };

/** How the model of one server answers prompts and makes summaries. */
export class Scripts {
  readonly #answers: ScriptChoice;
  readonly #summaries = new ScriptChoice(() => [text('Scripted summary')]);

  constructor(script: MockScript) {
    this.#answers = new ScriptChoice(script);
  }

  /** @throws {TypeError} for a script that is no function. */
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

/** A script for all repositories, and others for single ones. */
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

/** The steps that a script gave, until they end or `signal` aborts, also while the script is stuck in an await of its own. */
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
    // Not awaited: a script that is stuck never gets there.
    if (!isDone) Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** @throws {TypeError} when a script gave no steps. */
export function iteratorOf(steps: MockSteps): Iterator<MockStep, unknown> | AsyncIterator<MockStep, unknown> {
  if (typeof steps !== 'object' || steps === null) {
    throw new TypeError(`The script gave no steps but ${steps === null ? 'null' : typeof steps}.`);
  }
  return Symbol.asyncIterator in steps ? steps[Symbol.asyncIterator]() : steps[Symbol.iterator]();
}
