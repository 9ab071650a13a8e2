import type { OpenCodeMajor } from '../dialect/dialect.js';
import type { Http } from './http.js';
import type { Acquire, HttpRequest, Page, Release, SuspendLimit } from './request.js';
import type { RequestOptions } from './request-options.js';
import { route } from './route.js';

/**
 * Takes a hold on a repository's instance and loads it if need be. Resolves when the request may be sent, also when
 * loading failed: the server's answer then says why.
 *
 * @throws {TimeoutError} with phase `boot` when loading takes too long.
 */
export type AcquireInstance = (
  kind: 'request' | 'turn',
  detail: string,
  signal?: AbortSignal,
  suspendLimit?: SuspendLimit,
) => Promise<Release>;

/**
 * Runs a call that makes the server dispose the instance, under the rules of a disposal: it refuses while something
 * holds the instance, and everybody else waits at the gate until the instance is gone.
 *
 * @throws {DisposeRefusedError} when something holds the instance; nothing was sent then.
 */
export type RunAsDisposal = <T>(
  send: (signal: AbortSignal) => Promise<T>,
  options: RequestOptions | undefined,
) => Promise<T>;

/** A request before it is pinned. */
export type RepoRequest<T> = Omit<HttpRequest<T>, 'directory' | 'acquire'>;

/** Sends requests of one repository: each is pinned to its directory and holds its instance until it is answered. */
export class RepoTransport {
  readonly directory: string;
  readonly acquire: AcquireInstance;
  /** Refuses to be used when another server of the fleet has the directory by now. @throws {RepoPlacedError} */
  readonly assertHere: () => void;
  readonly #http: Http;
  readonly #pinPath: (path: string) => string;

  constructor(http: Http, directory: string, acquire: AcquireInstance, assertHere = (): void => undefined) {
    this.#http = http;
    this.directory = directory;
    this.acquire = acquire;
    this.assertHere = assertHere;
    this.#pinPath = pathPin(directory);
  }

  /** The major version of the server, as far as it is known. */
  get opencode(): OpenCodeMajor {
    return this.#http.opencode;
  }

  send<T>(request: RepoRequest<T>, options?: RequestOptions): Promise<T> {
    return this.#http.send(this.#pin(request), options);
  }

  /** Like {@link send}, for an operation that answers one page of a longer list. */
  sendPage<T>(request: RepoRequest<T[]>, options?: RequestOptions): Promise<Page<T>> {
    return this.#http.sendPage(this.#pin(request), options);
  }

  /** Like {@link send}, for an operation that answers plain text. */
  sendText(request: Omit<RepoRequest<string>, 'schema'>, options?: RequestOptions): Promise<string> {
    return this.#http.sendText(this.#pin(request), options);
  }

  /** Sends a request without waiting at the gate: it needs no instance, or it is the disposal that closed the gate. */
  sendUngated<T>(request: RepoRequest<T>, options?: RequestOptions): Promise<T> {
    const path = this.#pinPath(request.path);
    return this.#http.send({ ...request, path, directory: this.directory }, options);
  }

  #pin<R extends Pick<HttpRequest<unknown>, 'method' | 'path'>>(
    request: R,
  ): R & { directory: string; acquire: Acquire } {
    const { directory } = this;
    const detail = `${request.method} ${request.path}`;
    const acquire: Acquire = (signal, suspendLimit) => this.acquire('request', detail, signal, suspendLimit);
    return { ...request, path: this.#pinPath(request.path), directory, acquire };
  }
}

/**
 * The path that reads a session whose directory is unknown: the server answers it from the directory of the request and
 * loads no other (OpenCode 1.18.33, see {@link pathPin}). Use it only to read; a change of a session must run in the
 * session's own directory.
 *
 * @throws {TypeError} if the id is invalid.
 */
export function pathAnywhere(sessionID: string): string {
  return route`/session/${sessionID}`.replace('_', '%5F');
}

/**
 * Makes the function that turns a path into the one to send for this directory. OpenCode 1.18.33 runs a session route
 * in the directory stored with the session, decoded once more: for a directory named `a%20b` it would work in `a b`. It
 * looks that session up by the text of the path. With an escaped id this look-up finds nothing, while the route itself
 * still finds the session, so the directory of the header counts.
 */
export function pathPin(directory: string): (path: string) => string {
  if (!changesWhenDecoded(directory)) return (path) => path;
  return (path) => path.replace(/^\/session\/ses_/, '/session/ses%5F');
}

/**
 * The value of the query parameter `directory` for this directory, before URL encoding. OpenCode 1.18.33 decodes it
 * once more than a URL asks for, and takes a value that it cannot decode as it is. This encodes nothing without need:
 * beyond 16 KiB of request line and headers together (measured) the server answers 431.
 */
export function directoryQuery(directory: string): string {
  return changesWhenDecoded(directory) ? directory.replaceAll('%', '%25') : directory;
}

function changesWhenDecoded(directory: string): boolean {
  try {
    return decodeURIComponent(directory) !== directory;
  } catch {
    return false;
  }
}
