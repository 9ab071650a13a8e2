import { parseInput, type RequestOptions } from '../http/request-options.js';
import { route } from '../http/route.js';
import {
  addMcpInputSchema,
  mcpAuthCallbackInputSchema,
  mcpAuthorizationSchema,
  mcpAuthRemovedSchema,
  mcpStatusMapSchema,
  mcpStatusSchema,
  type AddMcpInput,
  type McpAuthCallbackInput,
  type McpAuthorization,
  type McpStatus,
} from '../schema/mcp.js';
import { booleanSchema } from '../schema/server.js';
import { RepoResource } from './repo-resource.js';

/**
 * The MCP servers of one repository. They belong to its instance and end with it; their credentials belong to the
 * OpenCode server.
 */
export class McpResource extends RepoResource {
  /**
   * Reads the status of each MCP server, by name. Waits for those that are starting.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<Record<string, McpStatus>> {
    return this.transport.send({ method: 'GET', path: '/mcp', schema: mcpStatusMapSchema }, options);
  }

  /**
   * Adds an MCP server, or replaces the one of that name, until the instance is disposed. Resolves with the status of
   * all when the new one is connected or has failed. To keep it, put it into the configuration.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async add(input: AddMcpInput, options?: RequestOptions): Promise<Record<string, McpStatus>> {
    const json = parseInput(addMcpInputSchema, 'MCP server', input);
    return this.transport.send({ method: 'POST', path: '/mcp', json, schema: mcpStatusMapSchema }, options);
  }

  /**
   * Connects to an MCP server, also to a disabled one. {@link status} shows how that went.
   *
   * @throws {RequestError} with status 404 when there is none of that name.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async connect(name: string, options?: RequestOptions): Promise<void> {
    await this.transport.send(
      { method: 'POST', path: route`/mcp/${name}/connect`, schema: booleanSchema },
      options,
    );
  }

  /**
   * Disconnects an MCP server, whose status becomes `disabled`.
   *
   * @throws {RequestError} with status 404 when there is none of that name.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async disconnect(name: string, options?: RequestOptions): Promise<void> {
    await this.transport.send(
      { method: 'POST', path: route`/mcp/${name}/disconnect`, schema: booleanSchema },
      options,
    );
  }

  /**
   * Begins to sign in to a remote MCP server and returns where to send the user. `authCallback()` ends the sign-in.
   *
   * @throws {RequestError} with status 404 when there is none of that name, 400 when it has no
   *   sign-in.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async authStart(name: string, options?: RequestOptions): Promise<McpAuthorization> {
    return this.transport.send(
      { method: 'POST', path: route`/mcp/${name}/auth`, schema: mcpAuthorizationSchema },
      options,
    );
  }

  /**
   * Ends a sign-in that `authStart()` began, with the code the user got; the server stores the credentials and
   * connects. After a refused code the status stays `needs_auth`.
   *
   * @throws {RequestError} with status 404 when there is none of that name, 500 when no sign-in was begun.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async authCallback(
    name: string,
    input: McpAuthCallbackInput,
    options?: RequestOptions,
  ): Promise<McpStatus> {
    const json = parseInput(mcpAuthCallbackInputSchema, 'code', input);
    return this.transport.send(
      { method: 'POST', path: route`/mcp/${name}/auth/callback`, json, schema: mcpStatusSchema },
      options,
    );
  }

  /**
   * Signs in from beginning to end: the server opens a browser on its own machine and waits until the user is done, so
   * raise `timeoutMs`. For a server without a screen use `authStart()` and `authCallback()`.
   *
   * @throws {RequestError} with status 404 when there is none of that name, 400 when it has no
   *   sign-in.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async authenticate(name: string, options?: RequestOptions): Promise<McpStatus> {
    return this.transport.send(
      { method: 'POST', path: route`/mcp/${name}/auth/authenticate`, schema: mcpStatusSchema },
      options,
    );
  }

  /**
   * Forgets the credentials of an MCP server, for every repository. A connected server stays connected until
   * `disconnect()`.
   *
   * @throws {RequestError} with status 404 when there is none of that name.
   * @throws {ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async authRemove(name: string, options?: RequestOptions): Promise<void> {
    await this.transport.send(
      { method: 'DELETE', path: route`/mcp/${name}/auth`, schema: mcpAuthRemovedSchema },
      options,
    );
  }
}
