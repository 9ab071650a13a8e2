import { z } from 'zod';

export const healthSchema = z.looseObject({ healthy: z.boolean(), version: z.string() });
/** What `/global/health` answers. */
export type Health = z.infer<typeof healthSchema>;

export const booleanSchema = z.boolean();

export const pathInfoSchema = z.looseObject({
  directory: z.string(),
  worktree: z.string(),
  home: z.string().optional(),
  state: z.string().optional(),
  config: z.string().optional(),
});
/** Where the server keeps things, and which directory a request is pinned to. */
export type PathInfo = z.infer<typeof pathInfoSchema>;

export const ptyListSchema = z.array(z.looseObject({ id: z.string(), status: z.string() }));
