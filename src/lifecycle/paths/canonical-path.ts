import { realpathSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { RepoPathError } from '../../errors.js';

/**
 * The one spelling of a directory on this machine: absolute, without links, `..` or a trailing slash. It is what the
 * server makes of every spelling too.
 *
 * @throws {RepoPathError} when it is not absolute, does not exist, is not a directory, or cannot be read.
 */
export function canonicalPath(directory: string): string {
  if (!isAbsolute(directory)) throw new RepoPathError(directory, 'not-absolute');
  let canonical: string;
  let isDirectory: boolean;
  try {
    canonical = realpathSync.native(directory);
    isDirectory = statSync(canonical).isDirectory();
  } catch (cause) {
    throw new RepoPathError(directory, reasonOf(cause), { cause });
  }
  if (!isDirectory) throw new RepoPathError(directory, 'not-a-directory');
  return canonical;
}

function reasonOf(cause: unknown): 'not-found' | 'not-a-directory' | 'unreadable' {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'not-found';
  return code === 'ENOTDIR' ? 'not-a-directory' : 'unreadable';
}
