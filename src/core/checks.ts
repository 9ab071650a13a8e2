import { assertSignal } from './abort.js';

/** How much of a wrong value a message shows, in UTF-16 code units. */
const MAX_SHOWN = 100;

/**
 * Checks the value of one option, which is not `undefined`.
 *
 * @throws {TypeError} {@link RangeError} that begins with `Expected ${name} to be`.
 */
export type OptionCheck = (name: string, value: unknown) => void;

/** The check of each option of an object. An option of the interface that is missing here does not compile. */
export type OptionChecks<T extends object> = { readonly [K in keyof T]-?: OptionCheck };

/**
 * Checks an options object: whether it is one, each key, and each value that is given. An unknown key is a mistake whatever
 * its value is.
 *
 * @param of - what takes the options, for the message, e.g. `JarvisOpenCode.start()`.
 * @param prefix - of the names in messages, e.g. `idle.`.
 * @throws {TypeError} {@link RangeError} for the first mistake.
 */
export function assertOptions<T extends object>(
  of: string,
  checks: OptionChecks<T>,
  options: unknown,
  prefix = '',
): void {
  if (options === undefined) return;
  if (!isObject(options)) {
    throw new TypeError(`Expected the options of ${of} to be an object, got ${shown(options)}.`);
  }
  const known = checks as Readonly<Record<string, OptionCheck>>;
  for (const key in options) {
    const check = Object.hasOwn(known, key) ? known[key] : undefined;
    if (check === undefined) throw unknownOption(of, key, Object.keys(known));
    const value = options[key];
    if (value !== undefined) check(prefix + key, value);
  }
}

/**
 * A policy to fill in, empty when none was given; `undefined` when it is switched off.
 *
 * @throws {TypeError} {@link RangeError} unless it is `false`, left out, or an object of valid options.
 */
export function policyOf<T extends object>(
  name: string,
  checks: OptionChecks<T>,
  policy: T | false | undefined,
): Partial<T> | undefined {
  if (policy === false) return undefined;
  if (policy === undefined) return {};
  if (!isObject(policy)) {
    throw new TypeError(`Expected ${name} to be an object or false, got ${shown(policy)}.`);
  }
  assertOptions(name, checks, policy, `${name}.`);
  return policy;
}

/** Only the options that `checks` names, for a callee that takes no others. */
export function pickOptions<T extends object>(checks: OptionChecks<T>, options: T): T {
  const keys = Object.keys(checks) as (keyof T)[];
  return Object.fromEntries(
    keys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  ) as T;
}

export const aString = expecting('a string', (value) => typeof value === 'string');
export const aBoolean = expecting('a boolean', (value) => typeof value === 'boolean');
export const aFunction = expecting('a function', (value) => typeof value === 'function');
/** A message shows only the type of the value, which may contain a secret. */
export const anObject: OptionCheck = (name, value) => {
  if (isObject(value)) return;
  throw new TypeError(
    `Expected ${name} to be an object, got ${typeof value === 'object' ? shown(value) : typeof value}.`,
  );
};
export const someStrings = expecting(
  'an array of strings',
  (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
);
export const anArray = expecting('an array', Array.isArray);
export const aSignal: OptionCheck = (_name, value) => assertSignal(value as Partial<AbortSignal> | null);
export const aLogger = objectWith('a logger', ['debug', 'info', 'warn', 'error']);
export const aClock = objectWith('a clock', ['now', 'after']);

export const aFiniteNumber = aNumber('a finite number', Number.isFinite);
export const positiveMs = aNumber(
  'a positive number of milliseconds',
  (value) => Number.isFinite(value) && value > 0,
);
export const positiveMsOrFalse = orFalse(
  aNumber('a positive number of milliseconds or false', (value) => Number.isFinite(value) && value > 0),
);
export const someMs = aNumber(
  'a number of milliseconds, 0 or more',
  (value) => Number.isFinite(value) && value >= 0,
);
export const positiveIntegerOrInfinity = aNumber(
  'a positive integer or Infinity',
  (value) => value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && value > 0),
);
export const positiveInteger = aNumber('a positive integer', (value) => Number.isInteger(value) && value > 0);

/** Accepts `false` too, which switches something off. */
export function orFalse(check: OptionCheck): OptionCheck {
  return (name, value) => {
    if (value !== false) check(name, value);
  };
}

/** One of some texts. */
export function oneOf(...texts: readonly string[]): OptionCheck {
  return expecting(texts.map((text) => `'${text}'`).join(' or '), (value) => texts.includes(value as string));
}

/** A number within bounds: another type is a `TypeError`, another number a `RangeError`. */
export function aNumber(what: string, isValid: (value: number) => boolean): OptionCheck {
  return (name, value) => {
    if (typeof value !== 'number')
      throw new TypeError(`Expected ${name} to be ${what}, got ${shown(value)}.`);
    if (!isValid(value)) throw new RangeError(`Expected ${name} to be ${what}, got ${value}.`);
  };
}

/** A value for a message, with its type; no more of it than fits in a line. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `${JSON.stringify(value.slice(0, MAX_SHOWN))} (string)`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = String(value).slice(0, MAX_SHOWN);
  return value === null || value === undefined ? text : `${text} (${typeof value})`;
}

/** The name of `known` that is most like `key`; `undefined` when none is like it. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  const written = key.slice(0, MAX_SHOWN).toLowerCase();
  let best: string | undefined;
  let least = Math.max(2, Math.floor(written.length * 0.4)) + 1;
  for (const name of known) {
    const meant = name.toLowerCase();
    const isPart =
      Math.min(meant.length, written.length) > 3 && (meant.includes(written) || written.includes(meant));
    const edits = isPart ? 1 : distance(written, meant);
    if (edits < least) [best, least] = [name, edits];
  }
  return best;
}

function unknownOption(of: string, key: string, known: readonly string[]): TypeError {
  const meant = nearest(key, known);
  const help = meant === undefined ? `it takes ${known.join(', ')}.` : `did you mean '${meant}'?`;
  return new TypeError(`Unknown option '${key.slice(0, MAX_SHOWN)}' of ${of}; ${help}`);
}

function expecting(what: string, isValid: (value: unknown) => boolean): OptionCheck {
  return (name, value) => {
    if (!isValid(value)) throw new TypeError(`Expected ${name} to be ${what}, got ${shown(value)}.`);
  };
}

/** Checks the methods, not the class: an object of the user's own will do. */
function objectWith(what: string, methods: readonly string[]): OptionCheck {
  return (name, value) => {
    const given = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
    const missing = methods.filter((method) => typeof given[method] !== 'function');
    if (missing.length === 0) return;
    const fault = given === value ? `an object without ${missing.join(', ')}` : shown(value);
    throw new TypeError(
      `Expected ${name} to be ${what} with the methods ${methods.join(', ')}, got ${fault}.`,
    );
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How many letters must be changed, added or removed to make one text of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      const [left = 0, above = 0, before = 0] = [next[j - 1], row[j], row[j - 1]];
      next.push(Math.min(left + 1, above + 1, before + change));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
