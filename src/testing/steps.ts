/** One thing the model does while it answers a prompt, a union on `type`. Make them with `text()`, `tool()` and so on. */
export type MockStep =
  | { readonly type: 'text'; readonly text: string; readonly chunks: number | undefined }
  | {
      readonly type: 'tool';
      readonly tool: string;
      readonly input: Readonly<Record<string, unknown>>;
      readonly output: string;
    }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'wait-for'; readonly gate: PromiseLike<unknown> }
  | {
      readonly type: 'fail';
      readonly name: string;
      readonly message: string;
      readonly data: Readonly<Record<string, unknown>>;
    }
  | { readonly type: 'hang' };

/** How {@link text} is streamed. */
export interface TextOptions {
  /**
   * Number of deltas, never more than the text has characters.
   *
   * @default one for each word
   */
  readonly chunks?: number | undefined;
}

/**
 * Streams answer text. Texts that follow each other are one text part; after a {@link tool} a new message begins, as the
 * model is then called again.
 *
 * @throws {RangeError} unless `chunks` is a positive integer.
 */
export function text(content: string, options: TextOptions = {}): MockStep {
  const { chunks } = options;
  if (chunks !== undefined && !(Number.isInteger(chunks) && chunks > 0)) {
    throw new RangeError(`Expected chunks to be a positive integer, got ${chunks}.`);
  }
  return { type: 'text', text: content, chunks };
}

/**
 * Calls a tool. It stays `running` until the next text, or the end of the script, and then completes with `output`; a
 * `wait()` in between lets it run that long. Tools that follow each other run at the same time.
 */
export function tool(name: string, input: Readonly<Record<string, unknown>>, output: string): MockStep {
  return { type: 'tool', tool: name, input, output };
}

/**
 * Pauses for `ms` milliseconds, by `setTimeout`, so that fake timers drive it.
 *
 * @throws {RangeError} unless `ms` is a number that is not negative.
 */
export function wait(ms: number): MockStep {
  if (!(ms >= 0)) throw new RangeError(`Expected ms to be a number that is not negative, got ${ms}.`);
  return { type: 'wait', ms };
}

/** Pauses until `gate` resolves: a test opens it when it has seen enough. The turn fails when it rejects. */
export function waitFor(gate: PromiseLike<unknown>): MockStep {
  return { type: 'wait-for', gate };
}

/**
 * Ends the turn with an error, as OpenCode names it: `APIError`, `ProviderAuthError`, `ContextOverflowError`, …
 *
 * @param data - more of the error's `data`, beside `message`.
 */
export function fail(name: string, message: string, data: Readonly<Record<string, unknown>> = {}): MockStep {
  return { type: 'fail', name, message, data };
}

/** Does nothing more, for ever: the turn ends by an abort or a disposal only. */
export function hang(): MockStep {
  return { type: 'hang' };
}
