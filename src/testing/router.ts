import type { CustomHandlers } from './custom-handlers.js';
import { decodeOnce, directoryOfRequest } from './directory.js';
import type { Instance } from './instances.js';
import { notMocked, webPage } from './replies.js';
import type { RequestFaults } from './request-faults.js';
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
  readonly headers: Headers;
  /** @default `application/json` */
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
    const { pathname: path, searchParams: query } = new URL(request.url);
    const { method, headers, signal } = request;
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

/** What concerns no directory. */
function isGlobal(path: string): boolean {
  return /^\/(global|auth|doc|api)(\/|$)/.test(path);
}

/**
 * What a path has in the places of a pattern that begin with a colon, or stand in braces, decoded, by name; `undefined` when
 * it is another path.
 */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of given.entries()) {
    const want = wanted[index] ?? '';
    const name = /^:(.+)$|^\{(.+)\}$/.exec(want);
    if (name !== null && segment !== '') params[name[1] ?? name[2] ?? ''] = decodeOnce(segment);
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
