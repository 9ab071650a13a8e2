import type { ServerErrorInfo } from '../../client/schema/message.js';
import { RETRY_STATUS } from '../script/steps.js';

/** An error of OpenCode 2. */
export interface StructuredError {
  readonly type: string;
  readonly message: string;
  readonly status?: number;
}

/** The error of a step that was not played to its end. */
export const STEP_INTERRUPTED: StructuredError = { type: 'aborted', message: 'Step interrupted' };

const PROVIDER_ERRORS: Readonly<Record<number, string>> = {
  401: 'provider.auth',
  403: 'provider.auth',
  429: 'provider.rate-limit',
};

/** The error of OpenCode 2 for one of OpenCode 1.x, which scripts name. */
export function errorOf({ name, data }: ServerErrorInfo): StructuredError {
  const { message = name, statusCode } = (data ?? {}) as { message?: string; statusCode?: number };
  if (name === 'MessageAbortedError') return STEP_INTERRUPTED;
  if (name === 'ProviderAuthError') return { type: 'provider.auth', message };
  if (name === 'APIError') return providerError(message, statusCode ?? 400);
  return { type: 'unknown', message };
}

/** The error by which a provider refuses a call that OpenCode repeats. */
export function overloaded(message: string): StructuredError {
  return providerError(message, RETRY_STATUS);
}

function providerError(message: string, status: number): StructuredError {
  const other = status >= 500 ? 'provider.internal' : 'provider.invalid-request';
  return { type: PROVIDER_ERRORS[status] ?? other, message, status };
}
