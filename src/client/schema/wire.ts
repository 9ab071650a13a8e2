import type { z } from 'zod';

/**
 * Gives a schema the type of the whole wire object while it checks only what this library relies on: what the server adds,
 * drops or renames elsewhere must not break a user who does not touch it.
 */
export function wire<T>(schema: z.ZodType): z.ZodType<T> {
  return schema as z.ZodType<T>;
}
