import { decodeOnce } from './directory.js';
import type { Instance } from '../state/instances.js';
import type { ScriptedServer } from '../scripted-server.js';

/** A request that the mock received. */
export interface MockRequest {
  readonly method: string;
  /** The path as it was sent, percent-encoded, without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The directory by which the server handles it; `undefined` for an operation on the whole server. */
  readonly directory: string | undefined;
  /** Parsed JSON; the text of a body that is not JSON; `undefined` without a body. */
  readonly body: unknown;
}

/** A request, as a route handles it. */
export interface RouteContext {
  readonly server: ScriptedServer;
  readonly query: URLSearchParams;
  /** The parameters of the path, decoded, by name. */
  readonly params: Readonly<Record<string, string>>;
  readonly headers: Headers;
  /** @default `application/json` */
  readonly contentType: string;
  readonly bodyText: string;
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
}

/** A request for one directory, whose instance is loaded. */
export interface InstanceContext extends RouteContext {
  readonly instance: Instance;
}

type Answer = Response | Promise<Response>;

/** One operation of the mock. `pattern` has parameters as `:name`. */
export type Route =
  | { readonly method: string; readonly pattern: string; readonly global: (context: RouteContext) => Answer }
  | {
      readonly method: string;
      readonly pattern: string;
      readonly scoped: (context: InstanceContext) => Answer;
    };

/** An operation on the whole server, which loads no instance. */
export function globalRoute(
  method: string,
  pattern: string,
  answer: (context: RouteContext) => Answer,
): Route {
  return { method, pattern, global: answer };
}

/** An operation in a directory, which loads its instance. */
export function scopedRoute(
  method: string,
  pattern: string,
  answer: (context: InstanceContext) => Answer,
): Route {
  return { method, pattern, scoped: answer };
}

/**
 * The parameters of a path, decoded, by name; `undefined` when the path does not match the pattern.
 *
 * @param pattern - has parameters as `:name` or `{name}`.
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
