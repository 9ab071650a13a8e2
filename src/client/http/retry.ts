import type { RetryOptions } from 'ky';
import { loadedOnce } from '../../core/lazy.js';
import { JarvisError } from '../../errors.js';

/** What a server answers that may answer soon. */
const PASSING_STATUSES = [429, 502, 503, 504];
const RETRY = { statusCodes: PASSING_STATUSES, backoffLimit: 2_000, maxRetryAfter: 30_000 };
const RETRY_GET: RetryOptions = { ...RETRY, methods: ['get'] };
const RETRY_OTHER: RetryOptions = { ...RETRY, methods: ['post', 'put', 'patch', 'delete'] };

/** Loads ky, which on Node loads all of `fetch`: a program that sends nothing pays for neither. */
const loadKy = loadedOnce(() => import('ky').then(({ default: ky }) => ky));

/** One request and how often it may be sent. */
export interface RetriedRequest {
  readonly url: string;
  readonly method: string;
  /** Sends it once. */
  readonly send: () => Promise<Response>;
  /** How often it may be sent again. */
  readonly retries: number;
  /** Ends the pause before a repetition when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Aborts, with the error, when the server has ended. Nothing is repeated on the next server here. */
  readonly lost: AbortSignal;
  /** Whether an answer of any status is returned; if not, one that is not 2xx throws an {@link HttpError}. */
  readonly passesAnyStatus: boolean;
}

/**
 * Sends a request, and sends it again when ky says so: a GET after a lost connection or a temporary status, any other
 * method only when nothing listened on the port.
 *
 * The first attempt calls `fetch` itself. Nearly every request succeeds at once, and ky then has nothing to decide. It would still
 * make a `Request`, clone it for the next attempt and wrap the answer, which costs a third of the CPU time of a call. So ky only
 * sees what may succeed later: it is handed the first outcome as if it had sent the request, and from there on it decides and waits.
 *
 * @throws {HttpError} for an answer that is not 2xx, unless any status is wanted.
 */
export function sendWithRetries(request: RetriedRequest): Promise<Response> {
  // A page that loads it only after its network has failed has lost it.
  loadKy().catch(() => undefined);
  const first = request.send();
  const { retries, method } = request;
  const isPassing = (response: Response): boolean =>
    method === 'GET' && PASSING_STATUSES.includes(response.status);
  // What is not to be repeated is its own outcome.
  if (retries === 0) return first.then((response) => accepted(request, response));
  return first.then(
    (response) => (isPassing(response) ? retry(request, first) : accepted(request, response)),
    () => retry(request, first),
  );
}

/** @throws {HttpError} for an answer that is not 2xx, unless any status is wanted. */
function accepted({ passesAnyStatus, method, url }: RetriedRequest, response: Response): Response {
  if (response.ok || passesAnyStatus) return response;
  throw new StatusError(`${method} ${url} was answered with ${response.status}`, response);
}

async function retry(request: RetriedRequest, first: Promise<Response>): Promise<Response> {
  const { url, method, send, retries, signal, lost, passesAnyStatus } = request;
  const ky = await loadKy().catch(() => undefined);
  // The network is gone, and with it what a page loads from there.
  if (ky === undefined) return accepted(request, await first);
  let last: Promise<Response> | undefined;
  return ky(url, {
    method,
    timeout: false,
    throwHttpErrors: !passesAnyStatus,
    signal,
    retry: {
      ...(method === 'GET' ? RETRY_GET : RETRY_OTHER),
      limit: retries,
      shouldRetry: ({ error }) => {
        if (signal.aborted || lost.aborted) return false;
        // A request that may change something is repeated only when it cannot have arrived.
        return method === 'GET' ? undefined : wasRefused(error);
      },
    },
    fetch: async () => {
      if (last === undefined) return (last = first);
      lost.throwIfAborted();
      await cancelBody(last);
      return (last = send());
    },
  });
}

/** Cancels the body of an answer that nobody reads, which would keep the connection occupied. */
async function cancelBody(answer: Promise<Response>): Promise<void> {
  await answer.then((response) => response.body?.cancel()).catch(() => undefined);
}

/** Reports an answer that is not 2xx; ky has one of its own with the same name. */
export interface HttpError extends Error {
  readonly response: Response;
}

class StatusError extends Error implements HttpError {
  override readonly name = 'HTTPError';
  readonly response: Response;

  constructor(message: string, response: Response) {
    super(message);
    this.response = response;
  }
}

/** Whether it is the error by which {@link sendWithRetries} reports an answer that is not 2xx. */
export function isHttpError(error: unknown): error is HttpError {
  return error instanceof Error && error.name === 'HTTPError' && 'response' in error;
}

/** Whether nothing listened on the port, so that no byte of the request was sent; for an error of `fetch` or of this library. */
export function wasRefused(error: unknown): boolean {
  const failure = error instanceof JarvisError ? error.cause : error;
  const cause = failure instanceof Error ? failure.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}
