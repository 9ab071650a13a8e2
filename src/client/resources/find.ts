import { parseInput, type RequestOptions } from '../http/request-options.js';
import {
  codeSymbolListSchema,
  findFilesInputSchema,
  findSymbolsInputSchema,
  findTextInputSchema,
  foundPathListSchema,
  textMatchListSchema,
  type CodeSymbol,
  type FindFilesInput,
  type FindSymbolsInput,
  type FindTextInput,
  type TextMatch,
} from '../schema/find.js';
import { RepoResource } from './repo-resource.js';

/** Searches one repository. It leaves out what git ignores. */
export class FindResource extends RepoResource {
  /**
   * Finds the first 10 lines that match a regular expression; an invalid one finds nothing. The server runs ripgrep, which it
   * downloads when its PATH has none.
   *
   * @throws {RequestError} with status 500 when the server cannot get ripgrep, or a match is not valid UTF-8.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async text(input: FindTextInput, options?: RequestOptions): Promise<TextMatch[]> {
    const query = parseInput(findTextInputSchema, 'text search', input);
    return this.transport.send({ method: 'GET', path: '/find', query, schema: textMatchListSchema }, options);
  }

  /**
   * Finds files and directories by a part of their path, the best match first; paths are relative to the repository,
   * those of directories end with a slash. The search finds a new file a few seconds after it was made.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async files(input: FindFilesInput, options?: RequestOptions): Promise<string[]> {
    const query = parseInput(findFilesInputSchema, 'file search', input);
    return this.transport.send(
      { method: 'GET', path: '/find/file', query, schema: foundPathListSchema },
      options,
    );
  }

  /**
   * Finds symbols by name, says the API, but OpenCode 1.18.33 always answers with an empty list and asks no language server.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async symbols(input: FindSymbolsInput, options?: RequestOptions): Promise<CodeSymbol[]> {
    const query = parseInput(findSymbolsInputSchema, 'symbol search', input);
    return this.transport.send(
      { method: 'GET', path: '/find/symbol', query, schema: codeSymbolListSchema },
      options,
    );
  }
}
