import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** A worktree that the server made, in its own data directory. */
export interface Worktree {
  name: string;
  /** `opencode/<name>`. */
  branch?: string;
  directory: string;
}
export const worktreeSchema = lazy(() =>
  wire<Worktree>(z.looseObject({ name: z.string(), directory: z.string() })),
);

export const worktreeListSchema = lazy(() => z.array(z.string()));

export const createWorktreeInputSchema = lazy(() =>
  z.strictObject({
    name: z.string().min(1).optional(),
    startCommand: z.string().min(1).optional(),
  }),
);
/**
 * What a new worktree starts with; everything is optional.
 *
 * - `name`: made into a slug, with a suffix when it is taken. Random by default.
 * - `startCommand`: runs in the new worktree after the project's own start command.
 *
 * @useDeclaredType
 */
export type CreateWorktreeInput = z.infer<ReturnType<typeof createWorktreeInputSchema>>;

export const worktreeDirectoryInputSchema = lazy(() => z.strictObject({ directory: z.string().min(1) }));
/** Which worktree, by its absolute path. @useDeclaredType */
export type WorktreeDirectoryInput = z.infer<ReturnType<typeof worktreeDirectoryInputSchema>>;
