import type { Http, HttpRequest, Release } from './http.js';
import type { RequestOptions } from './options.js';

/** Takes a hold on a repository's instance; resolves when it may be used. */
export type Enter = (kind: 'request' | 'turn', detail: string, signal?: AbortSignal) => Promise<Release>;

/** Sends requests of one repository: each is pinned to its directory and holds its instance until it is answered. */
export class RepoTransport {
  readonly directory: string;
  readonly enter: Enter;
  readonly #http: Http;

  constructor(http: Http, directory: string, enter: Enter) {
    this.#http = http;
    this.directory = directory;
    this.enter = enter;
  }

  send<T>(request: Omit<HttpRequest<T>, 'directory' | 'admit'>, options?: RequestOptions): Promise<T> {
    const { directory } = this;
    const path = pinnedPath(request.path, directory);
    const admit = (signal: AbortSignal): Promise<Release> =>
      this.enter('request', `${request.method} ${request.path}`, signal);
    return this.#http.send({ ...request, path, directory, admit }, options);
  }
}

/**
 * OpenCode 1.18.33 runs a session route in the directory stored with the session, decoded once more: in a directory named
 * `a%20b` it would work in `a b`. It finds that session by the text of the path, so an escaped id is not found there,
 * only by the route itself, and the directory of the header counts.
 */
function pinnedPath(path: string, directory: string): string {
  return changesWhenDecoded(directory) ? path.replace(/^\/session\/ses_/, '/session/ses%5F') : path;
}

function changesWhenDecoded(directory: string): boolean {
  try {
    return decodeURIComponent(directory) !== directory;
  } catch {
    return false;
  }
}
