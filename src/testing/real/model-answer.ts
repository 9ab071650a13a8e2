import type { ServerResponse } from 'node:http';

/** The token counts that an answer reports. */
export interface Usage {
  readonly input: number;
  readonly output: number;
}

/** One increment of an answer, as the chat completions API writes it. */
export type Delta =
  | { readonly content: string }
  | { readonly reasoning_content: string }
  | { readonly tool_calls: readonly [ToolCallDelta] };

interface ToolCallDelta {
  readonly index: number;
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

/** One answer of the chat completions API, streamed or whole. */
export class ModelAnswer {
  readonly #response: ServerResponse;
  readonly #streamed: boolean;
  readonly #deltas: Delta[] = [];

  constructor(response: ServerResponse, streamed: boolean) {
    this.#response = response;
    this.#streamed = streamed;
  }

  /** Sends one delta, or keeps it for the end when the answer is not streamed; resolves when the socket has taken it. */
  async write(delta: Delta): Promise<void> {
    this.#deltas.push(delta);
    if (this.#streamed)
      await this.#sendChunk({ delta: { role: 'assistant', ...delta }, finish_reason: null });
  }

  /** Ends the answer normally. */
  async finish(tokens: Usage): Promise<void> {
    const calls = this.#deltas.flatMap((delta) => ('tool_calls' in delta ? delta.tool_calls : []));
    const finish_reason = calls.length > 0 ? 'tool_calls' : 'stop';
    const usage = {
      prompt_tokens: tokens.input,
      completion_tokens: tokens.output,
      total_tokens: tokens.input + tokens.output,
    };
    if (this.#streamed) {
      await this.#sendChunk({ delta: {}, finish_reason }, { usage });
      this.#response.end('data: [DONE]\n\n');
      return;
    }
    const content = this.#deltas.map((delta) => ('content' in delta ? delta.content : '')).join('');
    const message = { role: 'assistant', content, ...(calls.length > 0 && { tool_calls: calls }) };
    sendJson(this.#response, 200, { ...envelope('chat.completion', { message, finish_reason }), usage });
  }

  /** Answers with success and an empty stream. */
  finishEmpty(): void {
    this.#response.writeHead(200, { 'content-type': 'text/event-stream' }).end();
  }

  /** Answers with an HTTP error. In a stream that has begun it sends an error event, after which OpenCode does not retry. */
  fail(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#response.headersSent) this.#response.end(`data: ${JSON.stringify(body)}\n\n`);
    else sendJson(this.#response, status, body, headers);
  }

  /** Destroys the socket. */
  cut(): void {
    this.#response.destroy();
  }

  async #sendChunk(choice: object, extra: object = {}): Promise<void> {
    const response = this.#response;
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
    const chunk = JSON.stringify({ ...envelope('chat.completion.chunk', choice), ...extra });
    await new Promise<void>((resolve) => response.write(`data: ${chunk}\n\n`, () => resolve()));
  }
}

/** Answers with a JSON body. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function envelope(object: string, choice: object): object {
  return {
    id: 'chatcmpl-scripted',
    object,
    created: 0,
    model: 'scripted',
    choices: [{ index: 0, ...choice }],
  };
}
