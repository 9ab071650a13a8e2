import { parsePermissionPolicy, type PermissionPolicy } from '../asks/policy.js';
import type { AskOutcome, PermissionAsk } from '../asks/reply.js';
import type { AskBroker } from '../asks/broker.js';
import { parseInput, type RequestOptions } from '../http/request-options.js';
import {
  permissionReplyInputSchema,
  type PermissionReplyInput,
  type PermissionRequest,
} from '../schema/ask.js';

/**
 * The permission requests of one repository: its sessions ask before a tool may run. A turn waits for the answer
 * without limit.
 */
export class PermissionsResource {
  readonly #asks: AskBroker;

  /** @internal */
  constructor(asks: AskBroker) {
    this.#asks = asks;
  }

  /**
   * Who answers the requests of this repository, unless a session or a turn has a policy of its own; `undefined` leaves
   * it to the client. A new policy applies to requests that come after it is set. `JarvisOptions.policyScope` says for
   * which sessions.
   *
   * @throws {TypeError} {@link RangeError} if the policy is invalid.
   */
  get policy(): PermissionPolicy | undefined {
    return this.#asks.policies.permission?.source;
  }

  set policy(policy: PermissionPolicy | undefined) {
    const permission = parsePermissionPolicy('policy', policy);
    this.#asks.policies = { ...this.#asks.policies, permission };
  }

  /**
   * Reads the requests that wait for an answer now, whoever runs their sessions. It asks the server each time, so that
   * it also finds those that came while the event stream was down.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  pending(options?: RequestOptions): Promise<PermissionAsk[]> {
    return this.#asks.pending('permission', options);
  }

  /**
   * Lists the requests as the server has them. A request of an aborted turn stays listed until the instance is
   * disposed; {@link pending} lists only those that still wait.
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
