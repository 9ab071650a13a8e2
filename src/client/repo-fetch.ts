import { AbortScope, onAbort } from '../abort.js';
import { DisposeRefusedError, RequestError } from '../errors.js';
import type { EventHub } from './events/hub.js';
import type { Http, Release } from './http.js';
import type { FetchFunction } from './options.js';
import { pathPin, type Enter } from './repo-transport.js';
import type { OpenCodeEvent } from './schema/event.js';

/** The origin that `repo.fetch` answers for, wherever the server is. It resolves nowhere, so nothing else can answer. */
export const REPO_BASE_URL = 'http://opencode.invalid';

/** What a repository's `fetch` needs. */
export interface RepoFetchInit {
  readonly directory: string;
  readonly http: Http;
  readonly hub: EventHub;
  readonly enter: Enter;
  /** Makes sure that a session is of this repository. */
  readonly verify: (sessionID: string, signal: AbortSignal) => Promise<void>;
  /** Disposes the instance if nothing holds it. */
  readonly dispose: (signal: AbortSignal) => Promise<void>;
}

/**
 * Makes a `fetch` for one repository: each request is pinned to its directory whatever directory it names, carries the
 * credentials, holds the instance until its answer is read, and waits while the instance is being disposed.
 */
export function createRepoFetch(init: RepoFetchInit): FetchFunction {
  return async (input, requestInit) => {
    // A request links its signal for as long as it lives, so it gets none.
    const request = new Request(input, { ...requestInit, signal: null });
    const url = new URL(request.url);
    if (url.origin !== REPO_BASE_URL) {
      throw new TypeError(`Expected a URL below ${REPO_BASE_URL} (repo.baseUrl), got ${url.origin}.`);
    }
    const signal = signalOf(input, requestInit) ?? new AbortController().signal;
    signal.throwIfAborted();
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /event':
        return eventResponse(init, signal, ({ id, type, properties }) => ({ id, type, properties }));
      case 'GET /global/event':
        return eventResponse(init, signal, ({ directory, ...payload }) => ({ directory, payload }));
      case 'POST /instance/dispose':
        return disposeResponse(init, signal);
      case 'DELETE /experimental/worktree':
        throw new TypeError('Use repo.worktrees.remove(): this route deletes any directory it is given.');
      default:
        return forward(init, request, url, signal);
    }
  };
}

function signalOf(...[input, requestInit]: Parameters<FetchFunction>): AbortSignal | undefined {
  if (requestInit?.signal !== undefined) return requestInit.signal ?? undefined;
  return input instanceof Request ? input.signal : undefined;
}

async function forward(
  init: RepoFetchInit,
  request: Request,
  url: URL,
  signal: AbortSignal,
): Promise<Response> {
  const { directory, http, enter } = init;
  const { method, headers } = request;
  const sessionID = /^\/session\/(ses[^/]+)/.exec(url.pathname)?.[1];
  if (sessionID !== undefined) {
    try {
      await init.verify(decodeURIComponent(sessionID), signal);
    } catch (error) {
      // What the server says of an unknown session is its answer to the request.
      if (error instanceof RequestError) return Response.json(error.body, { status: error.status });
      throw error;
    }
  }
  // The header says it all, except to the one route that filters by the query alone, which decodes it twice.
  url.searchParams.delete('directory');
  if (method === 'GET' && url.pathname === '/session') {
    url.searchParams.set('directory', encodeURIComponent(directory));
  }
  const body = method === 'GET' || method === 'HEAD' ? undefined : await request.arrayBuffer();
  const path = pathPin(directory)(url.pathname) + url.search;
  const scope = new AbortScope([signal, http.closed]);
  const target = { method, path: url.pathname };
  try {
    return await http.following(target, scope.signal, async (begin) => {
      const leave = await enter('request', `${method} ${url.pathname}`, scope.signal);
      try {
        begin();
        const forwarded = { method, path, headers: new Headers(headers), body, directory };
        const response = await http.forward({ ...forwarded, signal: scope.signal });
        return releaseWhenRead(response, () => {
          leave();
          scope.end();
        });
      } catch (error) {
        leave();
        throw error;
      }
    });
  } catch (error) {
    scope.end();
    throw scope.signal.aborted ? scope.signal.reason : error;
  }
}

/** The same answer; `release` runs when its body was read, failed or was cancelled. */
function releaseWhenRead(response: Response, release: Release): Response {
  if (response.body === null) {
    release();
    return response;
  }
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        release();
        controller.close();
      } catch (error) {
        release();
        controller.error(error);
      }
    },
    async cancel(reason) {
      release();
      await reader.cancel(reason);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(body, { status, statusText, headers });
}

/**
 * An event stream made of the client's own connection, in the server's form: its subscriber neither loads the instance
 * nor ends with it. `jarvis.gap` tells where events may be missing.
 */
async function eventResponse(
  { hub, directory }: RepoFetchInit,
  signal: AbortSignal,
  toFrame: (event: OpenCodeEvent) => object,
): Promise<Response> {
  const encoder = new TextEncoder();
  let end = (): void => undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const write = (event: OpenCodeEvent): void => {
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(toFrame(event))}\n\n`));
      };
      const fail = (error: unknown): void => {
        end();
        controller.error(error);
      };
      const unlisten = hub.listen(undefined, {
        event: (event) => {
          const isForAll = event.type === 'server.heartbeat' || event.type.startsWith('jarvis.');
          if (event.directory === directory || isForAll) write(event);
        },
        lost: fail,
        reads: (event) => event.directory === directory,
      });
      const detach = onAbort(signal, () => fail(signal.reason));
      end = () => {
        unlisten();
        detach();
      };
      write({ directory: undefined, id: '', type: 'server.connected', properties: {} });
    },
    cancel: () => end(),
  });
  try {
    await hub.connect();
  } catch (error) {
    end();
    throw error;
  }
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

async function disposeResponse(init: RepoFetchInit, signal: AbortSignal): Promise<Response> {
  try {
    await init.dispose(signal);
    return Response.json(true);
  } catch (error) {
    if (!(error instanceof DisposeRefusedError)) throw error;
    const { name, message, holds } = error;
    return Response.json({ name, data: { message, holds } }, { status: 409 });
  }
}
