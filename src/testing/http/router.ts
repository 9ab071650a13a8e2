import type { CustomHandlers } from './custom-handlers.js';
import { directoryOfRequest } from './directory.js';
import { notMocked, webPage } from './replies.js';
import type { RequestFaults } from './request-faults.js';
import { matchPath, type MockRequest, type Route } from './route.js';
import type { ScriptedServer } from '../scripted-server.js';

/** The first path segments of the API of OpenCode 1.18.33; the server answers every other path with its web page. */
const API_ROOTS: ReadonlySet<string> = new Set([
  ...[
    'agent',
    'api',
    'auth',
    'command',
    'config',
    'doc',
    'event',
    'experimental',
    'file',
    'find',
    'formatter',
  ],
  ...['global', 'instance', 'log', 'lsp', 'mcp', 'path', 'permission', 'project', 'provider', 'pty'],
  ...['question', 'session', 'skill', 'sync', 'tui', 'vcs'],
]);

/**
 * The largest request line and headers together, in bytes. OpenCode 1.18.33 refuses a request whose longest part has between
 * 16,100 and 16,200 characters, with 200 to 300 characters of other parts.
 */
const MAX_HEAD_BYTES = 16_384;

/** What the router answers by. */
export interface RouterInit {
  readonly server: ScriptedServer;
  /** The first matching route answers. */
  readonly routes: readonly Route[];
  readonly faults: RequestFaults;
  readonly handlers: CustomHandlers;
}

/** Answers requests: by a fault, else by a handler of the test, else by a route of the mock. */
export class Router {
  readonly #server: ScriptedServer;
  readonly #init: RouterInit;

  constructor(init: RouterInit) {
    this.#server = init.server;
    this.#init = init;
  }

  /** @param record - called with the request before it is answered. */
  async answer(request: Request, record: (request: MockRequest) => void): Promise<Response> {
    const { pathname: path, search, searchParams: query } = new URL(request.url);
    const { method, headers, signal } = request;
    if (headLength(method, path + search, headers) > MAX_HEAD_BYTES)
      return new Response(null, { status: 431 });
    const bodyText = await request.text();
    const directory = isGlobal(path)
      ? undefined
      : directoryOfRequest({
          rawPath: path,
          query,
          headers,
          cwd: this.#server.cwd,
          directoryOf: (sessionID) => this.#server.sessions.find(sessionID)?.directory,
        });
    const recorded = {
      method,
      path,
      query: Object.fromEntries(query),
      directory,
      body: parseBody(bodyText),
    };
    record(recorded);
    const { faults, handlers, routes } = this.#init;
    const failure = faults.take(method, path);
    if (failure !== undefined) return failure;
    const refusal = directory === undefined ? undefined : this.#server.instances.refusalOf(directory);
    if (refusal !== undefined) return Response.json(refusal, { status: 400 });
    const handled = handlers.answer(recorded, headers);
    if (handled !== undefined) {
      // As on the server, every request for a directory loads its instance.
      if (directory !== undefined) this.#server.instances.use(directory);
      return handled;
    }
    for (const route of routes) {
      const params = route.method === method ? matchPath(route.pattern, path) : undefined;
      if (params === undefined) continue;
      const contentType = headers.get('content-type') ?? 'application/json';
      const context = { server: this.#server, query, params, headers, contentType, bodyText, signal };
      if ('global' in route) return route.global(context);
      const instance = this.#server.instances.use(directory ?? this.#server.cwd);
      return route.scoped({ ...context, instance });
    }
    const root = path.split('/')[1] ?? '';
    return API_ROOTS.has(root) ? notMocked(method, path) : webPage();
  }
}

/** The length of the request line and the headers, each with its line break. */
function headLength(method: string, target: string, headers: Headers): number {
  const lines = [`${method} ${target} HTTP/1.1`, ...[...headers].map(([name, value]) => `${name}: ${value}`)];
  return lines.reduce((length, line) => length + line.length + 2, 0);
}

/** Whether a path belongs to the whole server. */
function isGlobal(path: string): boolean {
  return /^\/(global|auth|doc|api)(\/|$)/.test(path);
}

function parseBody(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
