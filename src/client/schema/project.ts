import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/**
 * A repository as OpenCode knows it: all clones and worktrees with the same root commit are one project. Directories
 * without git, and repositories without a commit, share the project `global`. `time.*` are epoch milliseconds.
 */
export interface Project {
  id: string;
  /** The main checkout. Of `global`: whichever directory was used last, or `/`. */
  worktree: string;
  vcs?: 'git';
  name?: string;
  icon?: { url?: string; override?: string; color?: string };
  commands?: {
    /** Runs in every new worktree. */
    start?: string;
  };
  time: { created: number; updated: number; initialized?: number };
  /** The directories of its other worktrees. */
  sandboxes: string[];
}
export const projectSchema = lazy(() =>
  wire<Project>(z.looseObject({ id: z.string(), worktree: z.string() })),
);
export const projectListSchema = lazy(() => z.array(projectSchema()));

/** A directory that belongs to a project. */
export interface ProjectDirectory {
  directory: string;
  strategy?: string;
}
export const projectDirectoryListSchema = lazy(() =>
  wire<ProjectDirectory[]>(z.array(z.looseObject({ directory: z.string() }))),
);

export const updateProjectInputSchema = lazy(() =>
  z.strictObject({
    name: z.string().optional(),
    icon: z
      .strictObject({
        url: z.string().optional(),
        override: z.string().optional(),
        color: z.string().optional(),
      })
      .optional(),
    commands: z.strictObject({ start: z.string().optional() }).optional(),
  }),
);
/**
 * What to change about a project; what is left out stays as it is.
 *
 * - `icon`: `url` and `override` are URLs of images, usually `data:`.
 * - `commands`: the server runs `start` in every new worktree.
 *
 * @useDeclaredType
 */
export type UpdateProjectInput = z.infer<ReturnType<typeof updateProjectInputSchema>>;
