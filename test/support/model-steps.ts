/** One thing the scripted model does while it answers one request. */
export type Step =
  | { readonly type: 'text'; readonly text: string; readonly chunks: number; readonly delayMs: number }
  | { readonly type: 'reasoning'; readonly text: string; readonly chunks: number; readonly delayMs: number }
  | { readonly type: 'tool-call'; readonly tool: string; readonly input: unknown }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'wait-for'; readonly gate: Promise<unknown> }
  | { readonly type: 'hang' }
  | {
      readonly type: 'fail';
      readonly status: number;
      readonly body: unknown;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly type: 'cut' }
  | { readonly type: 'usage'; readonly input: number; readonly output: number };

/** How a text is streamed. */
export interface StreamingOptions {
  /** Number of deltas the text is split into; never more than it has characters. @default 1 */
  readonly chunks?: number;
  /** Milliseconds between two deltas. @default 0 */
  readonly delayMs?: number;
}

/** Streams `content` as answer text. */
export function text(content: string, options: StreamingOptions = {}): Step {
  return { type: 'text', text: content, chunks: options.chunks ?? 1, delayMs: options.delayMs ?? 0 };
}

/** Streams `content` as `reasoning_content`, which OpenCode shows as a reasoning part. */
export function reasoning(content: string, options: StreamingOptions = {}): Step {
  return { type: 'reasoning', text: content, chunks: options.chunks ?? 1, delayMs: options.delayMs ?? 0 };
}

/** Calls one of OpenCode's tools, e.g. `toolCall('bash', { command: 'ls', description: 'List files' })`. */
export function toolCall(tool: string, input: unknown): Step {
  return { type: 'tool-call', tool, input };
}

/** Pauses for `ms` milliseconds. */
export function wait(ms: number): Step {
  return { type: 'wait', ms };
}

/** Pauses until `gate` resolves: a test opens it when it has seen enough, so nothing sleeps and hopes. */
export function waitFor(gate: Promise<unknown>): Step {
  return { type: 'wait-for', gate };
}

/** Says nothing more until the client disconnects or the model is closed. */
export function hang(): Step {
  return { type: 'hang' };
}

/**
 * Answers with an HTTP error; only as the first step. OpenCode does not retry a 4xx other than 429; it
 * retries the others five times within about a minute, or as `headers` say (`{ 'retry-after-ms': '50' }`).
 *
 * @param body - sent as JSON; by default an OpenAI error object.
 */
export function fail(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): Step {
  return {
    type: 'fail',
    status,
    body: body ?? { error: { message: `scripted failure ${status}`, type: 'scripted_error' } },
    headers,
  };
}

/** Destroys the socket, in the middle of the stream if anything was streamed before. */
export function cut(): Step {
  return { type: 'cut' };
}

/** Reports these token counts at the end of the answer, instead of 10 and 5. */
export function usage(tokens: { readonly input: number; readonly output: number }): Step {
  return { type: 'usage', input: tokens.input, output: tokens.output };
}
