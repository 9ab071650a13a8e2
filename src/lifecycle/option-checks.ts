/**
 * A policy to fill in, empty when none was given; `undefined` when it is switched off.
 *
 * @throws {TypeError} unless it is an object, `false` or left out.
 */
export function policyOf<T extends object>(
  name: string,
  policy: T | false | undefined,
): Partial<T> | undefined {
  if (policy === false) return undefined;
  if (policy === undefined) return {};
  const given: unknown = policy;
  if (typeof given === 'object' && given !== null) return policy;
  throw new TypeError(`Expected ${name} to be an object or false, got ${String(given)}.`);
}

/** @throws {RangeError} unless every value is a finite number above 0. */
export function assertPositiveMs(values: Readonly<Record<string, unknown>>): void {
  assertAll(values, 'a positive number of milliseconds', (value) => isFiniteNumber(value) && value > 0);
}

/** @throws {RangeError} unless every value is a finite number, 0 or more. */
export function assertMs(values: Readonly<Record<string, unknown>>): void {
  assertAll(values, 'a number of milliseconds, 0 or more', (value) => isFiniteNumber(value) && value >= 0);
}

/** @throws {RangeError} unless every value is an integer, 1 or more. */
export function assertPositiveIntegers(values: Readonly<Record<string, unknown>>): void {
  assertAll(values, 'a positive integer', (value) => Number.isInteger(value) && (value as number) > 0);
}

function assertAll(
  values: Readonly<Record<string, unknown>>,
  expected: string,
  isValid: (value: unknown) => boolean,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (!isValid(value)) throw new RangeError(`Expected ${name} to be ${expected}, got ${String(value)}.`);
  }
}

function isFiniteNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
