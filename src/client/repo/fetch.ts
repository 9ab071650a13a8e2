import { abortable } from '../../core/abort.js';
import type { FetchFunction } from '../http/request-options.js';
import type { RepoFetchInit } from './fetch-answer.js';

/**
 * The origin that `repo.fetch` answers for, wherever the server is. The name never resolves, so nothing else can
 * answer.
 */
export const REPO_BASE_URL = 'http://opencode.invalid';

/**
 * Makes a `fetch` for one repository. It brings each request to its canonical form, looks it up in the table of
 * operations, and pins it to the directory, whatever directory the request names. A request carries the credentials,
 * holds the instance until its answer is read, and waits while the instance is being disposed. The `fetch` refuses an
 * operation that is not in the table.
 */
export function createRepoFetch(init: RepoFetchInit): FetchFunction {
  return async (input, requestInit) => {
    const url = repoUrl(input);
    // A `Request` stays linked to its signal for as long as it lives, so it gets none.
    const request = new Request(input, { ...requestInit, signal: null });
    const signal = signalOf(input, requestInit) ?? new AbortController().signal;
    signal.throwIfAborted();
    const { method, headers } = request;
    const body = async (): Promise<ArrayBuffer | undefined> =>
      request.body === null ? undefined : abortable(request.arrayBuffer(), signal);
    // Most programs never call it.
    const { answerRequest } = await import('./fetch-answer.js');
    return answerRequest(init, { method, url, headers, body, signal });
  };
}

/**
 * Returns the URL of a request to the repository.
 *
 * @throws {TypeError} for any other URL; the message leaves credentials out.
 */
function repoUrl(input: Parameters<FetchFunction>[0]): URL {
  let url: URL | undefined;
  try {
    url = new URL(input instanceof Request ? input.url : String(input));
  } catch {
    // An invalid URL is refused like any other that is not below the base URL.
  }
  if (url?.origin !== REPO_BASE_URL) {
    const got = url === undefined ? 'what is no absolute URL' : url.origin;
    throw new TypeError(`Expected a URL below ${REPO_BASE_URL} (repo.baseUrl), got ${got}.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(`Expected a URL without credentials: ${REPO_BASE_URL} has those of the server.`);
  }
  return url;
}

function signalOf(...[input, requestInit]: Parameters<FetchFunction>): AbortSignal | undefined {
  if (requestInit?.signal !== undefined) return requestInit.signal ?? undefined;
  return input instanceof Request ? input.signal : undefined;
}
