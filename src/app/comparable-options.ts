import { createHash } from 'node:crypto';

/** Options by name, each as a hash of its value: they can be compared, and give no secret away. */
export type ComparableOptions = ReadonlyMap<string, string>;

/** What a module makes anew whenever it is evaluated, and what counts at the start only. */
const NOT_COMPARED: ReadonlySet<string> = new Set([
  'logger',
  'clock',
  'fetch',
  'webSocket',
  'restore',
  'signal',
]);

/**
 * The options in a form to compare them by value. The order of keys does not matter, every function equals every other, and
 * those of {@link NOT_COMPARED} are left out.
 *
 * @throws {TypeError} for a value that JSON cannot express.
 */
export function comparableOptions(options: object): ComparableOptions {
  return new Map(
    Object.entries(options)
      .filter(([name, value]) => value !== undefined && !NOT_COMPARED.has(name))
      .map(([name, value]) => [name, hash(JSON.stringify(value, comparable))]),
  );
}

/** The name of the first option that differs. */
export function differingOption(a: ComparableOptions, b: ComparableOptions): string | undefined {
  return [...a.keys(), ...b.keys()].find((name) => a.get(name) !== b.get(name));
}

function comparable(_key: string, value: unknown): unknown {
  if (value === undefined) return 'undefined ';
  if (typeof value === 'function') return 'function ';
  // JSON has no infinity.
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
