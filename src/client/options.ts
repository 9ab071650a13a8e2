import type * as z from 'zod';

/** What every method that sends a request accepts as its last argument. */
export interface RequestOptions {
  /** Cancels the call; it then rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds for the whole call: waiting for a disposal or a restart to end, sending, and reading the answer. `false` for no
   * limit.
   *
   * @default 60_000
   */
  readonly timeoutMs?: number | false | undefined;
  /** More headers. They cannot replace the repository or the credentials of the request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * How often a GET is repeated after a lost connection or a 429, 502, 503 or 504, with growing pauses of at most 2 s, or as
   * long as `Retry-After` asks, up to 30 s. Other methods are repeated only when the connection was
   * refused, so that nothing was sent.
   *
   * @default 2
   */
  readonly retry?: number | false | undefined;
}

/** The fetch function that requests go through. */
export type FetchFunction = typeof globalThis.fetch;

/**
 * Parses what the user passed, or says what was expected and what was got.
 *
 * @throws {TypeError} naming the argument and its first issues.
 */
export function parseInput<T>(schema: z.ZodType<T>, what: string, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''}${issue.message}`);
  throw new TypeError(`Invalid ${what}: ${issues.join('; ')}.`);
}

/**
 * Checks a time limit option.
 *
 * @throws {RangeError} unless it is a positive finite number of milliseconds, `false` or `undefined`.
 */
export function parseTimeoutMs(name: string, value: unknown, fallback: number | false): number | false {
  if (value === undefined) return fallback;
  if (value === false) return false;
  if (typeof value !== 'number') {
    throw new TypeError(`Expected ${name} to be a number of milliseconds or false, got ${typeof value}.`);
  }
  if (!(value > 0) || value === Number.POSITIVE_INFINITY) {
    throw new RangeError(`Expected ${name} to be a positive number of milliseconds or false, got ${value}.`);
  }
  return value;
}
