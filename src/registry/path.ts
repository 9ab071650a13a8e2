import { RepoPathError } from '../errors.js';

/**
 * Gives a directory one spelling by its text alone, because it may be on another machine: resolves `.`, `..`, doubled
 * and trailing slashes, but no links. Takes POSIX (`/srv/app`) and Windows (`C:\app`, `\\host\share`) paths.
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
 * Refuses a value that cannot be a path on any system.
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
 * How many characters a percent-encoded directory may have. OpenCode 1.18.33 reads 16 KiB of request line and headers
 * and answers 431 to more; the difference leaves room for the other headers. A Linux path (up to 4,095 bytes) stays
 * below this.
 */
const MAX_ENCODED_LENGTH = 15_000;

/**
 * Refuses a directory that OpenCode 1.18.33 accepts without an error and then cannot work in.
 *
 * @throws {RepoPathError} with reason `backslash` or `too-long`.
 */
export function assertServable(canonical: string): void {
  if (canonical.startsWith('/') && canonical.includes('\\')) throw new RepoPathError(canonical, 'backslash');
  if (encodeURIComponent(canonical).length > MAX_ENCODED_LENGTH)
    throw new RepoPathError(canonical, 'too-long');
}
