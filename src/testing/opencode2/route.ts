import { decodeOnce } from '../http/directory.js';
import { matchPath } from '../http/route.js';
import type { SessionInfo } from '../../client/schema/session.js';
import type { Instance } from '../state/instances.js';
import type { BodyFields } from './body.js';
import type { OpenCode2 } from './opencode2.js';

/** A request, as a route handles it. */
export interface Context {
  readonly opencode: OpenCode2;
  readonly query: URLSearchParams;
  /** The parameters of the path, decoded, by name. */
  readonly params: Readonly<Record<string, string>>;
  /** The parsed body; `{}` for a route without one. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The directory that the query or the header names, else that of the server. */
  readonly location: string;
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
}

/** A request for one location, which is loaded. */
export interface LocationContext extends Context {
  readonly instance: Instance;
}

/** A request for one session. */
export interface SessionContext extends Context {
  readonly session: SessionInfo;
}

type Answer = Response | Promise<Response>;

interface RouteBase {
  readonly method: string;
  /** Has parameters as `:name`; `*` at its end stands for the rest of the path. */
  readonly pattern: string;
  /** The fields of the body that are checked. @default no body is read */
  readonly body?: BodyFields | undefined;
}

/** One operation of the mock. */
export type Route = RouteBase &
  (
    | { readonly of: 'server'; readonly answer: (context: Context) => Answer }
    | { readonly of: 'location'; readonly answer: (context: LocationContext) => Answer }
    /** `boots` says whether the operation loads the location of the session. */
    | {
        readonly of: 'session';
        readonly boots: boolean;
        readonly answer: (context: SessionContext) => Answer;
      }
  );

type More = Pick<RouteBase, 'body'>;

/** An operation on the whole server: whatever is sent, no location is loaded. */
export function serverRoute(
  method: string,
  pattern: string,
  answer: (context: Context) => Answer,
  more: More = {},
): Route {
  return { method, pattern, of: 'server', answer, ...more };
}

/** An operation in a location, which it loads. */
export function locationRoute(
  method: string,
  pattern: string,
  answer: (context: LocationContext) => Answer,
  more: More = {},
): Route {
  return { method, pattern, of: 'location', answer, ...more };
}

/** An operation on a session: its directory is that of the session, whatever is sent. */
export function sessionRoute(
  method: string,
  pattern: string,
  answer: (context: SessionContext) => Answer,
  more: More & { readonly boots?: boolean } = {},
): Route {
  return { method, pattern, of: 'session', answer, boots: false, ...more };
}

/** The parameters of a path, with the rest of it as `*`; `undefined` when it does not match. */
export function paramsOf({ pattern }: Route, path: string): Record<string, string> | undefined {
  if (!pattern.endsWith('/*')) return matchPath(pattern, path);
  const start = pattern.slice(0, -1);
  return path.startsWith(start) ? { '*': decodeOnce(path.slice(start.length)) } : undefined;
}
