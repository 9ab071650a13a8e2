import { abortable } from '../../core/abort.js';
import type { ServerErrorInfo, UserMessage } from '../../client/schema/message.js';
import type { SessionStatus } from '../../client/schema/session.js';
import type { Catalog } from '../state/catalog.js';
import { ModelCall, type CallEnd, type ModelCallInit } from './model-call.js';

/** A title that OpenCode makes of a prompt is never longer, in UTF-16 code units. */
const MAX_TITLE_LENGTH = 50;

/** What the calls of a turn need of the server. */
export interface TurnCallsInit extends ModelCallInit {
  readonly sessionID: string;
  readonly catalog: Catalog;
}

/** The calls of the model in one turn, one after the other, and the status that the session has meanwhile. */
export class TurnCalls {
  readonly #init: TurnCallsInit;
  /** The call that has not ended. */
  #current: ModelCall | undefined;
  #status: SessionStatus = { type: 'busy' };
  #answerID: string | undefined;

  constructor(init: TurnCallsInit) {
    this.#init = init;
  }

  /** A session is idle as soon as its turn ends; events about that end may follow. */
  get status(): SessionStatus {
    return this.#status;
  }

  /** The id of the message that the last call writes. */
  get answerID(): string | undefined {
    return this.#answerID;
  }

  /**
   * Begins a call.
   *
   * @param title - the text that an untitled session takes its title from.
   * @throws {PromptRefusedError} when the model of the prompt does not exist.
   */
  begin(prompt: UserMessage, title?: string): ModelCall {
    const { catalog, store, scope, sessionID, summary } = this.#init;
    this.setStatus({ type: 'busy' });
    catalog.assertModel(prompt.model);
    const call = new ModelCall(this.#init, prompt);
    this.#current = call;
    this.#answerID = call.messageID;
    this.emitUpdate();
    if (title !== undefined && summary !== true) {
      store.setTitle(scope, sessionID, title.split('\n', 1)[0]?.slice(0, MAX_TITLE_LENGTH) ?? '');
    }
    this.setStatus({ type: 'busy' });
    return call;
  }

  /** Waits for the tools of a call, ends the call and adds what it used to the session. */
  async finish(call: ModelCall, signal: AbortSignal, end?: CallEnd): Promise<void> {
    const { store, sessionID } = this.#init;
    call.close();
    await abortable(call.toolsEnd(), signal);
    const used = call.finish(end);
    this.#current = undefined;
    const session = store.find(sessionID);
    if (session?.tokens === undefined) return;
    session.cost = (session.cost ?? 0) + used.cost;
    session.tokens.input += used.tokens.input;
    session.tokens.output += used.tokens.output;
  }

  /** Cuts the current call off, unless the session was deleted. */
  break(error?: ServerErrorInfo): void {
    const { store, sessionID } = this.#init;
    if (store.find(sessionID) !== undefined) this.#current?.break(error);
  }

  setStatus(status: SessionStatus): void {
    const { sessionID, events, scope } = this.#init;
    this.#status = status;
    events.emit(scope, 'session.status', { sessionID, status });
  }

  setIdle(): void {
    const { sessionID, events, scope } = this.#init;
    this.#status = { type: 'idle' };
    events.emitIdle(scope, sessionID);
  }

  /** Marks the session as updated now. */
  emitUpdate(): void {
    const { sessionID, events, scope, store } = this.#init;
    store.update(scope, sessionID);
    events.emit(scope, 'session.diff', { sessionID, diff: [] });
  }
}
