import type { RequestOptions } from '../http/request-options.js';
import { formatterStatusListSchema, type FormatterStatus } from '../schema/formatter.js';
import { RepoResource } from './repo-resource.js';

/** The formatters of one repository. */
export class FormatterResource extends RepoResource {
  /**
   * Lists the formatters; empty unless the configuration switches them on.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<FormatterStatus[]> {
    return this.transport.send(
      { method: 'GET', path: '/formatter', schema: formatterStatusListSchema },
      options,
    );
  }
}
