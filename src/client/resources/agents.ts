import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { agentListSchema, type Agent } from '../schema/agents.js';

/** The agents of one repository. */
export class AgentsResource {
  readonly #transport: RepoTransport;

  /** @internal */
  constructor(transport: RepoTransport) {
    this.#transport = transport;
  }

  /**
   * Lists the agents that come with OpenCode and those of the configuration, hidden ones included.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<Agent[]> {
    return this.#transport.send({ method: 'GET', path: '/agent', schema: agentListSchema }, options);
  }
}
