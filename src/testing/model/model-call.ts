import type { Clock } from '../../core/clock.js';
import type {
  AssistantMessage,
  ReasoningPart,
  ServerErrorInfo,
  TextPart,
  UserMessage,
} from '../../client/schema/message.js';
import type { Tokens } from '../../client/schema/session.js';
import type { EventScope, ServerEvents } from '../state/server-events.js';
import type { Ids } from '../state/ids.js';
import { noTokens, type SessionStore } from '../state/session-store.js';
import type { MockToolResult } from '../script/steps.js';
import { ToolCall, type ToolResult } from './tool-call.js';
import type { ToolDialect } from './tool-dialect.js';
import { OPENCODE_1_TOOLS } from './tool-results.js';

/** What a call of the model writes to. */
export interface ModelCallInit {
  readonly scope: EventScope;
  readonly ids: Ids;
  readonly events: ServerEvents;
  readonly store: SessionStore;
  readonly clock: Clock;
  /** The tools of the server. @default those of OpenCode 1.18.33 */
  readonly tools?: ToolDialect | undefined;
  /** The agent that answers. @default the agent of the prompt */
  readonly agent?: string;
  /** Whether the answer is the summary of a session. @default false */
  readonly summary?: boolean;
}

/** How a call ends. */
export interface CallEnd {
  /** The `finish` of the message. @default 'tool-calls' after a tool, else 'stop' */
  readonly reason?: 'tool-calls' | 'stop' | 'unknown';
  readonly error?: ServerErrorInfo;
}

type StreamedPart = TextPart | ReasoningPart;

/** One call of the model: writes an assistant message, part by part. */
export class ModelCall {
  /** How often the provider has refused this call. */
  retries = 0;
  readonly #init: ModelCallInit;
  readonly #message: AssistantMessage;
  readonly #tools: ToolCall[] = [];
  /** Ends each tool, in the order of their calls. */
  readonly #ends: (() => Promise<void> | void)[] = [];
  #streamed: { readonly part: StreamedPart; written: string } | undefined;
  #used: Tokens & { readonly total: number } = tokensOf(10, 5);
  #hasParts = false;
  #endsTurn = false;

  constructor(init: ModelCallInit, prompt: UserMessage) {
    this.#init = init;
    const { directory } = init.scope;
    const agent = init.agent ?? prompt.agent;
    this.#message = {
      id: init.ids.next('msg'),
      sessionID: prompt.sessionID,
      role: 'assistant',
      parentID: prompt.id,
      time: { created: init.clock.now() },
      modelID: prompt.model.modelID,
      providerID: prompt.model.providerID,
      mode: agent,
      agent,
      ...(init.summary === true && { summary: true }),
      path: { cwd: directory, root: directory },
      cost: 0,
      tokens: noTokens(),
    };
    this.#save();
  }

  get messageID(): string {
    return this.#message.id;
  }

  /** Whether the model has said or done anything. */
  get hasBegun(): boolean {
    return this.#hasParts;
  }

  /** Whether it called a tool: the next text belongs to another call. */
  get hasTools(): boolean {
    return this.#tools.length > 0;
  }

  /** The results of its tools, in the order of their calls. */
  get results(): MockToolResult[] {
    return this.#tools.map((tool) => tool.result);
  }

  /** Whether the turn ends after this call: the user refused a tool, or the model gave the object it was asked for. */
  get endsTurn(): boolean {
    return this.#endsTurn;
  }

  /** Streams one piece of text. */
  addText(type: 'text' | 'reasoning', delta: string): void {
    this.#open();
    const { store, events, scope, clock } = this.#init;
    if (this.#streamed?.part.type !== type) {
      this.#closeText();
      const part: StreamedPart = { ...this.#part(), type, text: '', time: { start: clock.now() } };
      this.#streamed = { part, written: '' };
      store.savePart(scope, part);
    }
    const { sessionID, messageID, id: partID } = this.#streamed.part;
    // The server stores the text when it is complete; until then it sends deltas only.
    this.#streamed.written += delta;
    events.emit(scope, 'message.part.delta', { sessionID, messageID, partID, field: 'text', delta });
  }

  /** Begins the call of a tool, whose input is not written yet. */
  addTool(tool: string): ToolCall {
    this.#open();
    const { store, scope, ids, clock } = this.#init;
    if (this.#streamed?.part.type === 'reasoning') this.#closeText();
    const state = { status: 'pending' as const, input: {}, raw: '' };
    const part = { ...this.#part(), type: 'tool' as const, tool, callID: ids.next('call'), state };
    const call = new ToolCall(part, scope, store, clock);
    this.#tools.push(call);
    return call;
  }

  /** Sets how the tool ends: at the end of this call, or when the promise resolves. */
  endTool(tool: ToolCall, result: ToolResult | Promise<ToolResult>): void {
    const end = (settled: ToolResult): void => {
      tool.end(settled);
      if (settled.status === 'error' && settled.endsTurn === true) this.#endsTurn = true;
    };
    if (result instanceof Promise) {
      const ended = result.then(end);
      this.#ends.push(() => ended);
    } else {
      this.#ends.push(() => end(result));
    }
  }

  /** Stores the object that the prompt asks for, which ends the turn. */
  structure(value: Readonly<Record<string, unknown>>): void {
    this.#message.structured = value;
    this.#endsTurn = true;
  }

  /** Sets the tokens that the call takes. */
  use(input: number, output: number): void {
    this.#used = tokensOf(input, output);
  }

  /** Ends the text. The tools may still run. */
  close(): void {
    this.#open();
    this.#closeText();
  }

  /** Resolves when the tools have ended. */
  async toolsEnd(): Promise<void> {
    for (const end of this.#ends) await end();
  }

  /** Completes the message. @returns what the call used. */
  finish({ reason = this.hasTools ? 'tool-calls' : 'stop', error }: CallEnd = {}): {
    readonly tokens: Tokens;
    readonly cost: number;
  } {
    const { store, scope, clock } = this.#init;
    const used = { tokens: this.#used, cost: 0 };
    store.savePart(scope, { ...this.#part(), type: 'step-finish', reason, ...used });
    Object.assign(this.#message, used, { finish: reason, ...(error && { error }) });
    this.#message.time.completed = clock.now();
    // OpenCode sends the finished message twice.
    this.#save();
    this.#save();
    return used;
  }

  /** Cuts the call off: aborts its tools and stores the error. */
  break(error?: ServerErrorInfo): void {
    this.#closeText();
    const { tools = OPENCODE_1_TOOLS } = this.#init;
    for (const tool of this.#tools) tool.end(tools.aborted(tool.isAsking));
    if (error !== undefined) this.#message.error = error;
    this.#message.time.completed = this.#init.clock.now();
    this.#save();
  }

  /** Writes the part that begins every call. */
  #open(): void {
    if (this.#hasParts) return;
    this.#hasParts = true;
    this.#init.store.savePart(this.#init.scope, { ...this.#part(), type: 'step-start' });
  }

  #closeText(): void {
    if (this.#streamed === undefined) return;
    const { part, written } = this.#streamed;
    this.#streamed = undefined;
    const now = this.#init.clock.now();
    part.text = written;
    part.time = { start: part.time?.start ?? now, end: now };
    this.#init.store.savePart(this.#init.scope, part);
  }

  #part(): { id: string; sessionID: string; messageID: string } {
    const { id: messageID, sessionID } = this.#message;
    return { id: this.#init.ids.next('prt'), sessionID, messageID };
  }

  #save(): void {
    this.#init.store.saveMessage(this.#init.scope, this.#message);
  }
}

function tokensOf(input: number, output: number): Tokens & { readonly total: number } {
  return { total: input + output, input, output, reasoning: 0, cache: { read: 0, write: 0 } };
}
