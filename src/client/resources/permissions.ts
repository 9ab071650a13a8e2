import * as z from 'zod';
import { parseInput, type RequestOptions } from '../options.js';
import type { RepoTransport } from '../repo-transport.js';
import { route } from '../route.js';
import {
  permissionReplyInputSchema,
  permissionRequestSchema,
  type PermissionReplyInput,
  type PermissionRequest,
} from '../schema/ask.js';
import { booleanSchema } from '../schema/server.js';

const permissionListSchema = z.array(permissionRequestSchema);

/** What the sessions of one repository ask before a tool may run. A turn waits, without limit, until it is answered. */
export class PermissionsResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /**
   * Lists the pending requests. One of an aborted turn stays listed until the instance is disposed.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<PermissionRequest[]> {
    return this.#transport.send(
      { method: 'GET', path: '/permission', schema: permissionListSchema },
      options,
    );
  }

  /**
   * Answers a request of this repository.
   *
   * @throws {RequestError} with status 404 when it is not pending here: unknown, answered, or of another repository.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reply(requestID: string, input: PermissionReplyInput, options?: RequestOptions): Promise<void> {
    const json = parseInput(permissionReplyInputSchema, 'permission reply', input);
    await this.#transport.send(
      { method: 'POST', path: route`/permission/${requestID}/reply`, json, schema: booleanSchema },
      options,
    );
  }
}
