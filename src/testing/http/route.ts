import { decodeOnce } from './directory.js';
import type { Instance } from '../state/instances.js';
import type { ScriptedServer } from '../scripted-server.js';

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
