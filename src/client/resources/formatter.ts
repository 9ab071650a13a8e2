import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { formatterStatusListSchema, type FormatterStatus } from '../schema/formatter.js';

/** The formatters of one repository. */
export class FormatterResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /**
   * Lists the formatters; empty unless the configuration switches them on.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<FormatterStatus[]> {
    return this.#transport.send(
      { method: 'GET', path: '/formatter', schema: formatterStatusListSchema },
      options,
    );
  }
}
