import type { RequestOptions } from '../http/request-options.js';
import { agentListSchema, type Agent } from '../schema/agents.js';
import { RepoResource } from './repo-resource.js';

/** The agents of one repository. */
export class AgentsResource extends RepoResource {
  /**
   * Lists the agents that come with OpenCode and those of the configuration, hidden ones included.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<Agent[]> {
    return this.transport.send({ method: 'GET', path: '/agent', schema: agentListSchema }, options);
  }
}
