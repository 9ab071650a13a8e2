import type { OpenCodeEvent } from './schema/event.js';
import type { Part } from './schema/message.js';
import type { TurnStep } from './turn.js';

/** Translates the events of one turn into its steps. */
export class TurnSteps {
  readonly #messageID: string;
  readonly #sessionID: string;
  readonly #isWithin: (sessionID: string) => boolean;
  readonly #emit: (step: TurnStep) => void;
  /** Assistant messages of this turn. */
  readonly #messages = new Set<string>();
  /** What was emitted of each text part. */
  readonly #texts = new Map<string, { readonly type: 'text' | 'reasoning'; length: number }>();

  constructor(init: {
    readonly sessionID: string;
    readonly messageID: string;
    readonly isWithin: (sessionID: string) => boolean;
    readonly emit: (step: TurnStep) => void;
  }) {
    this.#sessionID = init.sessionID;
    this.#messageID = init.messageID;
    this.#isWithin = init.isWithin;
    this.#emit = init.emit;
  }

  /** Takes one event of the turn's directory. */
  take(event: OpenCodeEvent): void {
    switch (event.type) {
      case 'message.updated': {
        const { info } = event.properties;
        if (info.role === 'assistant' && info.parentID === this.#messageID) this.#messages.add(info.id);
        return;
      }
      case 'message.part.delta': {
        const { messageID, partID, field, delta } = event.properties;
        const text = this.#texts.get(partID);
        if (text === undefined || field !== 'text' || delta === '') return;
        text.length += delta.length;
        this.#emit({ type: text.type, delta, messageID, partID });
        return;
      }
      case 'message.part.updated':
        this.#takePart(event.properties.part);
        return;
      case 'session.created': {
        const { info } = event.properties;
        if (info.id !== this.#sessionID && this.#isWithin(info.id)) {
          this.#emit({ type: 'child', sessionID: info.id, title: info.title });
        }
        return;
      }
      case 'session.status': {
        const { sessionID, status } = event.properties;
        if (sessionID !== this.#sessionID || status.type !== 'retry') return;
        this.#emit({ type: 'retry', attempt: status.attempt, message: status.message, next: status.next });
        return;
      }
      case 'permission.asked':
        if (this.#isWithin(event.properties.sessionID))
          this.#emit({ type: 'permission', request: event.properties });
        return;
      case 'question.asked':
        if (this.#isWithin(event.properties.sessionID))
          this.#emit({ type: 'question', request: event.properties });
        return;
      default:
    }
  }

  #takePart(part: Part): void {
    if (!this.#messages.has(part.messageID)) return;
    switch (part.type) {
      case 'text':
      case 'reasoning': {
        const text = this.#texts.get(part.id) ?? { type: part.type, length: 0 };
        this.#texts.set(part.id, text);
        // The whole text so far: what the deltas did not bring, because the stream was down, is made up for here.
        const missing = part.text.slice(text.length);
        text.length += missing.length;
        if (missing !== '')
          this.#emit({ type: part.type, delta: missing, messageID: part.messageID, partID: part.id });
        return;
      }
      case 'tool': {
        const { tool, callID, state } = part;
        const output =
          state.status === 'completed' ? state.output : state.status === 'error' ? state.error : undefined;
        this.#emit({ type: 'tool', tool, callID, status: state.status, input: state.input, output });
        return;
      }
      case 'step-finish':
        this.#emit({ type: 'usage', cost: part.cost, tokens: part.tokens });
        return;
      default:
    }
  }
}
