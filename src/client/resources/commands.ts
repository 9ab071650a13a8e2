import type { RequestOptions } from '../http/request-options.js';
import { commandListSchema, type Command } from '../schema/commands.js';
import { RepoResource } from './repo-resource.js';

/** The commands of one repository. `session.command()` runs one. */
export class CommandsResource extends RepoResource {
  /**
   * Lists the commands: built-in ones, those of the configuration and of MCP servers, and every skill. For this the
   * server starts the MCP servers.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  list(options?: RequestOptions): Promise<Command[]> {
    return this.transport.send({ method: 'GET', path: '/command', schema: commandListSchema }, options);
  }
}
