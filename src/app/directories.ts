import { RepoPathError } from '../errors.js';
import { assertPathText, assertServable, normalizePath } from '../registry/path.js';
import type { Platform } from './platform/platform.js';

/** Gives each directory one spelling, wherever it comes from. */
export class Directories {
  /** Whether the paths are on this machine. */
  readonly areLocal: boolean;
  readonly #platform: Platform;

  constructor(paths: 'local' | 'remote', platform: Platform) {
    this.areLocal = paths === 'local';
    this.#platform = platform;
  }

  /**
   * The one spelling of a directory.
   *
   * @throws {TypeError} {@link RepoPathError} if the server cannot work in this directory.
   */
  canonicalize(directory: unknown): string {
    assertPathText(directory);
    const canonical = this.#spell(directory);
    assertServable(canonical);
    return canonical;
  }

  /**
   * Makes sure that a canonical path still leads to the same directory. A path that is gone passes, because no other
   * directory has taken it.
   *
   * @throws {RepoPathError} with reason `replaced` when it has become a link to another directory.
   */
  assertSame(canonical: string): void {
    let found: string;
    try {
      found = this.#spell(canonical);
    } catch {
      return;
    }
    if (found !== canonical) throw new RepoPathError(canonical, 'replaced');
  }

  #spell(directory: string): string {
    return this.areLocal ? this.#platform.canonicalize(directory) : normalizePath(directory);
  }
}
