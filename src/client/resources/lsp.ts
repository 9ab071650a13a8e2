import type { RequestOptions } from '../http/request-options.js';
import { lspStatusListSchema, type LspStatus } from '../schema/lsp.js';
import { RepoResource } from './repo-resource.js';

/** The language servers of one repository. */
export class LspResource extends RepoResource {
  /**
   * Lists the language servers that run. OpenCode starts one when an agent first reads or writes a file of its
   * language.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<LspStatus[]> {
    return this.transport.send({ method: 'GET', path: '/lsp', schema: lspStatusListSchema }, options);
  }
}
