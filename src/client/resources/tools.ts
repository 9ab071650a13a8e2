import { parseInput, type RequestOptions } from '../http/request-options.js';
import {
  listToolsInputSchema,
  toolIDListSchema,
  toolListSchema,
  type ListToolsInput,
  type ToolListItem,
} from '../schema/tools.js';
import { RepoResource } from './repo-resource.js';

/** The tools that agents of one repository have. */
export class ToolsResource extends RepoResource {
  /**
   * Lists the ids of all tools.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  ids(options?: RequestOptions): Promise<string[]> {
    return this.transport.send(
      { method: 'GET', path: '/experimental/tool/ids', schema: toolIDListSchema },
      options,
    );
  }

  /**
   * Lists the tools as the server describes them to one model, which need not exist.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async list(input: ListToolsInput, options?: RequestOptions): Promise<ToolListItem[]> {
    const query = parseInput(listToolsInputSchema, 'model', input);
    return this.transport.send(
      { method: 'GET', path: '/experimental/tool', query, schema: toolListSchema },
      options,
    );
  }
}
