import type { AssistantMessage, ToolPart } from '../../client/schema/message.js';
import type { Tokens } from '../../client/schema/session.js';
import { nextMacrotask } from '../next-macrotask.js';
import type { Ids } from '../state/ids.js';
import { errorOf, STEP_INTERRUPTED, type StructuredError } from './errors.js';
import type { SendFrame } from './event-stream.js';
import { ABORTED, ENDS_TURN } from './tools.js';

/** The mock takes no snapshots: this is that of an empty directory. */
const SNAPSHOT = 'a383868b6d7d052bae54aa4a1f7d2c1fb3695d0a';

/** How a step of the model ended. */
export type StepEnd =
  | { readonly type: 'ended' }
  | { readonly type: 'aborted' }
  /** The user has declined one of its tools. */
  | { readonly type: 'declined' }
  | { readonly type: 'failed'; readonly error: StructuredError };

/** Part of a message that streams. */
export interface StreamedText {
  readonly id: string;
  readonly type: 'text' | 'reasoning';
  readonly text: string;
  readonly time?: { readonly end?: number };
}

/** Tells what happens in one step: one call of the model, and its tools. */
export class StepNarrator {
  readonly messageID: string;
  readonly #directory: string;
  readonly #sessionID: string;
  readonly #send: SendFrame;
  readonly #ids: Ids;
  readonly #texts = new Map<string, { readonly ordinal: number; isOpen: boolean }>();
  readonly #counts = { text: 0, reasoning: 0 };
  /** The calls of tools whose shell has begun. */
  readonly #shells = new Set<string>();
  readonly #tools = new Map<string, 'input' | 'called' | 'ended'>();
  /** What is told when the answer of the model is complete. */
  #waiting: (() => void)[] = [];
  #isStreamed = false;
  /** Whether a tool was not run to its end. */
  #isCut = false;
  #isDeclined = false;
  /** The end of the answer that is to be told soon, unless another tool is called. */
  #soon: object | undefined;
  #end: StepEnd | undefined;

  constructor(directory: string, info: AssistantMessage, send: SendFrame, ids: Ids) {
    this.messageID = info.id;
    this.#directory = directory;
    this.#sessionID = info.sessionID;
    this.#send = send;
    this.#ids = ids;
    this.start(info, info.time.created);
  }

  get end(): StepEnd | undefined {
    return this.#end;
  }

  /** Tells that the model is called; again when the provider has refused the call. */
  start({ agent, providerID, modelID, variant }: AssistantMessage, started: number): void {
    const model = { id: modelID, providerID, ...(variant !== undefined && { variant }) };
    this.#tell('session.step.started', { agent, model, snapshot: SNAPSHOT, started });
  }

  retry(attempt: number, at: number, error: StructuredError): void {
    this.#tell('session.retry.scheduled', { attempt, at, error });
  }

  text({ id, type, text, time }: StreamedText): void {
    let known = this.#texts.get(id);
    if (known === undefined) {
      known = { ordinal: this.#counts[type]++, isOpen: true };
      this.#texts.set(id, known);
      this.#tell(`session.${type}.started`, { ordinal: known.ordinal, ...stateOf(type) });
    }
    if (time?.end === undefined || !known.isOpen) return;
    known.isOpen = false;
    this.#tell(`session.${type}.ended`, { ordinal: known.ordinal, text, ...stateOf(type) });
  }

  delta(partID: string, type: 'text' | 'reasoning', delta: string): void {
    const known = this.#texts.get(partID);
    if (known !== undefined) this.#tell(`session.${type}.delta`, { ordinal: known.ordinal, delta });
  }

  tool({ callID: id, tool: name, state }: ToolPart): void {
    const known = this.#tools.get(id);
    if (known === 'ended') return;
    if (known === undefined) {
      this.#soon = undefined;
      this.#tools.set(id, 'input');
      this.#tell('session.tool.input.started', { id, name });
    }
    if (state.status === 'pending') return;
    if (this.#tools.get(id) === 'input') this.#call(id, state.input);
    else if (state.status === 'running') {
      this.streamed();
      this.#tell('session.tool.progress', { id, metadata: state.metadata ?? {} });
    }
    if (state.status === 'completed') {
      if (name === 'shell') this.ran(id);
      const more = name === 'shell' ? { status: 'completed', exit: 0 } : {};
      const metadata = { ...state.metadata, truncated: false, ...more };
      const content = [{ type: 'text', text: state.output }];
      this.#finish(id, 'session.tool.success', { id, content, metadata, executed: false });
    } else if (state.status === 'error') {
      const isAborted = ABORTED.has(state.error);
      this.#isCut ||= isAborted;
      this.#isDeclined ||= ENDS_TURN.has(state.error);
      const error = { type: isAborted ? 'aborted' : 'tool.execution', message: state.error };
      this.#finish(id, 'session.tool.failed', { id, error, executed: false });
    }
  }

  /** Tells something when the answer of the model is complete: its tools ask then. */
  afterAnswer(tell: () => void): void {
    if (this.#isStreamed) tell();
    else this.#waiting.push(tell);
  }

  /** Tells that a shell has begun. */
  ran(id: string): void {
    this.streamed();
    if (this.#shells.has(id)) return;
    this.#shells.add(id);
    this.#tell('session.tool.progress', { id, metadata: { shellID: this.#ids.next('sh') } });
  }

  /** Tells that the answer of the model is complete. */
  streamed(): void {
    this.#soon = undefined;
    if (!this.#isStreamed) {
      this.#isStreamed = true;
      this.#tell('session.step.streamed', {});
    }
    for (const tell of this.#waiting.splice(0)) tell();
  }

  /** Tells how the step ended. @returns what it used; `undefined` when that is unknown. */
  finish(info: AssistantMessage): { readonly cost: number; readonly tokens: Tokens } | undefined {
    const { cost, tokens, finish, error } = info;
    const hasContent = this.#counts.text + this.#counts.reasoning + this.#tools.size > 0;
    if (hasContent || finish !== undefined) this.streamed();
    const ids = { snapshot: SNAPSHOT, files: [] };
    const used = { cost, tokens: tokensOf(tokens) };
    const hasTools = this.#tools.size > 0;
    const rawFinish = finish === 'tool-calls' || hasTools ? 'tool_calls' : finish;
    if (finish !== undefined && error === undefined && !this.#isCut) {
      this.#end = { type: 'ended' };
      this.#tell('session.step.ended', { finish, rawFinish, ...used, ...ids });
      return used;
    }
    const failure = error === undefined ? STEP_INTERRUPTED : errorOf(error);
    if (this.#isDeclined) this.#end = { type: 'declined' };
    else if (failure !== STEP_INTERRUPTED) this.#end = { type: 'failed', error: failure };
    else this.#end = finish === undefined ? { type: 'aborted' } : { type: 'ended' };
    const more = hasTools ? { rawFinish, ...used } : {};
    this.#tell('session.step.failed', { error: failure, ...more, ...ids });
    return hasTools ? used : undefined;
  }

  /** Forgets what is to be told, because the process has ended. */
  crash(): void {
    this.#soon = undefined;
    this.#waiting = [];
    this.#isStreamed = true;
  }

  #call(id: string, input: Readonly<Record<string, unknown>>): void {
    this.#tools.set(id, 'called');
    this.#tell('session.tool.input.ended', { id, text: JSON.stringify(input) });
    this.#tell('session.tool.called', { id, input, executed: false });
    if (this.#isStreamed) return;
    const soon = {};
    this.#soon = soon;
    void this.#streamedSoon(soon);
  }

  /** Consecutive tools of a script are called in one answer: it is complete when no other has followed. */
  async #streamedSoon(soon: object): Promise<void> {
    await nextMacrotask();
    await nextMacrotask();
    if (this.#soon === soon) this.streamed();
  }

  #finish(id: string, type: 'session.tool.success' | 'session.tool.failed', data: object): void {
    this.streamed();
    this.#tools.set(id, 'ended');
    this.#tell(type, data);
  }

  #tell(type: Parameters<SendFrame>[1], data: object): void {
    this.#send(this.#directory, type, {
      sessionID: this.#sessionID,
      assistantMessageID: this.messageID,
      ...data,
    });
  }
}

function stateOf(type: 'text' | 'reasoning'): object {
  return type === 'reasoning' ? { state: { reasoningField: 'reasoning_content' } } : {};
}

function tokensOf({ input, output, reasoning, cache }: Tokens): Tokens {
  return { input, output, reasoning, cache };
}
