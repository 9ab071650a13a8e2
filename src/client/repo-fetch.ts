import { abortable, AbortScope, onAbort } from '../abort.js';
import { DisposeRefusedError, RequestError } from '../errors.js';
import { EventStream } from './events/event-stream.js';
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
 * nor ends with it. `jarvis.gap` tells where events may be missing, also those that a slow reader has not taken in time.
 */
async function eventResponse(
  { hub, directory }: RepoFetchInit,
  signal: AbortSignal,
  toFrame: (event: OpenCodeEvent) => object,
): Promise<Response> {
  const encoder = new TextEncoder();
  const encode = (event: OpenCodeEvent): Uint8Array =>
    encoder.encode(`data: ${JSON.stringify(toFrame(event))}\n\n`);
  const events = repoEvents(hub, directory);
  const reader = events[Symbol.asyncIterator]();
  let detach = (): void => undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encode({ directory: undefined, id: '', type: 'server.connected', properties: {} }));
      detach = onAbort(signal, () => {
        controller.error(signal.reason);
        void events.close();
      });
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.next();
        if (done !== true) return controller.enqueue(encode(value));
        detach();
        if (!signal.aborted) controller.close();
      } catch (error) {
        detach();
        controller.error(error);
      }
    },
    async cancel() {
      detach();
      await events.close();
    },
  });
  try {
    await abortable(events.ready, signal);
  } catch (error) {
    detach();
    throw error;
  }
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** The events of a directory with the heartbeats, which are nobody's own. */
function repoEvents(hub: EventHub, directory: string): EventStream {
  return new EventStream((stream) => {
    const isHeartbeat = (type: string): boolean => type === 'server.heartbeat';
    const push = (event: OpenCodeEvent): void => stream.push(event);
    const lost = (error: unknown): void => stream.fail(error);
    const detachAll = [
      hub.listen(directory, { event: push, lost, reads: () => true }),
      hub.listen(undefined, {
        wants: isHeartbeat,
        event: (event) => {
          if (isHeartbeat(event.type)) push(event);
        },
        lost,
      }),
    ];
    const detach = (): void => {
      for (const one of detachAll) one();
    };
    return { live: hub.connect(), detach };
  });
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
