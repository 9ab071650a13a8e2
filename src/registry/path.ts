import { RepoPathError } from '../errors.js';

/**
 * The one spelling of a directory on a machine that may not be ours, by its text alone: `.`, `..`, doubled and trailing
 * slashes are resolved, links are not. POSIX (`/srv/app`) and Windows (`C:\app`, `\\host\share`) paths are understood.
 *
 * @throws {RepoPathError} when it is not absolute.
 */
export function normalizePath(directory: string): string {
  const windows = /^([A-Za-z]:)[\\/]|^(\\\\[^\\/]+[\\/][^\\/]+)/.exec(directory);
  if (windows === null && !directory.startsWith('/')) throw new RepoPathError(directory, 'not-absolute');
  const root = windows?.[1]?.toUpperCase() ?? windows?.[2]?.replaceAll('/', '\\') ?? '';
  const separator = windows === null ? '/' : '\\';
  const segments: string[] = [];
  for (const segment of directory.slice(root.length).split(windows === null ? '/' : /[\\/]/)) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return root + separator + segments.join(separator);
}

/**
 * Refuses what cannot be a path anywhere.
 *
 * @throws {TypeError} unless it is a string.
 * @throws {RepoPathError} when it is empty, contains NUL or is not well-formed Unicode.
 */
export function assertPathText(directory: unknown): asserts directory is string {
  if (typeof directory !== 'string') {
    throw new TypeError(
      `Expected a repository path to be a string, got ${directory === null ? 'null' : typeof directory}.`,
    );
  }
  if (directory === '' || directory.includes('\0') || !directory.isWellFormed()) {
    throw new RepoPathError(directory, 'invalid');
  }
}

/**
 * How long a directory may be, percent-encoded. OpenCode 1.18.33 reads 16 KiB of request line and headers, and answers 431 to
 * more; the rest is for the other headers. No path of Linux (4,095 bytes) comes to it.
 */
const MAX_ENCODED_LENGTH = 15_000;

/**
 * Refuses a directory that OpenCode 1.18.33 takes without a word and then cannot work in.
 *
 * @throws {RepoPathError} with reason `backslash` or `too-long`.
 */
export function assertServable(canonical: string): void {
  if (canonical.startsWith('/') && canonical.includes('\\')) throw new RepoPathError(canonical, 'backslash');
  if (encodeURIComponent(canonical).length > MAX_ENCODED_LENGTH)
    throw new RepoPathError(canonical, 'too-long');
}
