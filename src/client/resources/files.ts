import { parseInput, type RequestOptions } from '../http/request-options.js';
import {
  directoryPathSchema,
  fileContentSchema,
  fileNodeListSchema,
  filePathSchema,
  fileStatusListSchema,
  type FileContent,
  type FileNode,
  type FileStatus,
} from '../schema/files.js';
import { RepoResource } from './repo-resource.js';

/**
 * The files of one repository. Paths are relative to it, or absolute within it. The server answers every other one with a
 * status 500 that does not say why, also when it leads outside only through a symbolic link.
 */
export class FilesResource extends RepoResource {
  /**
   * Lists what is in a directory, directories first. `.` and an empty path are the repository itself.
   *
   * @throws {RequestError} with status 500 when there is no such directory in the repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async list(path: string, options?: RequestOptions): Promise<FileNode[]> {
    const query = { path: parseInput(directoryPathSchema, 'path', path) };
    return this.transport.send({ method: 'GET', path: '/file', query, schema: fileNodeListSchema }, options);
  }

  /**
   * Reads a file to look at. The server trims a text at both ends, so writing it back would change the file, and a file that
   * is not there reads as an empty text.
   *
   * @throws {RequestError} with status 500 when the path is a directory or outside the repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async read(path: string, options?: RequestOptions): Promise<FileContent> {
    const query = { path: parseInput(filePathSchema, 'path', path) };
    return this.transport.send(
      { method: 'GET', path: '/file/content', query, schema: fileContentSchema },
      options,
    );
  }

  /**
   * Lists changed files, says the API, but OpenCode 1.18.33 always answers with an empty list: use `repo.vcs.status()`.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<FileStatus[]> {
    return this.transport.send(
      { method: 'GET', path: '/file/status', schema: fileStatusListSchema },
      options,
    );
  }
}
