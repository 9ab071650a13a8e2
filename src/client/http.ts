import ky, { HTTPError, type RetryOptions } from 'ky';
import type * as z from 'zod';
import { abortable, AbortScope } from '../abort.js';
import {
  ConnectionError,
  JarvisError,
  RequestError,
  ResponseShapeError,
  TimeoutError,
  type RequestTarget,
} from '../errors.js';
import { parseTimeoutMs, type FetchFunction, type RequestOptions } from './options.js';

/** Where the server is now, and how to prove that we may talk to it. */
export interface Endpoint {
  /** Origin, e.g. `http://127.0.0.1:4096`. */
  readonly url: string;
  /** Value of the `authorization` header. */
  readonly authorization?: string | undefined;
}

/** Ends what {@link Admit} began; calling it again does nothing. */
export type Release = () => void;

/** Takes a hold on the instance a request needs and waits until it may be sent. */
export type Admit = (signal: AbortSignal) => Promise<Release>;

/** One operation: where it goes, what it carries, and what it returns. */
export interface HttpRequest<T> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Encoded path, made with `route`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  readonly json?: unknown;
  readonly schema: z.ZodType<T>;
  /** The repository the request is pinned to. */
  readonly directory?: string | undefined;
  readonly admit?: Admit | undefined;
}

/** A request that somebody else made. */
export interface ForwardedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: ArrayBuffer | undefined;
  readonly directory: string;
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
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_RETRIES = 2;
const MAX_ERROR_BODY_BYTES = 64 * 1024;
const RETRY = { statusCodes: [429, 502, 503, 504], backoffLimit: 2_000, maxRetryAfter: 30_000 };
const RETRY_GET: RetryOptions = { ...RETRY, methods: ['get'] };
/** What may change something is repeated only when it cannot have arrived. */
const RETRY_OTHER: RetryOptions = {
  ...RETRY,
  methods: ['post', 'put', 'patch', 'delete'],
  shouldRetry: ({ error }) => wasRefused(error),
};

/** The header that pins a request to a directory. The server decodes it once, so `%`, `#` and non-ASCII must be encoded. */
export const DIRECTORY_HEADER = 'x-opencode-directory';

/** Sends requests to one server: pinning, time limits, retries, error mapping and parsing have their home here. */
export class Http {
  readonly #init: HttpInit;

  constructor(init: HttpInit) {
    this.#init = init;
  }

  /**
   * Sends one request and parses its answer.
   *
   * @throws {RequestError} when the server refuses it.
   * @throws {ConnectionError} when no answer arrives.
   * @throws {TimeoutError} when it takes longer than `timeoutMs`.
   * @throws {ResponseShapeError} when the answer is not what this operation returns.
   */
  send<T>(request: HttpRequest<T>, options?: RequestOptions): Promise<T> {
    return this.#exchange(request, options, async (target, response) =>
      parseBody(target, request.schema, await readJson(target, response)),
    );
  }

  /** The same for an operation whose answer is one page of a longer list. */
  sendPage<T>(request: HttpRequest<T[]>, options?: RequestOptions): Promise<Page<T>> {
    return this.#exchange(request, options, async (target, response) => ({
      items: parseBody(target, request.schema, await readJson(target, response)),
      next: response.headers.get('x-next-cursor') ?? undefined,
    }));
  }

  /** The same for an operation whose answer is plain text. */
  sendText(request: Omit<HttpRequest<string>, 'schema'>, options?: RequestOptions): Promise<string> {
    return this.#exchange(request, options, async (target, response) => {
      await refuseWebPage(target, response);
      return response.text();
    });
  }

  async #exchange<T>(
    request: Omit<HttpRequest<unknown>, 'schema'>,
    options: RequestOptions = {},
    read: (target: RequestTarget, response: Response) => Promise<T>,
  ): Promise<T> {
    const target = { method: request.method, path: request.path };
    const timeoutMs = parseTimeoutMs('timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS);
    const retries = parseRetries(options.retry);
    // Argument mistakes surface here, before anything is held or sent.
    const headers = toRecord(options.headers);
    const body = request.json === undefined ? undefined : JSON.stringify(request.json);
    const scope = new AbortScope([options.signal, this.#init.signal], {
      timeoutMs,
      reason: (limitMs) =>
        new TimeoutError(`${target.method} ${target.path}`, { phase: 'request', timeoutMs: limitMs }),
    });
    let release: Release | undefined;
    try {
      scope.signal.throwIfAborted();
      release = await request.admit?.(scope.signal);
      const response = await this.#fetch(request, { headers, body, retries, signal: scope.signal });
      return await read(target, response);
    } catch (error) {
      throw await this.#translate(target, error, scope.signal);
    } finally {
      release?.();
      scope.end();
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
      const response = await this.#fetch(request, { headers, body: undefined, retries: 0, signal });
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
  forward(request: ForwardedRequest): Promise<Response> {
    const { headers, body, signal } = request;
    return this.#fetch(request, { headers: toRecord(headers), body, signal, retries: 0, isForwarded: true });
  }

  async #fetch(
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
    const headers: Record<string, string> = { accept: 'application/json', ...prepared.headers };
    if (typeof body === 'string') headers['content-type'] = 'application/json';
    if (endpoint.authorization !== undefined) headers['authorization'] = endpoint.authorization;
    if (request.directory !== undefined) headers[DIRECTORY_HEADER] = encodeURIComponent(request.directory);
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
    let unread: Response | undefined;
    const send = async (): Promise<Response> => {
      // An answer that nobody reads, because the request is repeated, would keep its connection.
      await unread?.body?.cancel().catch(() => undefined);
      unread = await fetch(url, init);
      return unread;
    };
    // ky judges the status and repeats. What is sent goes past the copies it makes of a request, which take half as much CPU
    // again as sending it.
    const answering = ky(url, {
      method,
      timeout: false,
      throwHttpErrors: !isForwarded,
      retry: {
        ...(method === 'GET' ? RETRY_GET : RETRY_OTHER),
        limit: retries,
        // Nobody waits for a repetition any more.
        ...(method === 'GET' && { shouldRetry: () => (signal.aborted ? false : undefined) }),
      },
      fetch: send,
    });
    return abortable(answering, signal);
  }

  /** The first cause wins: once the scope is aborted, its reason is what happened, whatever fetch made of it. */
  async #translate(target: RequestTarget, error: unknown, signal: AbortSignal): Promise<unknown> {
    if (signal.aborted) return signal.reason;
    if (error instanceof HTTPError) {
      const body = await readErrorBody(error.response);
      if (signal.aborted) return signal.reason;
      return new RequestError({ ...target, status: error.response.status, body });
    }
    return error instanceof JarvisError ? error : new ConnectionError(target, { cause: error });
  }
}

/** Nobody listened: no byte of the request was sent. */
function wasRefused(error: unknown): boolean {
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

function parseRetries(retry: RequestOptions['retry']): number {
  if (retry === undefined) return DEFAULT_RETRIES;
  if (retry === false) return 0;
  if (typeof retry === 'number' && Number.isInteger(retry) && retry >= 0) return retry;
  throw new RangeError(`Expected retry to be a non-negative integer or false, got ${retry}.`);
}

/** The server answers every path it does not know with its web page and status 200. */
async function refuseWebPage(target: RequestTarget, response: Response): Promise<void> {
  if (response.headers.get('content-type')?.startsWith('text/html') !== true) return;
  await response.body?.cancel();
  throw new RequestError({ ...target, status: response.status });
}

async function readJson(target: RequestTarget, response: Response): Promise<unknown> {
  if (response.status === 204) {
    await response.body?.cancel();
    return undefined;
  }
  await refuseWebPage(target, response);
  const text = await response.text();
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const message = text === '' ? 'the body is empty' : 'the body is not valid JSON';
    throw new ResponseShapeError(target, [{ path: '', message }], { cause });
  }
}

function parseBody<T>(target: RequestTarget, schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  throw new ResponseShapeError(target, issues, { cause: parsed.error });
}

/** The error's body as JSON, else as text, else `undefined`; at most 64 KiB of it, and never an error of its own. */
async function readErrorBody(response: Response): Promise<unknown> {
  const text = await readBounded(response.body, MAX_ERROR_BODY_BYTES).catch(() => '');
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function readBounded(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  // Leaving the loop early cancels the rest of the body.
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    text += decoder.decode(chunk, { stream: true });
    if (bytes >= maxBytes) break;
  }
  return text + decoder.decode();
}
