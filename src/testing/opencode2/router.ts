import type { CustomHandlers } from '../http/custom-handlers.js';
import type { Credentials } from '../http/credentials.js';
import { parseJson } from '../http/body.js';
import { notMocked, unauthorized, webPage } from '../http/replies.js';
import type { RequestFaults } from '../http/request-faults.js';
import { matchPath, type MockRequest } from '../http/route.js';
import { readBody, refuseID } from './body.js';
import { isAbsolute, locationOf } from './location.js';
import type { OpenCode2 } from './opencode2.js';
import { empty, sessionNotFound } from './replies.js';
import { paramsOf, type Context, type Route } from './route.js';
import { UNMOCKED } from './unmocked.js';

/** What the router answers by. */
export interface OpenCode2RouterInit {
  readonly opencode: OpenCode2;
  readonly routes: readonly Route[];
  readonly credentials: Credentials;
  readonly faults: RequestFaults;
  readonly handlers: CustomHandlers;
}

/** Answers requests as OpenCode 2: by a fault, else by a handler of the test, else by a route of the mock. */
export class OpenCode2Router {
  readonly #init: OpenCode2RouterInit;

  constructor(init: OpenCode2RouterInit) {
    this.#init = init;
  }

  /** @param record - called with the request before it is answered. */
  async answer(request: Request, record: (request: MockRequest) => void): Promise<Response> {
    const { opencode, routes, credentials, faults, handlers } = this.#init;
    const { pathname: path, searchParams: query } = new URL(request.url);
    const { method, headers, signal } = request;
    const isAPI = path.startsWith('/api/') || path === '/openapi.json';
    if (isAPI && !credentials.accepts(request)) return unauthorized();
    const bodyText = await request.text();
    const found = findRoute(routes, method, path);
    const recorded: MockRequest = {
      method,
      path,
      query: Object.fromEntries(query),
      directory: this.#directoryOf(found, query, headers, bodyText),
      body: bodyText === '' ? undefined : (parseJson(bodyText) ?? bodyText),
    };
    record(recorded);
    const failure = faults.take(method, path);
    if (failure !== undefined) return failure;
    const handled = handlers.answer(recorded, headers);
    if (handled !== undefined) return handled;
    if (!isAPI) return webPage();
    if (found === undefined) return isUnmocked(method, path) ? notMocked(method, path) : empty(404);
    const { route, params } = found;
    const body = route.body === undefined ? {} : readBody(bodyText, route.body);
    if (body instanceof Response) return body;
    const location = locationOf(query, headers, opencode.server.cwd);
    const { crashes } = opencode;
    const response = await this.#run(route, { opencode, query, params, body, location, signal });
    return crashes === opencode.crashes ? response : Response.error();
  }

  #run(route: Route, context: Context): Response | Promise<Response> {
    const { sessions, instances } = this.#init.opencode.server;
    if (route.of === 'server') return route.answer(context);
    if (route.of === 'location') {
      if (!isAbsolute(context.location)) return empty(500);
      return route.answer({ ...context, instance: instances.use(context.location) });
    }
    const sessionID = context.params['sessionID'] ?? '';
    const refusal = refuseID('ses', 'sessionID', sessionID, 'Params');
    if (refusal !== undefined) return refusal;
    const session = sessions.find(sessionID);
    if (session === undefined) return sessionNotFound(sessionID);
    if (route.boots) instances.use(session.directory);
    return route.answer({ ...context, session });
  }

  /** The directory that the request is about; `undefined` for one about the whole server. */
  #directoryOf(
    found: ReturnType<typeof findRoute>,
    query: URLSearchParams,
    headers: Headers,
    bodyText: string,
  ): string | undefined {
    const { server } = this.#init.opencode;
    if (found === undefined) return undefined;
    const { route, params } = found;
    if (route.of === 'location' || route.pattern === '/api/debug/location')
      return route.method === 'GET' && route.of === 'server'
        ? undefined
        : locationOf(query, headers, server.cwd);
    if (route.of === 'session') return server.sessions.find(params['sessionID'] ?? '')?.directory;
    if (route.pattern !== '/api/session') return undefined;
    if (route.method === 'GET') return query.get('directory') ?? undefined;
    const body = parseJson(bodyText) as { location?: { directory?: string } } | null | undefined;
    return body?.location?.directory ?? server.cwd;
  }
}

function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { readonly route: Route; readonly params: Readonly<Record<string, string>> } | undefined {
  for (const route of routes) {
    const params = route.method === method ? paramsOf(route, path) : undefined;
    if (params !== undefined) return { route, params };
  }
  return undefined;
}

function isUnmocked(method: string, path: string): boolean {
  return UNMOCKED.some((operation) => {
    const [verb, pattern = ''] = operation.split(' ');
    return verb === method && matchPath(pattern, path) !== undefined;
  });
}
