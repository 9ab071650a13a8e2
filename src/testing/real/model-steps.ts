import type { MockStep } from '../script/steps.js';

/** The steps of a script, and failures of the transport, after which OpenCode can try again. */
export type ModelStep =
  | MockStep
  | {
      readonly type: 'http-error';
      readonly status: number;
      readonly body: unknown;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly type: 'cut' };

/**
 * Answers with an HTTP error; only as the first step. OpenCode 1.18.33 does not retry a 4xx except 429. It retries other errors
 * five times within about a minute, or as `headers` ask for (`{ 'retry-after-ms': '50' }`).
 *
 * @param body - sent as JSON. @default an OpenAI error object
 */
export function httpError(
  status: number,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): ModelStep {
  const error = { message: `scripted failure ${status}`, type: 'scripted_error' };
  return { type: 'http-error', status, body: body ?? { error }, headers };
}

/** Destroys the socket, in the middle of the stream when it has begun. */
export function cut(): ModelStep {
  return { type: 'cut' };
}
