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

/** The MCP servers of one repository. They belong to its instance, and end with it; their credentials are the server's. */
export class McpResource extends RepoResource {
  /**
   * Reads how each MCP server is doing, by name, and waits for those that are being started.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  status(options?: RequestOptions): Promise<Record<string, McpStatus>> {
    return this.transport.send({ method: 'GET', path: '/mcp', schema: mcpStatusMapSchema }, options);
  }

  /**
   * Adds an MCP server, or replaces the one of that name, until the instance is disposed; answers when it is connected or has
   * failed, with the status of all. To keep it, put it into the configuration.
   *
   * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
   */
  async add(input: AddMcpInput, options?: RequestOptions): Promise<Record<string, McpStatus>> {
    const json = parseInput(addMcpInputSchema, 'MCP server', input);
    return this.transport.send({ method: 'POST', path: '/mcp', json, schema: mcpStatusMapSchema }, options);
  }

  /**
   * Connects to an MCP server, also to one that is disabled. How that went, {@link status} tells.
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
   * Disconnects an MCP server; its status is `disabled` then.
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
   * Begins to sign in to a remote MCP server: answers where to send the user. `authCallback()` ends it.
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
   * Ends a sign-in that `authStart()` began, with the code the user got; the server stores the credentials and connects. A
   * code that is refused leaves the status `needs_auth`.
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
   * Signs in from beginning to end: the server opens a browser on its own machine and waits until the user is done. Raise
   * `timeoutMs`; a server without a screen needs `authStart()` and `authCallback()`.
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
   * Forgets the credentials of an MCP server, for every repository. One that is connected stays so until `disconnect()`.
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
