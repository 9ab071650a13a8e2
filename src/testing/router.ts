import { decodeOnce, directoryOfRequest } from './directory.js';
import type { Instance } from './instances.js';
import { notMocked, webPage } from './replies.js';
import type { ScriptedServer } from './scripted-server.js';

/** What the mock was asked. */
export interface MockRequest {
  readonly method: string;
  /** As it was sent, with its escapes, without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The directory the server took it for; `undefined` for what concerns none. */
  readonly directory: string | undefined;
  /** Parsed, when it is JSON; the text of any other; `undefined` when there was none. */
  readonly body: unknown;
}

/** A request on its way to a route. */
export interface RouteContext {
  readonly server: ScriptedServer;
  readonly query: URLSearchParams;
  /** What the path has in the places of the pattern that begin with a colon, decoded, by name. */
  readonly params: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly bodyText: string;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** A route that is about one directory: its instance is loaded by now. */
export interface InstanceContext extends RouteContext {
  readonly instance: Instance;
}

type Answer = Response | Promise<Response>;

/** One operation. */
export type Route =
  | { readonly method: string; readonly pattern: string; readonly global: (context: RouteContext) => Answer }
  | {
      readonly method: string;
      readonly pattern: string;
      readonly scoped: (context: InstanceContext) => Answer;
    };

/** An operation on the server as a whole: it loads no instance. */
export function globalRoute(
  method: string,
  pattern: string,
  answer: (context: RouteContext) => Answer,
): Route {
  return { method, pattern, global: answer };
}

/** An operation in a directory. */
export function scopedRoute(
  method: string,
  pattern: string,
  answer: (context: InstanceContext) => Answer,
): Route {
  return { method, pattern, scoped: answer };
}

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

/** Finds the route of a request and lets it answer. */
export class Router {
  readonly #server: ScriptedServer;
  readonly #routes: readonly Route[];

  /** @param routes - the first that matches answers. */
  constructor(server: ScriptedServer, routes: readonly Route[]) {
    this.#server = server;
    this.#routes = routes;
  }

  /** @param record - is told of the request before it is answered. */
  async answer(request: Request, record: (request: MockRequest) => void): Promise<Response> {
    const { pathname: path, searchParams: query } = new URL(request.url);
    const { method, headers, signal } = request;
    const bodyText = await request.text();
    const directory = path.startsWith('/global/')
      ? undefined
      : directoryOfRequest({
          rawPath: path,
          query,
          headers,
          cwd: this.#server.cwd,
          directoryOf: (sessionID) => this.#server.sessions.find(sessionID)?.directory,
        });
    record({ method, path, query: Object.fromEntries(query), directory, body: parseBody(bodyText) });
    for (const route of this.#routes) {
      const params = route.method === method ? matchPath(route.pattern, path) : undefined;
      if (params === undefined) continue;
      const contentType = headers.get('content-type') ?? 'application/json';
      const context = { server: this.#server, query, params, contentType, bodyText, signal };
      if ('global' in route) return route.global(context);
      const instance = this.#server.instances.use(directory ?? this.#server.cwd);
      return route.scoped({ ...context, instance });
    }
    const root = path.split('/')[1] ?? '';
    return API_ROOTS.has(root) ? notMocked(method, path) : webPage();
  }
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of given.entries()) {
    const want = wanted[index] ?? '';
    if (want.startsWith(':') && segment !== '') params[want.slice(1)] = decodeOnce(segment);
    else if (want !== segment) return undefined;
  }
  return params;
}

function parseBody(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
