import * as z from 'zod';
import { wire } from './wire.js';

/** A worktree that the server made, in its own data directory. */
export interface Worktree {
  name: string;
  /** `opencode/<name>`. */
  branch?: string;
  directory: string;
}
export const worktreeSchema = wire<Worktree>(z.looseObject({ name: z.string(), directory: z.string() }));

export const worktreeListSchema = z.array(z.string());

export const createWorktreeInputSchema = z.strictObject({
  name: z.string().min(1).optional(),
  startCommand: z.string().min(1).optional(),
});
/**
 * What a new worktree starts with; everything is optional.
 *
 * - `name`: made into a slug, with a suffix when it is taken. Random by default.
 * - `startCommand`: runs in the new worktree after the project's own start command.
 */
export type CreateWorktreeInput = z.infer<typeof createWorktreeInputSchema>;

export const worktreeDirectoryInputSchema = z.strictObject({ directory: z.string().min(1) });
/** Which worktree, by its absolute path. */
export type WorktreeDirectoryInput = z.infer<typeof worktreeDirectoryInputSchema>;
