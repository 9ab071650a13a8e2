import type { CustomHandlers } from './custom-handlers.js';
import { directoryOfRequest } from './directory.js';
import { notMocked, webPage } from './replies.js';
import type { RequestFaults } from './request-faults.js';
import { matchPath, type MockRequest, type Route } from './route.js';
import type { ScriptedServer } from '../scripted-server.js';

/** What the API of OpenCode 1.18.33 begins with; the server answers anything else with its web page. */
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

/** How long the request line and the headers may be together (OpenCode 1.18.33: between 16,100 and 16,200 characters of either, with 200 to 300 of the rest). */
const MAX_HEAD_BYTES = 16_384;

/** What the router asks before it answers by itself. */
export interface RouterInit {
  readonly server: ScriptedServer;
  /** The first that matches answers. */
  readonly routes: readonly Route[];
  readonly faults: RequestFaults;
  readonly handlers: CustomHandlers;
}

/** Finds the route of a request and lets it answer: a fault before a handler of the test, and that before the mock. */
export class Router {
  readonly #server: ScriptedServer;
  readonly #init: RouterInit;

  constructor(init: RouterInit) {
    this.#server = init.server;
    this.#init = init;
  }

  /** @param record - is told of the request before it is answered. */
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
      // As on the server, whatever is asked of a directory loads its instance.
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

/** The length of the request line and the headers, each with what separates it from the next. */
function headLength(method: string, target: string, headers: Headers): number {
  const lines = [`${method} ${target} HTTP/1.1`, ...[...headers].map(([name, value]) => `${name}: ${value}`)];
  return lines.reduce((length, line) => length + line.length + 2, 0);
}

/** What concerns no directory. */
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
