import { OperationRefusedError, type RequestTarget } from '../../errors.js';
import { parseInput, type RequestOptions } from '../http/request-options.js';
import type { RunAsDisposal, RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import {
  projectDirectoryListSchema,
  projectListSchema,
  projectSchema,
  updateProjectInputSchema,
  type Project,
  type ProjectDirectory,
  type UpdateProjectInput,
} from '../schema/project.js';
import { RepoResource } from './repo-resource.js';

/** The project that one repository belongs to, with its clones and worktrees. */
export class ProjectResource extends RepoResource {
  readonly #runAsDisposal: RunAsDisposal;

  /** @internal */
  constructor(transport: RepoTransport, runAsDisposal: RunAsDisposal) {
    super(transport);
    this.#runAsDisposal = runAsDisposal;
  }

  /**
   * Lists every project the server has seen, those of other repositories included.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<Project[]> {
    return this.transport.send({ method: 'GET', path: '/project', schema: projectListSchema }, options);
  }

  /**
   * Reads the project this repository belongs to, as it was when the instance was loaded.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  current(options?: RequestOptions): Promise<Project> {
    return this.transport.send({ method: 'GET', path: '/project/current', schema: projectSchema }, options);
  }

  /**
   * Makes the directory a git repository, or does nothing if it is one. If it is not, the server disposes the instance;
   * the call is refused while something holds it. The project stays `global` until the first commit.
   *
   * @throws {DisposeRefusedError} when something holds the instance; nothing was done then.
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async initGit(options?: RequestOptions): Promise<Project> {
    const current = await this.current(options);
    if (current.vcs === 'git') return current;
    return this.#runAsDisposal(
      (signal) =>
        this.transport.sendUngated(
          { method: 'POST', path: '/project/git/init', schema: projectSchema },
          { ...options, signal },
        ),
      options,
    );
  }

  /**
   * Changes the name, the icon or the commands of a project; every clone and worktree shares them.
   *
   * @param projectID - the `id` of {@link current}, which sessions call `projectID`. Directories without a commit share the
   *   project `global`.
   * @throws {OperationRefusedError} for every other project, because OpenCode 1.18.33 would change it; nothing was sent
   *   then.
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async update(projectID: string, input: UpdateProjectInput, options?: RequestOptions): Promise<Project> {
    const json = parseInput(updateProjectInputSchema, 'project', input);
    const target = { method: 'PATCH', path: route`/project/${projectID}` } as const;
    await this.#assertOwn(target, projectID, options);
    return this.transport.send({ ...target, json, schema: projectSchema }, options);
  }

  /**
   * Lists the directories of the project that the server has seen.
   *
   * @param projectID - the `id` of {@link current}.
   * @throws {OperationRefusedError} for every other project; nothing was sent then.
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async directories(projectID: string, options?: RequestOptions): Promise<ProjectDirectory[]> {
    const target = { method: 'GET', path: route`/project/${projectID}/directories` } as const;
    await this.#assertOwn(target, projectID, options);
    return this.transport.send({ ...target, schema: projectDirectoryListSchema }, options);
  }

  async #assertOwn(
    target: RequestTarget,
    projectID: string,
    options: RequestOptions | undefined,
  ): Promise<void> {
    const { id } = await this.current(options);
    if (projectID === id) return;
    const why = 'the project is not the one of this repository';
    throw new OperationRefusedError({
      ...target,
      why,
      instead: 'forRepo() with a directory of that project',
    });
  }
}
