import { parsePermissionPolicy, type PermissionPolicy } from '../asks/policy.js';
import type { AskOutcome, PermissionAsk } from '../asks/reply.js';
import type { AskBroker } from '../asks/broker.js';
import { parseInput, type RequestOptions } from '../http/request-options.js';
import {
  permissionReplyInputSchema,
  type PermissionReplyInput,
  type PermissionRequest,
} from '../schema/ask.js';

/** What the sessions of one repository ask before a tool may run. A turn waits, without limit, until it is answered. */
export class PermissionsResource {
  readonly #asks: AskBroker;

  /** @internal */
  constructor(asks: AskBroker) {
    this.#asks = asks;
  }

  /**
   * Who answers the requests of this repository, unless a session or a turn has a policy of its own; `undefined` leaves it
   * to the client. What is set holds for requests that come from then on. `JarvisOptions.policyScope` says for which sessions.
   *
   * @throws {TypeError} {@link RangeError} for what is no policy.
   */
  get policy(): PermissionPolicy | undefined {
    return this.#asks.policies.permission?.source;
  }

  set policy(policy: PermissionPolicy | undefined) {
    const permission = parsePermissionPolicy('policy', policy);
    this.#asks.policies = { ...this.#asks.policies, permission };
  }

  /**
   * The requests that wait for an answer now, whoever runs their sessions. Read from the server each time, so that nothing
   * that came while the event stream was down is missing.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  pending(options?: RequestOptions): Promise<PermissionAsk[]> {
    return this.#asks.pending('permission', options);
  }

  /**
   * Lists what the server has, as it is. One of an aborted turn stays listed until the instance is disposed, see
   * {@link pending}.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<PermissionRequest[]> {
    return this.#asks.api.permissions(options);
  }

  /**
   * Answers a request of this repository by its id, in the server's words.
   *
   * @returns `gone` when it is not pending here: unknown, answered, or of another repository.
   * @throws {TypeError} {@link RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async reply(requestID: string, input: PermissionReplyInput, options?: RequestOptions): Promise<AskOutcome> {
    const json = parseInput(permissionReplyInputSchema, 'permission reply', input);
    return this.#asks.settle(requestID, () => this.#asks.api.replyPermission(requestID, json, options));
  }
}
