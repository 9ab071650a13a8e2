import {
  aNumber,
  anObject,
  aString,
  assertOptions,
  positiveInteger,
  someStrings,
  type OptionChecks,
} from '../../core/checks.js';

/** The permission request of a tool, as `GET /permission` shows it. */
export interface MockAsk {
  /** The permission: `bash`, `edit`, `external_directory`, … */
  readonly permission: string;
  /** The commands or paths that the tool needs. @default the command or the path of the input, else `*` */
  readonly patterns: readonly string[] | undefined;
  /** The patterns that an answer of `always` allows from then on. @default `*` */
  readonly always: readonly string[] | undefined;
  /** More about the request. @default the command or the path of the input */
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
}

/** One question to the user, as `GET /question` shows it. */
export interface MockQuestion {
  readonly question: string;
  readonly header: string;
  readonly options: readonly { readonly label: string; readonly description: string }[];
  readonly multiple?: boolean;
  readonly custom?: boolean;
}

/** The result of a tool, as the model receives it. */
export interface MockToolResult {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** The output of the tool, the answer of the user, or the error. */
  readonly output: string;
}

/** One thing that the model does while it answers a prompt, a union on `type`. `text()`, `tool()` and so on make them. */
export type MockStep =
  | {
      readonly type: 'text' | 'reasoning';
      readonly text: string;
      readonly chunks: number | undefined;
      readonly delayMs: number;
    }
  | {
      readonly type: 'tool';
      readonly tool: string;
      readonly input: Readonly<Record<string, unknown>>;
      readonly output: string;
      readonly ask: MockAsk | undefined;
    }
  | { readonly type: 'question'; readonly questions: readonly MockQuestion[] }
  | {
      readonly type: 'subtask';
      readonly prompt: string;
      readonly description: string;
      readonly agent: string;
    }
  | { readonly type: 'usage'; readonly input: number; readonly output: number }
  | { readonly type: 'retry'; readonly message: string; readonly afterMs: number }
  | { readonly type: 'empty' }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'wait-for'; readonly gate: PromiseLike<unknown> }
  | {
      readonly type: 'fail';
      readonly name: string;
      readonly message: string;
      readonly data: Readonly<Record<string, unknown>>;
    }
  | { readonly type: 'hang' }
  | { readonly type: 'after-tools'; readonly next: (results: readonly MockToolResult[]) => MockSteps };

/** The steps of a script. */
export type MockSteps = Iterable<MockStep> | AsyncIterable<MockStep>;

/** The step of one type. */
export type MockStepOf<T extends MockStep['type']> = Extract<MockStep, { readonly type: T }>;

/** The steps that begin another call of the model when they come after a tool. */
export const BEGINS_CALL: ReadonlySet<MockStep['type']> = new Set<MockStep['type']>([
  'text',
  'reasoning',
  'retry',
  'empty',
  'after-tools',
]);

/** How {@link text} and {@link reasoning} stream. */
export interface TextOptions {
  /**
   * Number of deltas, a positive integer; never more than the text has characters.
   *
   * @default one delta for each word
   */
  readonly chunks?: number | undefined;
  /** Milliseconds between two deltas, 0 or more, by the clock of the mock. @default 0 */
  readonly delayMs?: number | undefined;
}

const waitMs = aNumber('a number that is not negative', (value) => value >= 0);

const textOptionChecks: OptionChecks<TextOptions> = { chunks: positiveInteger, delayMs: waitMs };

/**
 * Streams answer text. Consecutive texts are one text part. After a {@link tool} a text begins a new message, because OpenCode
 * calls the model again.
 *
 * @throws {TypeError} {@link RangeError} for an invalid option.
 */
export function text(content: string, options: TextOptions = {}): MockStep {
  return streamed('text', content, options);
}

/**
 * Streams what the model thinks, as a reasoning part.
 *
 * @throws {TypeError} {@link RangeError} for an invalid option.
 */
export function reasoning(content: string, options: TextOptions = {}): MockStep {
  return streamed('reasoning', content, options);
}

/**
 * Calls a tool. It stays `running` until the next text or the end of the script, and then completes with `output`; a `wait()`
 * in between lets it run that long. Consecutive tools run at the same time. A rule of the session or of the server can make
 * the tool ask first, or deny it. `tool('StructuredOutput', object)` answers a prompt that has a `format`.
 *
 * @param output - the output of the mock's tool. A real server runs the real tool with this input. @default ''
 */
export function tool(name: string, input: Readonly<Record<string, unknown>> = {}, output = ''): MockStep {
  return { type: 'tool', tool: name, input, output, ask: undefined };
}

/**
 * Waits for the tools that were called just before, questions and subtasks included, and goes on with the steps that `next`
 * gives for their results.
 *
 * @throws {TypeError} when `next` is not a function.
 *
 * @example
 * ```ts
 * [question('Which colour?'), afterTools(([answer]) => [text(`You said: ${answer?.output}`)])];
 * ```
 */
export function afterTools(next: (results: readonly MockToolResult[]) => MockSteps): MockStep {
  if (typeof next !== 'function') throw new TypeError(`Expected next to be a function, got ${typeof next}.`);
  return { type: 'after-tools', next };
}

/** The request that {@link ask} makes, and the tool that makes it. */
export interface AskOptions {
  /** The tool that asks. @default the tool with the name of the permission */
  readonly tool?: string | undefined;
  /** The output of the tool when it may run. @default '' */
  readonly output?: string | undefined;
  /** The commands or paths that the tool needs. @default the command or the path of the input, else `*` */
  readonly patterns?: readonly string[] | undefined;
  /** The patterns that an answer of `always` allows from then on. @default `['*']` */
  readonly always?: readonly string[] | undefined;
  /** More about the request. @default the command or the path of the input */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

const askOptionChecks: OptionChecks<AskOptions> = {
  tool: aString,
  output: aString,
  patterns: someStrings,
  always: someStrings,
  metadata: anObject,
};

/**
 * Calls a tool that asks for a permission first: the turn waits until the request is answered. Allowed, the tool completes and
 * the script goes on; rejected with a message, the tool fails and the script goes on; rejected without a message, the turn
 * ends.
 *
 * On a real server the tool asks only if a rule makes it: see `RealOpenCodeOptions.asks`.
 *
 * @param permission - `bash`, `edit`, …
 * @param input - the input of the tool. @default {}
 * @throws {TypeError} for an invalid option.
 */
export function ask(
  permission: string,
  input: Readonly<Record<string, unknown>> = {},
  options: AskOptions = {},
): MockStep {
  assertOptions('ask()', askOptionChecks, options);
  const { tool: name = permission, output = '', patterns, always, metadata } = options;
  return { type: 'tool', tool: name, input, output, ask: { permission, patterns, always, metadata } };
}

/** A question of a script. An option can be a label only. */
export interface QuestionInput {
  /** The text of the question. */
  readonly question: string;
  /** A short title. @default 'Question' */
  readonly header?: string | undefined;
  /** The answers to choose from; a string is label and description. @default none */
  readonly options?: readonly (string | { readonly label: string; readonly description: string })[];
  /** Whether the user can choose several options. @default false */
  readonly multiple?: boolean;
  /** Whether the user can write another answer. @default left to the server */
  readonly custom?: boolean;
}

/**
 * Asks the user: the turn waits until the questions are answered. Dismissing them ends the turn.
 *
 * @throws {TypeError} when no question is given.
 */
export function question(...questions: readonly (string | QuestionInput)[]): MockStep {
  if (questions.length === 0) throw new TypeError('Expected at least one question.');
  return {
    type: 'question',
    questions: questions.map((one) => {
      const {
        header = 'Question',
        options = [],
        ...rest
      } = typeof one === 'string' ? { question: one } : one;
      const described = options.map((option) =>
        typeof option === 'string' ? { label: option, description: option } : option,
      );
      return { ...rest, header, options: described };
    }),
  };
}

/** @inline */
interface SubtaskOptions {
  /** The title of the child session. @default 'A subtask' */
  readonly description?: string;
  /** The agent that works in the child session. @default 'general' */
  readonly agent?: string;
}

const subtaskOptionChecks: OptionChecks<SubtaskOptions> = { description: aString, agent: aString };

/**
 * Lets another agent work in a child session: the script runs again with `prompt` and the child as its session. Its answer is
 * the output of a `task` tool.
 *
 * @throws {TypeError} for an invalid option.
 */
export function subtask(prompt: string, options: SubtaskOptions = {}): MockStep {
  assertOptions('subtask()', subtaskOptionChecks, options);
  const { description = 'A subtask', agent = 'general' } = options;
  return { type: 'subtask', prompt, description, agent };
}

/** Sets the tokens that the call of the model takes, instead of 10 of input and 5 of output. */
export function usage(tokens: { readonly input: number; readonly output: number }): MockStep {
  return { type: 'usage', input: tokens.input, output: tokens.output };
}

/**
 * Pauses by the clock of the mock, so that fake timers drive it.
 *
 * @param ms - milliseconds, 0 or more.
 * @throws {TypeError} {@link RangeError} for an invalid `ms`.
 */
export function wait(ms: number): MockStep {
  waitMs('ms', ms);
  return { type: 'wait', ms };
}

/** Pauses until `gate` resolves: a test resolves it when it has seen enough. The turn fails when it rejects. */
export function waitFor(gate: PromiseLike<unknown>): MockStep {
  return { type: 'wait-for', gate };
}

/** The status by which the provider refuses a call that OpenCode then repeats: overloaded. */
export const RETRY_STATUS = 503;
export const EMPTY_TOO_LATE = 'empty() must come before what the model says or does in that call.';
export const RETRY_TOO_LATE = 'retry() must come before what the model says or does in that call.';

/** @inline */
interface RetryOptions {
  /** Milliseconds until OpenCode repeats the call, 0 or more, as the provider asks for. @default 0 */
  readonly afterMs?: number | undefined;
}

const retryOptionChecks: OptionChecks<RetryOptions> = { afterMs: waitMs };

/**
 * Makes the provider refuse the call of the model: the status of the session is `retry` until OpenCode calls again, and then
 * the script goes on. The sixth refusal of one call ends the turn with an `APIError`.
 *
 * @param message - the message of the provider.
 * @throws {TypeError} {@link RangeError} for an invalid option.
 */
export function retry(message = 'scripted overload', options: RetryOptions = {}): MockStep {
  assertOptions('retry()', retryOptionChecks, options);
  const { afterMs = 0 } = options;
  return { type: 'retry', message, afterMs };
}

/**
 * Makes the provider answer the call of the model with an empty stream: its message is empty with the finish `unknown`.
 * OpenCode 1.18.33 then calls the model again at once, and the script goes on in that call.
 */
export function empty(): MockStep {
  return { type: 'empty' };
}

/**
 * Ends the turn with an error, by its name in OpenCode: `APIError`, `ProviderAuthError`, `ContextOverflowError`, … On a real
 * server the provider fails instead, so that the error is an `APIError`, or an `UnknownError` when the answer has begun.
 *
 * @param data - more fields of the error's `data`, beside `message`. @default {}
 */
export function fail(
  name: string,
  message = `scripted ${name}`,
  data: Readonly<Record<string, unknown>> = {},
): MockStep {
  return { type: 'fail', name, message, data };
}

/** Never ends: only an abort or a disposal ends the turn. */
export function hang(): MockStep {
  return { type: 'hang' };
}

/** The deltas of a text: its words, each with the blanks after it, or `chunks` pieces. */
export function piecesOf(content: string, chunks: number | undefined): string[] {
  if (chunks === undefined) return content.match(/\S+\s*|\s+/g) ?? [];
  const characters = Array.from(content);
  const size = Math.max(1, Math.ceil(characters.length / chunks));
  const pieces: string[] = [];
  for (let start = 0; start < characters.length; start += size) {
    pieces.push(characters.slice(start, start + size).join(''));
  }
  return pieces;
}

function streamed(type: 'text' | 'reasoning', content: string, options: TextOptions): MockStep {
  assertOptions(`${type}()`, textOptionChecks, options);
  const { chunks, delayMs = 0 } = options;
  return { type, text: content, chunks, delayMs };
}
