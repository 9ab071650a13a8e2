import {
  aNumber,
  anObject,
  aString,
  assertOptions,
  positiveInteger,
  someStrings,
  type OptionChecks,
} from '../../core/checks.js';

/** What a tool asks before it runs, as `GET /permission` shows it. */
export interface MockAsk {
  /** What for: `bash`, `edit`, `external_directory`, … */
  readonly permission: string;
  /** What exactly. @default what the server would show for the input: the command, the path, else `*` */
  readonly patterns: readonly string[] | undefined;
  /** What an answer of `always` allows from then on. @default `*` */
  readonly always: readonly string[] | undefined;
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
}

/** One question to the user. */
export interface MockQuestion {
  readonly question: string;
  readonly header: string;
  readonly options: readonly { readonly label: string; readonly description: string }[];
  readonly multiple?: boolean;
  readonly custom?: boolean;
}

/** What came of a tool, as the model is told. */
export interface MockToolResult {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** What it put out, what the user answered, or why it failed. */
  readonly output: string;
}

/** One thing the model does while it answers a prompt, a union on `type`. Make them with `text()`, `tool()` and so on. */
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

/** What the model says after a tool, it says in its next call. */
export const BEGINS_CALL: ReadonlySet<MockStep['type']> = new Set<MockStep['type']>([
  'text',
  'reasoning',
  'retry',
  'empty',
  'after-tools',
]);

/** How {@link text} and {@link reasoning} are streamed. */
export interface TextOptions {
  /**
   * Number of deltas, never more than the text has characters.
   *
   * @default one for each word
   */
  readonly chunks?: number | undefined;
  /** Milliseconds between two deltas. @default 0 */
  readonly delayMs?: number | undefined;
}

const waitMs = aNumber('a number that is not negative', (value) => value >= 0);

const textOptionChecks: OptionChecks<TextOptions> = { chunks: positiveInteger, delayMs: waitMs };

/**
 * Streams answer text. Texts that follow each other are one text part; after a {@link tool} a new message begins, as the
 * model is then called again.
 *
 * @throws {RangeError} unless `chunks` is a positive integer, and `delayMs` a number that is not negative.
 */
export function text(content: string, options: TextOptions = {}): MockStep {
  return streamed('text', content, options);
}

/**
 * Streams what the model thinks, as a reasoning part.
 *
 * @throws {RangeError} unless `chunks` is a positive integer, and `delayMs` a number that is not negative.
 */
export function reasoning(content: string, options: TextOptions = {}): MockStep {
  return streamed('reasoning', content, options);
}

/**
 * Calls a tool. It stays `running` until the next text, or the end of the script, and then completes with `output`; a
 * `wait()` in between lets it run that long. Tools that follow each other run at the same time. A rule of the session, or
 * of the server, may let it ask first, or deny it. `tool('StructuredOutput', object)` answers a prompt that has a `format`.
 *
 * @param output - what the mock's tool puts out. A real server runs the real tool, with this input.
 */
export function tool(name: string, input: Readonly<Record<string, unknown>> = {}, output = ''): MockStep {
  return { type: 'tool', tool: name, input, output, ask: undefined };
}

/**
 * Waits for the tools that were called just before, questions and subtasks included, and goes on with the steps that `next`
 * gives for what came of them.
 *
 * @throws {TypeError} for a `next` that is no function.
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

/** What {@link ask} shows to the user, and what comes of the tool. */
export interface AskOptions {
  /** The tool that asks. @default the one of the permission's name */
  readonly tool?: string | undefined;
  /** What the tool puts out when it may run. @default '' */
  readonly output?: string | undefined;
  /** @default what the server would show for the input: the command, the path, else `*` */
  readonly patterns?: readonly string[] | undefined;
  /** @default `['*']` */
  readonly always?: readonly string[] | undefined;
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
 * Calls a tool that asks first: the turn waits until the request is answered. Allowed, the tool completes and the script
 * goes on; rejected with a message, the tool fails and the script goes on; rejected without one, the turn ends.
 *
 * On a real server it asks only if a rule says so: see `RealOpenCodeOptions.asks`.
 *
 * @param permission - what for: `bash`, `edit`, …
 * @param input - of the tool.
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

/** A question as it is written in a script: options may be labels only. */
export interface QuestionInput {
  readonly question: string;
  /** A short title. @default 'Question' */
  readonly header?: string | undefined;
  readonly options?: readonly (string | { readonly label: string; readonly description: string })[];
  /** Whether several options may be chosen. */
  readonly multiple?: boolean;
  /** Whether an answer of one's own is welcome. */
  readonly custom?: boolean;
}

/**
 * Asks the user: the turn waits until the questions are answered; rejected, the turn ends.
 *
 * @throws {TypeError} without a question.
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

interface SubtaskOptions {
  readonly description?: string;
  readonly agent?: string;
}

const subtaskOptionChecks: OptionChecks<SubtaskOptions> = { description: aString, agent: aString };

/**
 * Lets another agent work in a child session: the script is asked for `prompt` there, with the child as its session. What it
 * answers is the output of a `task` tool.
 */
export function subtask(prompt: string, options: SubtaskOptions = {}): MockStep {
  assertOptions('subtask()', subtaskOptionChecks, options);
  const { description = 'A subtask', agent = 'general' } = options;
  return { type: 'subtask', prompt, description, agent };
}

/** Says how many tokens the call of the model took, instead of 10 and 5. */
export function usage(tokens: { readonly input: number; readonly output: number }): MockStep {
  return { type: 'usage', input: tokens.input, output: tokens.output };
}

/**
 * Pauses for `ms` milliseconds, by the clock of the mock, so that fake timers drive it.
 *
 * @throws {RangeError} unless `ms` is a number that is not negative.
 */
export function wait(ms: number): MockStep {
  waitMs('ms', ms);
  return { type: 'wait', ms };
}

/** Pauses until `gate` resolves: a test opens it when it has seen enough. The turn fails when it rejects. */
export function waitFor(gate: PromiseLike<unknown>): MockStep {
  return { type: 'wait-for', gate };
}

/** What the provider answers to a call that is to be repeated: overloaded. */
export const RETRY_STATUS = 503;
export const EMPTY_TOO_LATE = 'empty() must come before what the model says or does in that call.';
export const RETRY_TOO_LATE = 'retry() must come before what the model says or does in that call.';

interface RetryOptions {
  /** Milliseconds until the call is repeated, as the provider asks for. @default 0 */
  readonly afterMs?: number | undefined;
}

const retryOptionChecks: OptionChecks<RetryOptions> = { afterMs: waitMs };

/**
 * Lets the provider refuse the call of the model: the status of the session is `retry` until OpenCode calls again, and then
 * the script goes on. Each one more is one more attempt; the sixth of one call ends the turn with an `APIError`.
 *
 * @param message - what the provider says.
 * @throws {RangeError} unless `afterMs` is a number that is not negative.
 */
export function retry(message = 'scripted overload', options: RetryOptions = {}): MockStep {
  assertOptions('retry()', retryOptionChecks, options);
  const { afterMs = 0 } = options;
  return { type: 'retry', message, afterMs };
}

/**
 * Lets the provider answer the call of the model with an empty stream: its message has nothing in it and the finish
 * `unknown`, and OpenCode 1.18.33 calls the model again at once, with which the script goes on.
 */
export function empty(): MockStep {
  return { type: 'empty' };
}

/**
 * Ends the turn with an error, as OpenCode names it: `APIError`, `ProviderAuthError`, `ContextOverflowError`, … A real
 * server makes an `APIError` of every one, because it is the provider that fails there, and an `UnknownError` when the
 * answer has begun.
 *
 * @param data - more of the error's `data`, beside `message`.
 */
export function fail(
  name: string,
  message = `scripted ${name}`,
  data: Readonly<Record<string, unknown>> = {},
): MockStep {
  return { type: 'fail', name, message, data };
}

/** Does nothing more, for ever: the turn ends by an abort or a disposal only. */
export function hang(): MockStep {
  return { type: 'hang' };
}

/** The deltas of a text: its words with the blanks behind them, or as many pieces as were asked for. */
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
