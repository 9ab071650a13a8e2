import { abortable, AbortScope, onAbort } from '../../core/abort.js';
import {
  ConnectionError,
  JarvisError,
  RequestError,
  ResponseShapeError,
  ServerLostError,
  TimeoutError,
  type RequestTarget,
  retryAfterOf,
} from '../../errors.js';
import { untraced, type CallTrace, type Tracing } from '../../core/tracing.js';
import type {
  CarryOut,
  DialectSource,
  Exchange,
  OpenCodeMajor,
  OperationAnswer,
} from '../dialect/dialect.js';
import { alwaysOpenCode1 } from '../dialect/opencode1.js';
import { loadAdvice } from './load-advice.js';
import { parseBody, readErrorBody, readJson, readText, type ReadLimit } from './response.js';
import {
  assertRequestOptions,
  parseTimeoutMs,
  type FetchFunction,
  type RequestOptions,
} from './request-options.js';
import {
  DIRECTORY_HEADER,
  type Endpoint,
  type ForwardedRequest,
  type HttpRequest,
  type Page,
} from './request.js';
import { isHttpError, sendWithRetries, wasRefused } from './retry.js';
import { ServerLink } from './server-link.js';

export interface HttpInit {
  /** Called for every request, because a restarted server may have another address. */
  readonly endpoint: () => Endpoint;
  /** How the server at hand is spoken to. @default as OpenCode 1.18 */
  readonly dialects?: DialectSource | undefined;
  /** Ends every request; they reject with its reason. */
  readonly signal: AbortSignal;
  readonly fetch?: FetchFunction | undefined;
  /** Reports when another server replaces this one. @default none ever does */
  readonly link?: ServerLink | undefined;
  /** How long an answer may be, in bytes. @default 256 MiB */
  readonly maxResponseBytes?: number | undefined;
  /**
   * Finds the line of a configuration file that the body of an error complains about. @default the line stays unknown
   */
  readonly lineOf?: ((body: unknown) => number | undefined) | undefined;
  /** Called for each request that belongs to no repository; the returned function at its end. */
  readonly use?: (() => (() => void) | undefined) | undefined;
  /** Publishes the begin and the end of each request. @default nobody can listen */
  readonly tracing?: Tracing | undefined;
  /** Called at every answer. */
  readonly onActivity?: (() => void) | undefined;
}

/** How an answer becomes a result: that of the server, or that of a dialect. */
interface AnswerReader<T> {
  readonly read: (target: RequestTarget, response: Response, limit: ReadLimit) => Promise<T>;
  readonly take: (target: RequestTarget, answer: OperationAnswer) => T;
}

/** What the options of a call make of its request. */
interface PreparedRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | ArrayBuffer | undefined;
  readonly retries: number;
  readonly signal: AbortSignal;
  readonly isForwarded?: boolean;
  readonly fetch?: EventFetch | undefined;
}

/** Sends the request for an event stream. */
export type EventFetch = (url: string, init: RequestInit) => Promise<Response>;

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_RETRIES = 2;
/** Four times the longest answer measured, which was a prompt of 60 MB read back. */
const DEFAULT_MAX_RESPONSE_BYTES = 256 * 1024 * 1024;
/** Methods that change nothing, so their requests can be sent twice. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** Sends requests to one server: pins them, limits their time, maps their errors and parses their answers. */
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
   * While the server restarts, the request waits, within `timeoutMs`. If the server ends while the request is under
   * way, it is repeated on the next server if that is safe.
   *
   * @throws {RequestError} when the server refuses it.
   * @throws {ConnectionError} when no answer arrives.
   * @throws {ServerLostError} when the server ended and may have executed the request.
   * @throws {TimeoutError} when it takes longer than `timeoutMs`.
   * @throws {ResponseShapeError} when the answer is not what this operation returns.
   * @throws {ResponseTooLargeError} when it is longer than `maxResponseBytes`.
   */
  send<T>(request: HttpRequest<T>, options?: RequestOptions): Promise<T> {
    return this.#exchange(request, options, {
      read: (target, response, limit) => readJson(target, request.schema, response, limit),
      take: (target, { body }) => parseBody(target, request.schema, body),
    });
  }

  /** Like {@link send}, for an operation that answers one page of a longer list. */
  sendPage<T>(request: HttpRequest<T[]>, options?: RequestOptions): Promise<Page<T>> {
    return this.#exchange(request, options, {
      read: async (target, response, limit) => ({
        items: await readJson(target, request.schema, response, limit),
        next: response.headers.get('x-next-cursor') ?? undefined,
      }),
      take: (target, { body, next }) => ({ items: parseBody(target, request.schema, body), next }),
    });
  }

  /** Like {@link send}, for an operation that answers plain text. */
  sendText(request: Omit<HttpRequest<string>, 'schema'>, options?: RequestOptions): Promise<string> {
    return this.#exchange(request, options, { read: readText, take: (_target, { body }) => String(body) });
  }

  #exchange<T>(
    request: Omit<HttpRequest<unknown>, 'schema'>,
    options: RequestOptions | undefined,
    reader: AnswerReader<T>,
  ): Promise<T> {
    const { method, path, directory } = request;
    return this.#traced({ method, path, directory }, () => this.#exchangeUntraced(request, options, reader));
  }

  /** Publishes the begin and the end of a call, but not its answer, which may contain credentials. */
  #traced<T>(call: CallTrace, run: () => Promise<T>): Promise<T> {
    const { tracing = untraced } = this.#init;
    if (!tracing.isTraced('call')) return run();
    const answer: { value?: T } = {};
    const traced = tracing.trace('call', call, async () => {
      answer.value = await run();
    });
    return traced.then(() => answer.value as T);
  }

  async #exchangeUntraced<T>(
    request: Omit<HttpRequest<unknown>, 'schema'>,
    options: RequestOptions = {},
    { read, take }: AnswerReader<T>,
  ): Promise<T> {
    // Wrong arguments throw here, before the call takes a hold or sends anything.
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
      const release = await request.acquire?.(scope.signal, () => scope.suspendLimit());
      try {
        // For each attempt: the next server may be of another version.
        const dialect = await this.#dialects.dialect();
        begin();
        const carryOut = dialect.operation(request);
        request.onSend?.();
        const answering =
          carryOut === undefined
            ? this.#fetch(request, prepared).then((response) => read(target, response, { maxBytes }))
            : this.#carryOut(carryOut, prepared, maxBytes).then((answer) => take(target, answer));
        return await scope.race(answering);
      } finally {
        release?.();
      }
    };
    this.#running.add(scope);
    const letGo = request.directory === undefined ? this.#init.use?.() : undefined;
    try {
      if (this.closed.aborted) scope.abort(this.closed.reason);
      scope.signal.throwIfAborted();
      return await this.withFailover(target, scope.signal, attempt);
    } catch (error) {
      throw await this.#translate(target, error, scope.signal);
    } finally {
      scope.end();
      letGo?.();
      this.#running.delete(scope);
    }
  }

  /** Carries out an operation by the requests of another dialect. They share the time limit of the operation. */
  async #carryOut(carryOut: CarryOut, prepared: PreparedRequest, maxBytes: number): Promise<OperationAnswer> {
    const send: Exchange['send'] = async (request) => {
      const { method, path, json, schema } = request;
      const target = { method, path };
      const body = json === undefined ? undefined : JSON.stringify(json);
      try {
        const response = await this.#fetch(request, { ...prepared, body });
        return await readJson(target, schema, response, { maxBytes });
      } catch (error) {
        throw isHttpError(error) ? await this.#translate(target, error, prepared.signal) : error;
      }
    };
    return carryOut({ send });
  }

  /** The major version of the server, as far as it is known. */
  get opencode(): OpenCodeMajor {
    return this.#dialects.opencode;
  }

  /** Whether there is a server to send to; else it sleeps, restarts or is lost. */
  get isUp(): boolean {
    return this.#link.isReady;
  }

  /**
   * Waits until there is a server to send to, and has one that sleeps started.
   *
   * @throws what the start fails with, and the reason of `signal`, or of {@link closed}, when that aborts first.
   */
  async untilUp(signal: AbortSignal): Promise<void> {
    const scope = new AbortScope([signal, this.closed]);
    try {
      await this.#link.untilUp(scope.signal);
    } finally {
      scope.end();
    }
  }

  get #dialects(): DialectSource {
    return this.#init.dialects ?? alwaysOpenCode1;
  }

  /**
   * Attempts one request, once per server, until an attempt is not cut off by the end of its server.
   *
   * @param attempt - makes one attempt; it calls `begin` just before it sends.
   * @throws {ServerLostError} when the server ended and may have executed the request, and repeating it is not safe.
   */
  async withFailover<T>(
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
      if (!link.isReady) await link.untilUp(signal);
      try {
        return await attempt(begin);
      } catch (error) {
        const isAnswer = isHttpError(error) || (error instanceof JarvisError && error !== lost.reason);
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
   * @param fetch - sends the request. @default what sends all others
   * @throws {RequestError} {@link ConnectionError} {@link ResponseShapeError}
   */
  async openEventStream(
    path: string,
    signal: AbortSignal,
    fetch?: EventFetch,
  ): Promise<ReadableStream<Uint8Array>> {
    const target = { method: 'GET', path };
    try {
      const request = { method: 'GET', path } as const;
      const headers = { accept: 'text/event-stream' };
      const opening = this.#fetch(request, { headers, body: undefined, retries: 0, signal, fetch });
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

  /** Aborts when this object can send no more requests. */
  get closed(): AbortSignal {
    return this.#init.signal;
  }

  /**
   * Sends a request that somebody else made: it sets only origin, credentials and repository, and returns the answer,
   * whatever its status. The caller must link `signal` with {@link closed}.
   */
  forward(request: ForwardedRequest): Promise<Response> {
    const [path = ''] = request.path.split('?', 1);
    const { method, directory } = request;
    return this.#traced({ method, path, directory }, () => this.#forwardUntraced(request));
  }

  async #forwardUntraced(request: ForwardedRequest): Promise<Response> {
    const { headers, body, signal } = request;
    const answering = this.#fetch(request, {
      headers: toRecord(headers),
      body,
      signal,
      retries: 0,
      isForwarded: true,
    });
    // The scope ends with the answer: its body is for the caller to read.
    const scope = new AbortScope([signal]);
    this.#running.add(scope);
    try {
      return await scope.race(answering);
    } finally {
      scope.end();
      this.#running.delete(scope);
    }
  }

  /** Sends a request, again if it may be repeated; `signal` ends it. */
  #fetch(
    request: { readonly method: string; readonly path: string } & Pick<
      HttpRequest<unknown>,
      'query' | 'directory'
    >,
    prepared: PreparedRequest,
  ): Promise<Response> {
    const { body, retries, signal, isForwarded = false } = prepared;
    const endpoint = this.#init.endpoint();
    const headers: Record<string, string> = { accept: 'application/json', ...prepared.headers };
    if (typeof body === 'string') headers['content-type'] = 'application/json';
    if (endpoint.authorization !== undefined) headers['authorization'] = endpoint.authorization;
    // The query names the directory already. Naming it in the header too could exceed the limit that request line and
    // headers share.
    if (request.query?.['directory'] !== undefined) delete headers[DIRECTORY_HEADER];
    else if (request.directory !== undefined)
      headers[DIRECTORY_HEADER] = encodeURIComponent(request.directory);
    const url = endpoint.url + request.path + searchOf(request.query);
    const fetch = prepared.fetch ?? this.#init.fetch ?? globalThis.fetch;
    const { method } = request;
    const init: RequestInit = {
      method,
      headers,
      signal,
      // A redirect must not carry the credentials elsewhere. The API itself never redirects.
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    };
    const send = async (): Promise<Response> => {
      const answer = await fetch(url, init);
      this.#init.onActivity?.();
      return answer;
    };
    const { lost } = this.#link;
    return sendWithRetries({ url, method, send, retries, signal, lost, passesAnyStatus: isForwarded });
  }

  /** Maps an error. The first cause wins: once `signal` is aborted, its reason is the error, whatever `fetch` threw. */
  async #translate(target: RequestTarget, error: unknown, signal: AbortSignal): Promise<unknown> {
    if (signal.aborted) return signal.reason;
    if (isHttpError(error)) {
      // A browser hides the content of a redirect and its status.
      if (error.response.type === 'opaqueredirect') return new ConnectionError(target, { isRedirect: true });
      const body = await readErrorBody(error.response);
      if (signal.aborted) return signal.reason;
      const { status, headers } = error.response;
      const retryAfterMs = retryAfterOf((name) => headers.get(name));
      const line = this.#init.lineOf?.(body);
      const advice = loadAdvice(target, status);
      return new RequestError({ ...target, status, body, line, advice, retryAfterMs });
    }
    return error instanceof JarvisError ? error : new ConnectionError(target, { cause: error });
  }
}

function searchOf(query: HttpRequest<unknown>['query']): string {
  if (query === undefined) return '';
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size > 0 ? `?${search.toString()}` : '';
}

/** Returns the headers with their names in lower case, so that the library's own can replace them. */
function toRecord(headers: RequestOptions['headers'] | Headers): Record<string, string> {
  return headers === undefined ? {} : Object.fromEntries(new Headers(headers));
}
