import { parseInput, type RequestOptions } from '../options.js';
import type { RepoTransport } from '../repo-transport.js';
import {
  vcsApplyInputSchema,
  vcsApplyResultSchema,
  vcsDiffInputSchema,
  vcsFileDiffListSchema,
  vcsFileStatusListSchema,
  vcsInfoSchema,
  type VcsApplyInput,
  type VcsApplyResult,
  type VcsDiffInput,
  type VcsFileDiff,
  type VcsFileStatus,
  type VcsInfo,
} from '../schema/vcs.js';

/**
 * The version control of one repository, which is git. In a subdirectory it tells about what is below that, with paths from
 * the root of the git repository.
 */
export class VcsResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /**
   * Reads the current and the default branch. The server notices a checkout by a file watcher, so up to seconds late; it
   * then sends `vcs.branch.updated`.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  get(options?: RequestOptions): Promise<VcsInfo> {
    return this.#transport.send({ method: 'GET', path: '/vcs', schema: vcsInfoSchema }, options);
  }

  /**
   * Lists the files that differ from the last commit, untracked ones included. Empty without git.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<VcsFileStatus[]> {
    return this.#transport.send(
      { method: 'GET', path: '/vcs/status', schema: vcsFileStatusListSchema },
      options,
    );
  }

  /**
   * Reads what changed, file by file, untracked files included. With the mode `branch` it is empty on the default branch, and
   * until the server has noticed a checkout. Empty without git.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async diff(input: VcsDiffInput, options?: RequestOptions): Promise<VcsFileDiff[]> {
    const query = parseInput(vcsDiffInputSchema, 'diff', input);
    return this.#transport.send(
      { method: 'GET', path: '/vcs/diff', query, schema: vcsFileDiffListSchema },
      options,
    );
  }

  /**
   * Applies a patch to the files; nothing is staged or committed. It applies as a whole or not at all, except that git skips
   * what is outside the directory: in a subdirectory the patches of `diff()`, whose paths begin at the root of the git
   * repository, change nothing and still answer `applied: true`.
   *
   * @throws {RequestError} with status 400 and `VcsApplyError` when it does not apply (`not-clean`) or there is no git (`non-git`).
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async apply(input: VcsApplyInput, options?: RequestOptions): Promise<VcsApplyResult> {
    const json = parseInput(vcsApplyInputSchema, 'patch', input);
    return this.#transport.send(
      { method: 'POST', path: '/vcs/apply', json, schema: vcsApplyResultSchema },
      options,
    );
  }
}
