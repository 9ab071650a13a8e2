import type * as z from 'zod';
import type { Schema } from '../schema/wire.js';
import {
  aNumber,
  anObject,
  aSignal,
  assertOptions,
  nearest,
  orFalse,
  positiveMsOrFalse,
  type OptionChecks,
} from '../../core/checks.js';

/** What every method that sends a request accepts as its last argument. */
export interface RequestOptions {
  /** Cancels the call; it then rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds for the whole call: waiting for a disposal or a restart to end, sending, and reading the answer. `false` for no
   * limit. When the instance has to be loaded first, they count from then; `bootTimeoutMs` of the client limits the loading.
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
  /**
   * How long the answer may be, in bytes after decompression, less than 512 MiB. A longer one rejects with
   * `ResponseTooLargeError` and its connection is closed; no more of it is read.
   *
   * @default that of the client
   */
  readonly maxResponseBytes?: number | undefined;
}

/** The longest text of V8 has 2^29 - 24 characters. */
const MAX_TEXT_BYTES = 512 * 1024 * 1024 - 24;

/** Checks a bound on the length of an answer. */
export const aByteLimit = aNumber(
  'a positive integer, less than 512 MiB',
  (value) => Number.isInteger(value) && value > 0 && value <= MAX_TEXT_BYTES,
);

/** The check of each request option; other options objects extend it. */
export const requestOptionChecks: OptionChecks<RequestOptions> = {
  signal: aSignal,
  timeoutMs: positiveMsOrFalse,
  headers: anObject,
  maxResponseBytes: aByteLimit,
  retry: orFalse(
    aNumber('a non-negative integer or false', (value) => Number.isInteger(value) && value >= 0),
  ),
};

/** @throws {TypeError} {@link RangeError} for an option that a request does not take, or a wrong value. */
export function assertRequestOptions(options: RequestOptions | undefined): void {
  assertOptions('a request', requestOptionChecks, options);
}

/** The fetch function that requests go through. */
export type FetchFunction = typeof globalThis.fetch;

/**
 * Parses an argument of the user. The error names what was expected and what was passed.
 *
 * @throws {TypeError} naming the argument and its first issues.
 */
export function parseInput<T>(schemaOf: Schema<T>, what: string, input: unknown): T {
  const schema = schemaOf();
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 3).map((issue) => {
    const where = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
    return where + issue.message + helpFor(schema, issue);
  });
  throw new TypeError(`Invalid ${what}: ${issues.join('; ')}.`);
}

/** For an unknown key: suggests the known key that was most likely meant. */
function helpFor(schema: z.ZodType, issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return '';
  const known = keysAt(schema, issue.path);
  const meant = issue.keys.flatMap((key) => nearest(key, known) ?? []);
  return meant.length === 0 ? '' : ` (did you mean ${meant.map((key) => `'${key}'`).join(', ')}?)`;
}

/** The keys that the schema of the value at `path` knows. */
function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'optional':
      return keysAt(def.innerType, path);
    case 'union':
      // Includes the keys of members of another type: a key too many only suggests too much, a key too few suggests
      // nothing.
      return def.options.flatMap((option) => keysAt(option, path));
    case 'array':
      return keysAt(def.element, path.slice(1));
    case 'object': {
      const [key, ...rest] = path;
      if (key === undefined) return Object.keys(def.shape);
      const field = def.shape[String(key)];
      return field === undefined ? [] : keysAt(field, rest);
    }
    default:
      return [];
  }
}

/**
 * Checks a time limit option.
 *
 * @throws {RangeError} unless it is a positive finite number of milliseconds, `false` or `undefined`.
 */
export function parseTimeoutMs(name: string, value: unknown, fallback: number | false): number | false {
  if (value === undefined) return fallback;
  positiveMsOrFalse(name, value);
  return value as number | false;
}
