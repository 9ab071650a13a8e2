import { parseInput, type RequestOptions } from '../http/request-options.js';
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
import { RepoResource } from './repo-resource.js';

/**
 * The version control of one repository, which is git. In a subdirectory it covers what is below that, with paths from
 * the root of the git repository.
 */
export class VcsResource extends RepoResource {
  /**
   * Reads the current and the default branch, as they were when the instance was loaded. The server notices a checkout, and
   * sends `vcs.branch.updated`, only after the first prompt or `files.list()`, which start its file watcher.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  get(options?: RequestOptions): Promise<VcsInfo> {
    return this.transport.send({ method: 'GET', path: '/vcs', schema: vcsInfoSchema }, options);
  }

  /**
   * Lists the files that differ from the last commit, untracked ones included. Empty without git. The server takes
   * milliseconds for each untracked file (OpenCode 1.18.33 on a busy machine with 2 cores: 7 to 20 s for 1,000, 52 s for
   * 10,000; the same without this library). The `timeoutMs` of the call, 60 s by default, ends it: give a longer one where there
   * may be thousands, or let git ignore them.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<VcsFileStatus[]> {
    return this.transport.send(
      { method: 'GET', path: '/vcs/status', schema: vcsFileStatusListSchema },
      options,
    );
  }

  /**
   * Reads what changed, file by file, untracked files included, which take even longer than for {@link status}; the same
   * `timeoutMs` ends it. Empty without git; with the mode `branch` also where `get()` answers the default branch, or none.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async diff(input: VcsDiffInput, options?: RequestOptions): Promise<VcsFileDiff[]> {
    const query = parseInput(vcsDiffInputSchema, 'diff', input);
    return this.transport.send(
      { method: 'GET', path: '/vcs/diff', query, schema: vcsFileDiffListSchema },
      options,
    );
  }

  /**
   * Reads what differs from the last commit as one patch in git's format, untracked files included. Empty without git.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError}
   */
  diffRaw(options?: RequestOptions): Promise<string> {
    return this.transport.sendText({ method: 'GET', path: '/vcs/diff/raw' }, options);
  }

  /**
   * Applies a patch to the files; nothing is staged or committed. When one file does not fit, none is changed. In a
   * subdirectory the server skips what the patch changes outside, and still answers `applied: true`.
   *
   * @throws {RequestError} with status 400 and `VcsApplyError` when it does not apply (`not-clean`) or there is no git (`non-git`).
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async apply(input: VcsApplyInput, options?: RequestOptions): Promise<VcsApplyResult> {
    const json = parseInput(vcsApplyInputSchema, 'patch', input);
    return this.transport.send(
      { method: 'POST', path: '/vcs/apply', json, schema: vcsApplyResultSchema },
      options,
    );
  }
}
