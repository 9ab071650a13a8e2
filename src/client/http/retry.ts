import ky, { type HTTPError, type RetryOptions } from 'ky';
import { JarvisError } from '../../errors.js';

const RETRY = { statusCodes: [429, 502, 503, 504], backoffLimit: 2_000, maxRetryAfter: 30_000 };
const RETRY_GET: RetryOptions = { ...RETRY, methods: ['get'] };
const RETRY_OTHER: RetryOptions = { ...RETRY, methods: ['post', 'put', 'patch', 'delete'] };

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
  /** Whether an answer of any status is returned; if not, one that is not 2xx throws an `HTTPError` of ky. */
  readonly passesAnyStatus: boolean;
}

/**
 * Sends a request, and sends it again when ky says so: a GET after a lost connection or a temporary status, any other
 * method only when nothing listened on the port.
 *
 * The first attempt calls `fetch` itself. Nearly every request succeeds at once, and ky then has nothing to decide. It would still
 * make a `Request`, clone it for the next attempt and wrap the answer, which costs a third of the CPU time of a call. So ky only
 * sees what did not succeed: it is handed the first outcome as if it had sent the request, and from there on it decides and waits.
 */
export function sendWithRetries(request: RetriedRequest): Promise<Response> {
  const first = request.send();
  const judge = (): Promise<Response> => retry(request, first);
  // What failed and is not to be repeated is its own outcome.
  return first.then(
    (response) => (response.ok ? response : judge()),
    request.retries === 0 ? undefined : judge,
  );
}

async function retry(request: RetriedRequest, first: Promise<Response>): Promise<Response> {
  const { url, method, send, retries, signal, lost, passesAnyStatus } = request;
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

/** Whether it is the error by which ky reports an answer that is not 2xx. */
export function isHttpError(error: unknown): error is HTTPError {
  return error instanceof Error && error.name === 'HTTPError' && 'response' in error;
}

/** Whether nothing listened on the port, so that no byte of the request was sent; for an error of `fetch` or of this library. */
export function wasRefused(error: unknown): boolean {
  const failure = error instanceof JarvisError ? error.cause : error;
  const cause = failure instanceof Error ? failure.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}
