import { readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { statOf } from './stat-of.js';

/**
 * The git directory that a working tree shares with all the others of its repository: the same for the repository and each of its
 * worktrees. `undefined` for a directory that is no root of a working tree, also for one below it.
 */
export function sharedGitDirectory(directory: string): string | undefined {
  const dotGit = join(directory, '.git');
  const stat = statOf(dotGit);
  if (stat === undefined) return undefined;
  try {
    if (stat.isDirectory()) return realpathSync.native(dotGit);
    const own = /^gitdir: (.+)$/m.exec(readFileSync(dotGit, 'utf8'))?.[1]?.trim();
    if (own === undefined) return undefined;
    const gitDirectory = resolve(directory, own);
    return realpathSync.native(resolve(gitDirectory, sharedBy(gitDirectory)));
  } catch {
    return undefined;
  }
}

/** A linked worktree names the shared directory in a file; a submodule has none. */
function sharedBy(gitDirectory: string): string {
  const file = join(gitDirectory, 'commondir');
  return statOf(file) === undefined ? '.' : readFileSync(file, 'utf8').trim();
}
