import type { Clock } from '../../core/clock.js';
import type { ToolPart } from '../../client/schema/message.js';
import type { EventScope } from '../state/server-events.js';
import type { SessionStore } from '../state/session-store.js';
import type { MockToolResult } from '../script/steps.js';

/** How a tool call ended. */
export type ToolResult =
  | {
      readonly status: 'completed';
      readonly output: string;
      readonly title?: string;
      readonly metadata?: Record<string, unknown>;
    }
  | {
      readonly status: 'error';
      readonly error: string;
      readonly metadata?: Record<string, unknown>;
      /** Whether the turn ends with it. @default false */
      readonly endsTurn?: boolean;
    };

/** One call of a tool, from the state `pending` to its end. */
export class ToolCall {
  /** Whether it waits for an answer of the user. */
  isAsking = false;
  readonly #part: ToolPart;
  readonly #scope: EventScope;
  readonly #store: SessionStore;
  readonly #clock: Clock;
  #isOpen = true;

  constructor(part: ToolPart, scope: EventScope, store: SessionStore, clock: Clock) {
    this.#part = part;
    this.#scope = scope;
    this.#store = store;
    this.#clock = clock;
    this.#save();
  }

  get id(): { readonly messageID: string; readonly callID: string } {
    return { messageID: this.#part.messageID, callID: this.#part.callID };
  }

  /** The result as the model receives it. */
  get result(): MockToolResult {
    const { tool, state } = this.#part;
    const { input } = state;
    const output = state.status === 'completed' ? state.output : state.status === 'error' ? state.error : '';
    return { tool, input, output };
  }

  /** Sets the state `running`. Called again when the title or the metadata change. */
  run(
    input: Record<string, unknown>,
    more: { title?: string; metadata?: Record<string, unknown> } = {},
  ): void {
    const { state } = this.#part;
    const time = state.status === 'running' ? state.time : { start: this.#clock.now() };
    this.#part.state = { status: 'running', input, ...more, time };
    this.#save();
  }

  /** Ends the call. Later ends change nothing. */
  end(result: ToolResult): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { state } = this.#part;
    const end = this.#clock.now();
    const time = { start: state.status === 'running' ? state.time.start : end, end };
    const { input } = state;
    if (result.status === 'error') {
      const { error, metadata } = result;
      this.#part.state = { status: 'error', input, error, ...(metadata && { metadata }), time };
    } else {
      const { output, title = titleOf(this.#part.tool, input), metadata = {} } = result;
      this.#part.state = { status: 'completed', input, output, title, metadata, time };
    }
    this.#save();
  }

  #save(): void {
    this.#store.savePart(this.#scope, this.#part);
  }
}

function titleOf(tool: string, { command, filePath }: Record<string, unknown>): string {
  return typeof command === 'string' ? command : typeof filePath === 'string' ? filePath : tool;
}
