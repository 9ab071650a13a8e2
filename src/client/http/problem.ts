import { isJarvisError, type AnyJarvisError, type Problem, type TurnError } from '../../errors.js';

const TITLES: Readonly<Record<number, string>> = {
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/**
 * Makes a problem of an error, to answer an HTTP request with. Of an error that is not of this library it says nothing but that it
 * happened: its message may be a secret.
 *
 * @example
 * ```ts
 * const problem = toProblem(error);
 * return Response.json(problem, { status: problem.status, headers: { 'content-type': 'application/problem+json' } });
 * ```
 */
export function toProblem(error: unknown): Problem {
  if (!isJarvisError(error)) return problem(500, 'The server failed.');
  const reason = 'reason' in error ? { reason: error.reason } : {};
  const { code, isRetryable, retryAfterMs } = error;
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  return { ...problem(statusOf(error), error.message), code, ...reason, isRetryable, ...wait };
}

function problem(status: number, detail: string): Problem {
  return {
    type: 'about:blank',
    title: TITLES[status] ?? (status < 500 ? 'Client Error' : 'Server Error'),
    status,
    detail,
  };
}

function statusOf(error: AnyJarvisError): number {
  switch (error.code) {
    case 'REQUEST_FAILED':
      return passedOn(error.status);
    case 'REPO_PATH':
    case 'FILE_PATH':
      return error.reason === 'not-found' ? 404 : 422;
    case 'TURN_FAILED':
      return turnStatusOf(error);
    case 'SESSION_NOT_BOUND':
      return 404;
    case 'SESSION_DIRECTORY':
    case 'SESSION_ALREADY_BOUND':
    case 'REPO_PLACED':
    case 'REPO_BOUND':
    case 'REVERT_FAILED':
    case 'DISPOSE_REFUSED':
      return 409;
    case 'OPERATION_REFUSED':
      return 403;
    case 'USE_DEADLOCK':
      return 500;
    case 'UNSUPPORTED_OPERATION':
      return 501;
    case 'TIMEOUT':
      return 504;
    case 'CONNECTION_FAILED':
    case 'SERVER_START':
    case 'SERVER_LOST':
    case 'CLOSED':
      return 503;
    case 'REMOTE_TURN_FAILED':
      return remoteStatusOf(error.problem);
    default:
      return 502;
  }
}

/** The statuses of OpenCode that say the same of the application; the others are between the two servers. */
function passedOn(status: number): number {
  return status === 404 || status === 409 || status === 429 ? status : 502;
}

/** The back end that sent the problem may be none of this library. */
function remoteStatusOf({ status }: Problem): number {
  return Number.isInteger(status) && status >= 400 && status < 600 ? status : 502;
}

function turnStatusOf({ reason }: TurnError): number {
  switch (reason) {
    case 'aborted':
    case 'busy':
      return 409;
    case 'stalled':
      return 504;
    case 'interrupted':
    case 'unfinished':
    case 'not-started':
    case 'unreachable':
    case 'summarized':
      return 503;
    default:
      return 502;
  }
}
