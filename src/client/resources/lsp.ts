import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { lspStatusListSchema, type LspStatus } from '../schema/lsp.js';

/** The language servers of one repository. */
export class LspResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /**
   * Lists those that run. OpenCode starts one when an agent first reads or writes a file of its language.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<LspStatus[]> {
    return this.#transport.send({ method: 'GET', path: '/lsp', schema: lspStatusListSchema }, options);
  }
}
