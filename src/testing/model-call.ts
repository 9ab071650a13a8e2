import type {
  AssistantMessage,
  ServerErrorInfo,
  TextPart,
  ToolPart,
  UserMessage,
} from '../client/schema/message.js';
import type { Tokens } from '../client/schema/session.js';
import type { EventBus, Place } from './event-bus.js';
import type { Ids } from './ids.js';
import { noTokens, type SessionStore } from './session-store.js';
import type { MockStep } from './steps.js';

/** What a call of the model writes to. */
export interface ModelCallInit {
  readonly place: Place;
  readonly ids: Ids;
  readonly events: EventBus;
  readonly store: SessionStore;
}

type ToolStep = Extract<MockStep, { readonly type: 'tool' }>;

/** What every call of the model counts. */
const CALL_TOKENS = { total: 15, input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } };

/** What the output of a tool is when its turn ends first. */
const ABORTED_OUTPUT = '(no output)\n\n<shell_metadata>\nUser aborted the command\n</shell_metadata>';

/** One call of the model: the assistant message that it writes, part by part. */
export class ModelCall {
  readonly #init: ModelCallInit;
  readonly #message: AssistantMessage;
  readonly #tools: { readonly part: ToolPart; readonly output: string }[] = [];
  #text: TextPart | undefined;
  #hasParts = false;

  constructor(init: ModelCallInit, prompt: UserMessage) {
    this.#init = init;
    const { directory } = init.place;
    this.#message = {
      id: init.ids.next('msg'),
      sessionID: prompt.sessionID,
      role: 'assistant',
      parentID: prompt.id,
      time: { created: Date.now() },
      modelID: prompt.model.modelID,
      providerID: prompt.model.providerID,
      mode: prompt.agent,
      agent: prompt.agent,
      path: { cwd: directory, root: directory },
      cost: 0,
      tokens: noTokens(),
    };
    this.#save();
  }

  /** Whether it called a tool: what the model says next, it says in another call. */
  get hasTools(): boolean {
    return this.#tools.length > 0;
  }

  /** Streams one piece of text. */
  addText(delta: string): void {
    this.#open();
    const { store, events, place } = this.#init;
    const now = Date.now();
    if (this.#text === undefined) {
      this.#text = { ...this.#part(), type: 'text', text: '', time: { start: now } };
      store.savePart(place, this.#text);
    }
    const { sessionID, messageID, id: partID } = this.#text;
    this.#text.text += delta;
    events.emit(place, 'message.part.delta', { sessionID, messageID, partID, field: 'text', delta });
  }

  /** The model begins to write the call of a tool; `run()` is called when it has. */
  addTool({ tool, input, output }: ToolStep): { run(): void } {
    this.#open();
    const { store, place, ids } = this.#init;
    const part: ToolPart = {
      ...this.#part(),
      type: 'tool',
      tool,
      callID: ids.next('call'),
      state: { status: 'pending', input: {}, raw: '' },
    };
    this.#tools.push({ part, output });
    store.savePart(place, part);
    return {
      run: () => {
        part.state = { status: 'running', input, time: { start: Date.now() } };
        store.savePart(place, part);
      },
    };
  }

  /** The model has said all; its tools come to their ends. Returns what it used. */
  finish(): { readonly tokens: Tokens; readonly cost: number } {
    this.#open();
    const { store, place } = this.#init;
    this.#closeText();
    for (const { part, output } of this.#tools) this.#closeTool(part, output);
    const reason = this.hasTools ? 'tool-calls' : 'stop';
    const used = { tokens: CALL_TOKENS, cost: 0 };
    store.savePart(place, { ...this.#part(), type: 'step-finish', reason, ...used });
    Object.assign(this.#message, used, { finish: reason });
    this.#message.time.completed = Date.now();
    // The server sends it twice.
    this.#save();
    this.#save();
    return used;
  }

  /** The call was cut off. */
  break(error: ServerErrorInfo): void {
    this.#closeText();
    for (const { part } of this.#tools) this.#closeTool(part, ABORTED_OUTPUT);
    this.#message.error = error;
    this.#message.time.completed = Date.now();
    this.#save();
  }

  #open(): void {
    if (this.#hasParts) return;
    this.#hasParts = true;
    this.#init.store.savePart(this.#init.place, { ...this.#part(), type: 'step-start' });
  }

  #closeText(): void {
    if (this.#text === undefined) return;
    this.#text.time = { start: this.#text.time?.start ?? Date.now(), end: Date.now() };
    this.#init.store.savePart(this.#init.place, this.#text);
    this.#text = undefined;
  }

  #closeTool(part: ToolPart, output: string): void {
    const { state } = part;
    const end = Date.now();
    const start = state.status === 'running' ? state.time.start : end;
    const { input } = state;
    part.state = { status: 'completed', input, output, title: part.tool, metadata: {}, time: { start, end } };
    this.#init.store.savePart(this.#init.place, part);
  }

  #part(): { id: string; sessionID: string; messageID: string } {
    const { id: messageID, sessionID } = this.#message;
    return { id: this.#init.ids.next('prt'), sessionID, messageID };
  }

  #save(): void {
    this.#init.store.saveMessage(this.#init.place, this.#message);
  }
}
