import type { Http } from '../http.js';
import type { RequestOptions } from '../options.js';
import { healthSchema, type Health } from '../schema/server.js';

/** What has no directory: the server itself. */
export class GlobalResource {
  readonly #http: Http;

  /** @internal */
  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Asks the server how it is. Loads no instance.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  health(options?: RequestOptions): Promise<Health> {
    return this.#http.send({ method: 'GET', path: '/global/health', schema: healthSchema }, options);
  }
}
