import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire, withoutNulls } from './wire.js';

/** The branches of a directory. Both are absent without git; the default one is `main`, `master` or what `origin` says. */
export interface VcsInfo {
  branch?: string;
  default_branch?: string;
}
export const vcsInfoSchema = lazy(() =>
  wire<VcsInfo>(z.looseObject({}).overwrite(withoutNulls('branch', 'default_branch'))),
);

/** A file that differs from the last commit. `file` is relative to the root of the git repository. */
export interface VcsFileStatus {
  file: string;
  additions: number;
  deletions: number;
  status: 'added' | 'deleted' | 'modified';
}
export const vcsFileStatusListSchema = lazy(() =>
  wire<VcsFileStatus[]>(z.array(z.looseObject({ file: z.string() }))),
);

/** What changed in a file. `file` and the paths in `patch` are relative to the root of the git repository. */
export interface VcsFileDiff {
  file: string;
  patch?: string;
  additions: number;
  deletions: number;
  status?: 'added' | 'deleted' | 'modified';
}
export const vcsFileDiffListSchema = lazy(() =>
  wire<VcsFileDiff[]>(z.array(z.looseObject({ file: z.string() }))),
);

/** Whether a patch was applied. */
export interface VcsApplyResult {
  applied: boolean;
}
export const vcsApplyResultSchema = lazy(() => wire<VcsApplyResult>(z.looseObject({ applied: z.boolean() })));

export const vcsDiffInputSchema = lazy(() =>
  z.strictObject({
    mode: z.enum(['git', 'branch']),
    context: z.number().int().nonnegative().optional(),
  }),
);
/**
 * What to compare.
 *
 * - `mode`: `git` compares the files with the last commit, `branch` with the point where the current branch left the default
 *   one. Both include what is not committed.
 * - `context`: this many unchanged lines around a change. The whole file by default.
 *
 * @useDeclaredType
 */
export type VcsDiffInput = z.infer<ReturnType<typeof vcsDiffInputSchema>>;

export const vcsApplyInputSchema = lazy(() => z.strictObject({ patch: z.string().min(1) }));
/** A patch as git writes it, such as `diffRaw()` answers: its paths are relative to the root of the git repository. @useDeclaredType */
export type VcsApplyInput = z.infer<ReturnType<typeof vcsApplyInputSchema>>;
