import { abortable, AbortScope } from '../../core/abort.js';
import { aFunction, assertOptions, type OptionChecks } from '../../core/checks.js';
import { TimeoutError } from '../../errors.js';
import { requestOptionChecks } from '../http/request-options.js';
import type { PermissionRequest, QuestionRequest } from '../schema/ask.js';

/** How long a deciding function may take by default. */
const DECIDE_TIMEOUT_MS = 300_000;

/**
 * An answer to a permission request.
 *
 * - `allow`: this call may run.
 * - `always`: so may what the request names in `always`, until the instance is disposed.
 * - `deny`: it may not; the model is told so, with `{ deny: message }` in your own words, and goes on.
 * - `stop`: it may not, and the model gets no message: OpenCode then ends the turn and rejects every pending request of the session.
 */
export type PermissionDecision = 'allow' | 'always' | 'deny' | 'stop' | { readonly deny: string };

/**
 * An answer to a question request.
 *
 * - `{ answers }`: for each question the chosen labels, or free text.
 * - `deny`: no answer; the model is told so, with `{ deny: message }` in your own words, and goes on.
 * - `stop`: no answer and no message: OpenCode then ends the turn.
 */
export type QuestionDecision =
  { readonly answers: readonly (readonly string[])[] } | 'deny' | 'stop' | { readonly deny: string };

/** What a deciding function gets besides the request. */
export interface AskContext {
  /** The repository whose session asks. */
  readonly directory: string;
  /** Aborts when no answer is needed any more: answered elsewhere, turn ended, time over, or client closed. */
  readonly signal: AbortSignal;
}

/** Decides on one request; `ask` leaves it to the readers of the turn and of the events. */
export type Decide<Request, Decision> = (
  request: Request,
  context: AskContext,
) => Decision | 'ask' | Promise<Decision | 'ask'>;

/** A deciding function with its limits. */
export interface DecidePolicy<Request, Decision> {
  /** Called for each request; what it returns is the decision. */
  readonly decide: Decide<Request, Decision>;
  /**
   * Milliseconds for one decision; `false` for no limit.
   *
   * @default 300_000
   */
  readonly timeoutMs?: number | false | undefined;
  /**
   * What is decided when `decide` takes longer, throws, or returns an invalid decision.
   *
   * @default 'deny'
   */
  readonly otherwise?: Decision | 'ask' | undefined;
}

/**
 * Who answers what a session asks: `ask` leaves it to the readers of `turn.stream()` and of the events, a decision is the answer to
 * every request, and a function decides on each.
 */
export type AskPolicy<Request, Decision> =
  'ask' | Decision | Decide<Request, Decision> | DecidePolicy<Request, Decision>;

/** Who answers permission requests, see {@link PermissionDecision}. */
export type PermissionPolicy = AskPolicy<PermissionRequest, PermissionDecision>;
/** Who answers questions, see {@link QuestionDecision}. */
export type QuestionPolicy = AskPolicy<QuestionRequest, QuestionDecision>;

/** A policy that was checked. Without `decide`, `otherwise` is the answer. */
export interface ParsedPolicy<Request, Decision> {
  /** As the caller gave it. */
  readonly source: AskPolicy<Request, Decision>;
  readonly decide: Decide<Request, Decision> | undefined;
  readonly timeoutMs: number | false;
  readonly otherwise: Decision | 'ask';
}

/** The policies of one level: client, repository, session or turn. What is `undefined` is left to the level above. */
export interface AskPolicies {
  readonly permission: ParsedPolicy<PermissionRequest, PermissionDecision> | undefined;
  readonly question: ParsedPolicy<QuestionRequest, QuestionDecision> | undefined;
}

/** Whether a level answers anything by itself. */
export function isActive({ permission, question }: AskPolicies): boolean {
  return [permission, question].some((policy) => policy !== undefined && policy.source !== 'ask');
}

/**
 * Checks a policy for permissions.
 *
 * @throws {TypeError} {@link RangeError} naming the option and what it may be.
 */
export function parsePermissionPolicy(
  name: string,
  value: unknown,
): ParsedPolicy<PermissionRequest, PermissionDecision> | undefined {
  return parsePolicy(name, value, parsePermissionDecision);
}

/**
 * Checks a policy for questions.
 *
 * @throws {TypeError} {@link RangeError} naming the option and what it may be.
 */
export function parseQuestionPolicy(
  name: string,
  value: unknown,
): ParsedPolicy<QuestionRequest, QuestionDecision> | undefined {
  return parsePolicy(name, value, parseQuestionDecision);
}

/** @throws {TypeError} if the value is no decision on a permission request. */
export function parsePermissionDecision(name: string, value: unknown): PermissionDecision {
  if (value === 'allow' || value === 'always' || value === 'deny' || value === 'stop') return value;
  if (isDenial(value)) return value;
  throw new TypeError(
    `Expected ${name} to be 'allow', 'always', 'deny', 'stop' or { deny: message }, got ${textOf(value)}.`,
  );
}

/**
 * @param questions - how many there are to answer, if that is known.
 * @throws {TypeError} if the value is no decision on a question request.
 */
export function parseQuestionDecision(name: string, value: unknown, questions?: number): QuestionDecision {
  if (value === 'deny' || value === 'stop') return value;
  if (isDenial(value)) return value;
  if (isAnswers(value) && (questions === undefined || value.answers.length === questions)) return value;
  const each = questions === undefined ? 'each question' : `each of ${questions} questions`;
  throw new TypeError(
    `Expected ${name} to be 'deny', 'stop', { deny: message } or { answers } with a list of texts for ${each}, ` +
      `got ${textOf(value)}.`,
  );
}

/**
 * Asks a policy. When its function throws, takes too long or returns an invalid decision, `onFailure` gets the error and the
 * policy's own default decides.
 *
 * @returns `undefined` when no answer is needed any more.
 */
export async function decide<Request, Decision>(
  policy: ParsedPolicy<Request, Decision>,
  request: Request,
  context: AskContext,
  parse: (value: unknown) => Decision,
  onFailure: (error: unknown) => void,
): Promise<Decision | 'ask' | undefined> {
  const { decide: run, timeoutMs, otherwise } = policy;
  if (run === undefined) return otherwise;
  const scope = new AbortScope([context.signal], {
    timeoutMs,
    reason: (limitMs) => new TimeoutError('The decision on a request', { phase: 'ask', timeoutMs: limitMs }),
    timers: globalThis,
  });
  try {
    const { signal } = scope;
    const deciding = Promise.resolve().then(() => run(request, { ...context, signal }));
    const decision: unknown = await abortable(deciding, signal);
    return decision === 'ask' ? 'ask' : parse(decision);
  } catch (error) {
    if (context.signal.aborted) return undefined;
    onFailure(error);
    return otherwise;
  } finally {
    scope.end();
  }
}

function parsePolicy<Request, Decision>(
  name: string,
  value: unknown,
  parse: (name: string, value: unknown) => Decision,
): ParsedPolicy<Request, Decision> | undefined {
  if (value === undefined) return undefined;
  const source = value as AskPolicy<Request, Decision>;
  if (typeof value === 'function') {
    const run = value as Decide<Request, Decision>;
    return { source, decide: run, timeoutMs: DECIDE_TIMEOUT_MS, otherwise: parse(name, 'deny') };
  }
  if (typeof value !== 'object' || value === null || !('decide' in value)) {
    const otherwise = value === 'ask' ? value : parsePolicyDecision(name, value, parse);
    return { source, decide: undefined, timeoutMs: false, otherwise };
  }
  const checks: OptionChecks<DecidePolicy<Request, Decision>> = {
    decide: aFunction,
    timeoutMs: requestOptionChecks.timeoutMs,
    otherwise: (otherwiseName, decision) => {
      if (decision !== 'ask') parse(otherwiseName, decision);
    },
  };
  assertOptions(name, checks, value, `${name}.`);
  const { decide: run, timeoutMs = DECIDE_TIMEOUT_MS, otherwise } = value as DecidePolicy<Request, Decision>;
  aFunction(`${name}.decide`, run);
  return { source, decide: run, timeoutMs, otherwise: otherwise ?? parse(name, 'deny') };
}

function parsePolicyDecision<Decision>(
  name: string,
  value: unknown,
  parse: (name: string, value: unknown) => Decision,
): Decision {
  try {
    return parse(name, value);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(message.replace(' to be ', " to be 'ask', a function, { decide }, "), { cause });
  }
}

/** An empty message is none: OpenCode ends the turn at a refusal without one. */
function isDenial(value: unknown): value is { readonly deny: string } {
  if (typeof value !== 'object' || value === null || !('deny' in value)) return false;
  return typeof value.deny === 'string' && value.deny.trim() !== '';
}

function isAnswers(value: unknown): value is { readonly answers: readonly (readonly string[])[] } {
  if (typeof value !== 'object' || value === null || !('answers' in value)) return false;
  const isTexts = (list: unknown): boolean =>
    Array.isArray(list) && list.every((text) => typeof text === 'string');
  return Array.isArray(value.answers) && value.answers.every(isTexts);
}

function textOf(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value;
  }
}
