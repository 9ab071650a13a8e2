import type { Http } from './http.js';
import type { Acquire, HttpRequest, Page, Release, SuspendLimit } from './request.js';
import type { RequestOptions } from './request-options.js';
import { route } from './route.js';

/**
 * Takes a hold on a repository's instance and loads it if need be; resolves when it may be used, also when it could not be
 * loaded: then the server's answer says why.
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
 * Runs a call on which the server disposes the instance, guarded like a disposal: not while something holds it, and with
 * everybody else waiting until it is gone.
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
  readonly #http: Http;
  readonly #pinPath: (path: string) => string;

  constructor(http: Http, directory: string, acquire: AcquireInstance) {
    this.#http = http;
    this.directory = directory;
    this.acquire = acquire;
    this.#pinPath = pathPin(directory);
  }

  send<T>(request: RepoRequest<T>, options?: RequestOptions): Promise<T> {
    return this.#http.send(this.#pin(request), options);
  }

  /** For an operation whose answer is one page of a longer list. */
  sendPage<T>(request: RepoRequest<T[]>, options?: RequestOptions): Promise<Page<T>> {
    return this.#http.sendPage(this.#pin(request), options);
  }

  /** For an operation whose answer is plain text. */
  sendText(request: Omit<RepoRequest<string>, 'schema'>, options?: RequestOptions): Promise<string> {
    return this.#http.sendText(this.#pin(request), options);
  }

  /** For a call that needs no instance, or itself disposes it and cannot wait at the gate it has closed. */
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
 * The path of a session of which nobody knows whose it is: the server answers it from the directory that was sent, and loads no
 * other (OpenCode 1.18.33, see {@link pathPin}). To read only: what is done to a session is done in its own directory.
 *
 * @throws {TypeError} for an id that is no id.
 */
export function pathAnywhere(sessionID: string): string {
  return route`/session/${sessionID}`.replace('_', '%5F');
}

/**
 * Makes what turns a path into the one to send for this directory. OpenCode 1.18.33 runs a session route in the directory stored with the session, decoded once more: in a directory named
 * `a%20b` it would work in `a b`. It finds that session by the text of the path, so an escaped id is not found there,
 * only by the route itself, and the directory of the header counts.
 */
export function pathPin(directory: string): (path: string) => string {
  if (!changesWhenDecoded(directory)) return (path) => path;
  return (path) => path.replace(/^\/session\/ses_/, '/session/ses%5F');
}

/**
 * The value of the query parameter `directory` that stands for this directory, before it is encoded as part of a URL. OpenCode
 * 1.18.33 decodes it once more than a URL asks for, and takes what cannot be decoded as it is. Nothing is encoded
 * without need: the request line and the headers together have 16 KiB (measured), else the server answers 431.
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
