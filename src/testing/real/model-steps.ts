import type { MockStep } from '../script/steps.js';

/** What the model can do beside the steps of a script: fail as a transport, which OpenCode may try again. */
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
 * Answers with an HTTP error; only as the first step. OpenCode does not retry a 4xx other than 429; it retries the others
 * five times within about a minute, or as `headers` say (`{ 'retry-after-ms': '50' }`).
 *
 * @param body - sent as JSON; by default an OpenAI error object.
 */
export function httpError(
  status: number,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): ModelStep {
  const error = { message: `scripted failure ${status}`, type: 'scripted_error' };
  return { type: 'http-error', status, body: body ?? { error }, headers };
}

/** Destroys the socket, in the middle of the stream if anything was streamed before. */
export function cut(): ModelStep {
  return { type: 'cut' };
}
