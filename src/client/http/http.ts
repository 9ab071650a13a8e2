import ky, { HTTPError, type RetryOptions } from 'ky';
import type * as z from 'zod';
import { abortable, AbortScope, onAbort } from '../../core/abort.js';
import {
  ConnectionError,
  JarvisError,
  RequestError,
  ResponseShapeError,
  ServerLostError,
  TimeoutError,
  type RequestTarget,
} from '../../errors.js';
import { readErrorBody, readJson, readText, type ReadLimit } from './response.js';
import {
  assertRequestOptions,
  parseTimeoutMs,
  type FetchFunction,
  type RequestOptions,
} from './request-options.js';
import { ServerLink } from './server-link.js';

/** Where the server is now, and how to prove that we may talk to it. */
export interface Endpoint {
  /** Origin, e.g. `http://127.0.0.1:4096`. */
  readonly url: string;
  /** Value of the `authorization` header. */
  readonly authorization?: string | undefined;
}

/** Ends what {@link Admit} began; calling it again does nothing. */
export type Release = () => void;

/** Takes the time limit of a call off while its instance is being loaded; the returned function starts it anew. */
export type SuspendLimit = () => () => void;

/** Takes a hold on the instance a request needs and waits until it may be sent. */
export type Admit = (signal: AbortSignal, suspendLimit: SuspendLimit) => Promise<Release>;

/** One operation: where it goes, what it carries, and what it returns. */
export interface HttpRequest<T> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Encoded path, made with `route`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  readonly json?: unknown;
  readonly schema: z.ZodType<T>;
  /** The repository the request is pinned to, by its header unless its query has a `directory`. */
  readonly directory?: string | undefined;
  readonly admit?: Admit | undefined;
  /** How long its answer may be, in bytes, whatever the options say. */
  readonly maxBytes?: number | undefined;
  /** Is told when it is about to be sent: from then on it may have an effect. */
  readonly sending?: (() => void) | undefined;
}

/** A request that somebody else made. */
export interface ForwardedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: ArrayBuffer | undefined;
  /** The repository it is pinned to by its header; `undefined` when its query pins it, and for what concerns the server as a whole. */
  readonly directory: string | undefined;
  readonly signal: AbortSignal;
}

/** One page of a list. */
export interface Page<T> {
  readonly items: T[];
  /** Asks for the page after this one; `undefined` when this is the last. */
  readonly next: string | undefined;
}

export interface HttpInit {
  /** Asked for every request, because a server may come back elsewhere. */
  readonly endpoint: () => Endpoint;
  /** Ends every request with its reason. */
  readonly signal: AbortSignal;
  readonly fetch?: FetchFunction | undefined;
  /** Tells when the server is replaced by another one. @default it never is */
  readonly link?: ServerLink | undefined;
  /** How long an answer may be, in bytes. @default 256 MiB */
  readonly maxResponseBytes?: number | undefined;
  /** Finds the line of a configuration file that the body of an error complains of. @default it is not known */
  readonly lineOf?: ((body: unknown) => number | undefined) | undefined;
  /** Is told of every answer. */
  readonly answered?: (() => void) | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_RETRIES = 2;
/** The longest answer measured, a prompt of 60 MB that is read again, four times over. */
const DEFAULT_MAX_RESPONSE_BYTES = 256 * 1024 * 1024;
const RETRY = { statusCodes: [429, 502, 503, 504], backoffLimit: 2_000, maxRetryAfter: 30_000 };
const RETRY_GET: RetryOptions = { ...RETRY, methods: ['get'] };
const RETRY_OTHER: RetryOptions = { ...RETRY, methods: ['post', 'put', 'patch', 'delete'] };
/** What can be done twice. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** The header that pins a request to a directory. The server decodes it once, so `%`, `#` and non-ASCII must be encoded. */
export const DIRECTORY_HEADER = 'x-opencode-directory';

/** Sends requests to one server: pinning, time limits, retries, error mapping and parsing have their home here. */
export class Http {
  readonly #init: HttpInit;
  readonly #link: ServerLink;
  readonly #running = new Set<AbortScope>();

  constructor(init: HttpInit) {
    this.#init = init;
    this.#link = init.link ?? new ServerLink(false);
    onAbort(init.signal, () => {
      for (const scope of this.#running) scope.abort(init.signal.reason);
    });
    this.#link.onLost((error) => {
      for (const scope of this.#running) scope.interrupt(error);
    });
  }

  /**
   * Sends one request and parses its answer.
   *
   * While the server is restarted it waits, within `timeoutMs`. What was under way when the server ended is repeated on the
   * next one if that is safe.
   *
   * @throws {RequestError} when the server refuses it.
   * @throws {ConnectionError} when no answer arrives.
   * @throws {ServerLostError} when the server ended and may have executed it.
   * @throws {TimeoutError} when it takes longer than `timeoutMs`.
   * @throws {ResponseShapeError} when the answer is not what this operation returns.
   * @throws {ResponseTooLargeError} when it is longer than `maxResponseBytes`.
   */
  send<T>(request: HttpRequest<T>, options?: RequestOptions): Promise<T> {
    return this.#exchange(request, options, (target, response, limit) =>
      readJson(target, request.schema, response, limit),
    );
  }

  /** The same for an operation whose answer is one page of a longer list. */
  sendPage<T>(request: HttpRequest<T[]>, options?: RequestOptions): Promise<Page<T>> {
    return this.#exchange(request, options, async (target, response, limit) => ({
      items: await readJson(target, request.schema, response, limit),
      next: response.headers.get('x-next-cursor') ?? undefined,
    }));
  }

  /** The same for an operation whose answer is plain text. */
  sendText(request: Omit<HttpRequest<string>, 'schema'>, options?: RequestOptions): Promise<string> {
    return this.#exchange(request, options, readText);
  }

  async #exchange<T>(
    request: Omit<HttpRequest<unknown>, 'schema'>,
    options: RequestOptions = {},
    read: (target: RequestTarget, response: Response, limit: ReadLimit) => Promise<T>,
  ): Promise<T> {
    // Argument mistakes surface here, before anything is held or sent.
    assertRequestOptions(options);
    const target = { method: request.method, path: request.path };
    const timeoutMs = parseTimeoutMs('timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS);
    const maxBytes =
      request.maxBytes ??
      options.maxResponseBytes ??
      this.#init.maxResponseBytes ??
      DEFAULT_MAX_RESPONSE_BYTES;
    const retries = options.retry === false ? 0 : (options.retry ?? DEFAULT_RETRIES);
    const headers = toRecord(options.headers);
    const body = request.json === undefined ? undefined : JSON.stringify(request.json);
    const scope = new AbortScope([options.signal], {
      timeoutMs,
      reason: (limitMs) =>
        new TimeoutError(`${target.method} ${target.path}`, { phase: 'request', timeoutMs: limitMs }),
    });
    const prepared = { headers, body, retries, signal: scope.signal };
    const attempt = async (begin: () => void): Promise<T> => {
      const release = await request.admit?.(scope.signal, () => scope.suspendLimit());
      try {
        begin();
        request.sending?.();
        const answering = this.#fetch(request, prepared);
        return await scope.race(answering.then((response) => read(target, response, { maxBytes })));
      } finally {
        release?.();
      }
    };
    this.#running.add(scope);
    try {
      if (this.closed.aborted) scope.abort(this.closed.reason);
      scope.signal.throwIfAborted();
      return await this.following(target, scope.signal, attempt);
    } catch (error) {
      throw await this.#translate(target, error, scope.signal);
    } finally {
      scope.end();
      this.#running.delete(scope);
    }
  }

  /**
   * Makes attempts at one request, one per server, until one of them is not cut off by the end of its server.
   *
   * @param attempt - calls the function it is given when it begins to send.
   * @throws {ServerLostError} when the server ended and may have executed it, and it cannot be repeated.
   */
  async following<T>(
    target: RequestTarget,
    signal: AbortSignal,
    attempt: (begin: () => void) => Promise<T>,
  ): Promise<T> {
    const link = this.#link;
    let { lost } = link;
    const begin = (): void => {
      ({ lost } = link);
    };
    for (;;) {
      if (!link.isUp) await link.untilUp(signal);
      try {
        return await attempt(begin);
      } catch (error) {
        const isAnswer =
          error instanceof HTTPError || (error instanceof JarvisError && error !== lost.reason);
        if (signal.aborted || isAnswer || !(await link.hasEnded(lost, signal))) throw error;
        signal.throwIfAborted();
        if (SAFE_METHODS.has(target.method) || wasRefused(error)) continue;
        throw new ServerLostError(`${target.method} ${target.path}`, { cause: error });
      }
    }
  }

  /**
   * Opens a stream: resolves with its body as soon as the headers have arrived. No time limit applies to the body.
   *
   * @throws {RequestError} {@link ConnectionError} {@link ResponseShapeError}
   */
  async open(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const target = { method: 'GET', path };
    try {
      const request = { method: 'GET', path } as const;
      const headers = { accept: 'text/event-stream' };
      const opening = this.#fetch(request, { headers, body: undefined, retries: 0, signal });
      const response = await abortable(opening, signal);
      const type = response.headers.get('content-type') ?? 'no content type';
      if (!type.startsWith('text/event-stream') || response.body === null) {
        await response.body?.cancel();
        throw new ResponseShapeError(target, [
          { path: '', message: `expected an event stream, got ${type}` },
        ]);
      }
      return response.body;
    } catch (error) {
      throw await this.#translate(target, error, signal);
    }
  }

  /** Aborts when no request can be sent any more. */
  get closed(): AbortSignal {
    return this.#init.signal;
  }

  /**
   * Sends a request that was made elsewhere, as it is but for its origin, credentials and repository, and passes the
   * answer on, whatever its status. It is the caller's to link `signal` with {@link closed}.
   */
  async forward(request: ForwardedRequest): Promise<Response> {
    const { headers, body, signal } = request;
    const answering = this.#fetch(request, {
      headers: toRecord(headers),
      body,
      signal,
      retries: 0,
      isForwarded: true,
    });
    // Until it is answered: then its body is somebody else's to read.
    const scope = new AbortScope([signal]);
    this.#running.add(scope);
    try {
      return await scope.race(answering);
    } finally {
      scope.end();
      this.#running.delete(scope);
    }
  }

  /** Resolves or rejects; `signal` ends what is sent, but not the pause before it is repeated. */
  #fetch(
    request: { readonly method: string; readonly path: string } & Pick<
      HttpRequest<unknown>,
      'query' | 'directory'
    >,
    prepared: {
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | ArrayBuffer | undefined;
      readonly retries: number;
      readonly signal: AbortSignal;
      readonly isForwarded?: boolean;
    },
  ): Promise<Response> {
    const { body, retries, signal, isForwarded = false } = prepared;
    const endpoint = this.#init.endpoint();
    const { lost } = this.#link;
    const headers: Record<string, string> = { accept: 'application/json', ...prepared.headers };
    if (typeof body === 'string') headers['content-type'] = 'application/json';
    if (endpoint.authorization !== undefined) headers['authorization'] = endpoint.authorization;
    // Once is enough, and twice may be too much: request line and headers share one limit.
    if (request.query?.['directory'] !== undefined) delete headers[DIRECTORY_HEADER];
    else if (request.directory !== undefined)
      headers[DIRECTORY_HEADER] = encodeURIComponent(request.directory);
    const url = endpoint.url + request.path + searchOf(request.query);
    const { fetch = globalThis.fetch } = this.#init;
    const { method } = request;
    const init: RequestInit = {
      method,
      headers,
      signal,
      // Credentials must not follow a redirect elsewhere; the API has none.
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    };
    let answer: Response | undefined;
    const send = async (): Promise<Response> => {
      // An answer that nobody reads, because the request is repeated, would keep its connection.
      await answer?.body?.cancel().catch(() => undefined);
      answer = await fetch(url, init);
      this.#init.answered?.();
      return answer;
    };
    const first = send();
    // ky judges what did not succeed, and repeats it. It costs a third of what sending a request does.
    const judge = async (): Promise<Response> => {
      let attempts = 0;
      // Nobody waits for a repetition any more, or its server has ended.
      const isOver = (): boolean => signal.aborted || lost.aborted;
      return ky(url, {
        method,
        timeout: false,
        throwHttpErrors: !isForwarded,
        // Ends the pause before a repetition.
        signal,
        retry: {
          ...(method === 'GET' ? RETRY_GET : RETRY_OTHER),
          limit: retries,
          shouldRetry: ({ error }) => {
            if (isOver()) return false;
            // What may change something is repeated only when it cannot have arrived.
            return method === 'GET' ? undefined : wasRefused(error);
          },
        },
        fetch: () => {
          if (attempts++ === 0) return first;
          return lost.aborted ? Promise.reject(lost.reason) : send();
        },
      });
    };
    return first.then((response) => (response.ok ? response : judge()), judge);
  }

  /** The first cause wins: once the scope is aborted, its reason is what happened, whatever fetch made of it. */
  async #translate(target: RequestTarget, error: unknown, signal: AbortSignal): Promise<unknown> {
    if (signal.aborted) return signal.reason;
    if (error instanceof HTTPError) {
      // A browser hides what a redirect says, its status too.
      if (error.response.type === 'opaqueredirect') return new ConnectionError(target, { isRedirect: true });
      const body = await readErrorBody(error.response);
      if (signal.aborted) return signal.reason;
      const line = this.#init.lineOf?.(body);
      return new RequestError({ ...target, status: error.response.status, body, line });
    }
    return error instanceof JarvisError ? error : new ConnectionError(target, { cause: error });
  }
}

/** Nobody listened: no byte of the request was sent. */
export function wasRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}

function searchOf(query: HttpRequest<unknown>['query']): string {
  if (query === undefined) return '';
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size > 0 ? `?${search.toString()}` : '';
}

/** The headers by their names in lower case, so that ours can replace them. */
function toRecord(headers: RequestOptions['headers'] | Headers): Record<string, string> {
  return headers === undefined ? {} : Object.fromEntries(new Headers(headers));
}
