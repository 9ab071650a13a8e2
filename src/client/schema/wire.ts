import * as z from 'zod';
import { lazy } from '../../core/lazy.js';

/** Gives a schema, and makes it when it is first asked for: most programs use a few of them, and zod takes long to make one. */
export type Schema<T> = () => z.ZodType<T>;

/** For an answer that nobody looks at. */
export const anything = lazy(() => z.unknown());

/**
 * Gives a schema the type of the whole wire object while it checks only what this library relies on: what the server adds,
 * drops or renames elsewhere must not break a user who does not touch it.
 */
export function wire<T>(schema: z.ZodType): z.ZodType<T> {
  return schema as z.ZodType<T>;
}

/**
 * For `overwrite`: removes the fields that are `null` although they are documented as optional. The server sends either for
 * what it has not, and a caller who asks `=== undefined` must be right.
 */
export function withoutNulls(...keys: readonly string[]): <T extends object>(value: T) => T {
  return (value) => {
    for (const key of keys) if (Reflect.get(value, key) === null) Reflect.deleteProperty(value, key);
    return value;
  };
}
