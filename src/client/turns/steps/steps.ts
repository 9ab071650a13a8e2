import type { OpenCodeEvent } from '../../schema/event.js';
import type { Message, MessageInfo, Part, StoredMessage } from '../../schema/message.js';
import type { SessionInfo, SessionStatus } from '../../schema/session.js';
import { isSaid } from '../result/result.js';
import type { TurnStep } from './turn-step.js';
import { TurnMessages } from '../result/turn-messages.js';

/** How much of a text part was emitted. */
interface TextProgress {
  readonly type: 'text' | 'reasoning';
  length: number;
  /** Whether the next delta may not continue the emitted text. Then only the whole text shows what is missing. */
  isBroken: boolean;
}

/**
 * Translates the events of one turn into its steps, but not permission requests and questions, which do not pass here.
 */
export class TurnSteps {
  readonly #sessionID: string;
  readonly #turn: TurnMessages;
  readonly #isWithin: (sessionID: string) => boolean;
  readonly #emit: (step: TurnStep) => void;
  /** Assistant messages of this turn. */
  readonly #messages = new Set<string>();
  /** Those of them that are summaries. */
  readonly #summaries = new Set<string>();
  /** How much was emitted, by the id of the text part. */
  readonly #texts = new Map<string, TextProgress>();
  /** Parts that are complete. */
  readonly #done = new Set<string>();
  readonly #children = new Map<string, { title: string; isAtWork: boolean }>();

  constructor(init: {
    readonly sessionID: string;
    readonly messageID: string;
    readonly isWithin: (sessionID: string) => boolean;
    readonly emit: (step: TurnStep) => void;
  }) {
    this.#sessionID = init.sessionID;
    this.#turn = new TurnMessages(init.messageID);
    this.#isWithin = init.isWithin;
    this.#emit = init.emit;
  }

  /** Handles one event of the turn's directory. */
  onEvent(event: OpenCodeEvent): void {
    switch (event.type) {
      case 'message.updated': {
        const { info } = event.properties;
        if (info.sessionID === this.#sessionID && this.#turn.take(info)) this.#addMessage(info);
        return;
      }
      case 'message.part.delta': {
        const { messageID, partID, field, delta } = event.properties;
        const text = this.#texts.get(partID);
        if (text === undefined || text.isBroken || field !== 'text' || delta === '') return;
        text.length += delta.length;
        this.#emit({ type: text.type, delta, messageID, partID });
        return;
      }
      case 'jarvis.gap':
        for (const text of this.#texts.values()) text.isBroken = true;
        return;
      case 'message.part.updated': {
        const { part } = event.properties;
        this.#turn.takePart(part);
        const text = this.#texts.get(part.id);
        // A shorter text is older than the one read from the server and mends nothing.
        if (text !== undefined && 'text' in part && part.text.length >= text.length) text.isBroken = false;
        if (this.#messages.has(part.messageID)) this.#takePart(part);
        else if (this.#isChild(part.sessionID) && part.type !== 'text' && part.type !== 'reasoning')
          this.#takePart(part);
        return;
      }
      case 'session.created':
      case 'session.updated': {
        const { id, title } = event.properties.info;
        if (!this.#isChild(id)) return;
        this.#childOf(id).title = title;
        if (event.type === 'session.created') this.#childAtWork(id, true);
        return;
      }
      case 'session.status': {
        const { sessionID, status } = event.properties;
        if (sessionID === this.#sessionID) this.#takeStatus(status);
        if (this.#isChild(sessionID)) this.#childAtWork(sessionID, status.type !== 'idle');
        return;
      }
      default:
    }
  }

  /**
   * Takes what has happened before the first event: emits the steps of the stored messages, of the children at work, and of a
   * provider that is asked again.
   *
   * @param messages - the messages of the session, at least back to the prompt.
   */
  restore(messages: readonly StoredMessage[], children: readonly SessionInfo[], status: SessionStatus): void {
    for (const message of messages) {
      const isAnswer = this.#turn.take(message.info);
      for (const part of message.parts) this.#turn.takePart(part);
      if (isAnswer) this.complete([message as Message]);
    }
    for (const { id, title } of children) {
      this.#childOf(id).title = title;
      this.#childAtWork(id, true);
    }
    this.#takeStatus(status);
  }

  /**
   * Emits the steps whose events are missing, because the stream was down or the answer overtook them.
   *
   * @param messages - the assistant messages of this turn.
   */
  complete(messages: readonly Message[]): void {
    for (const { info, parts } of messages) {
      this.#addMessage(info);
      for (const part of parts) {
        this.#takePart(part);
        // Deltas of the text just read may still arrive.
        const text = this.#texts.get(part.id);
        if (text !== undefined) text.isBroken = true;
      }
    }
  }

  #takeStatus(status: SessionStatus): void {
    if (status.type !== 'retry') return;
    this.#emit({ type: 'retry', attempt: status.attempt, message: status.message, next: status.next });
  }

  #addMessage(info: MessageInfo): void {
    if (this.#messages.has(info.id)) return;
    this.#messages.add(info.id);
    if (info.role === 'assistant' && info.summary === true) this.#summaries.add(info.id);
    else this.#emit({ type: 'message', messageID: info.id });
  }

  #takePart(part: Part): void {
    switch (part.type) {
      case 'text':
      case 'reasoning': {
        if (this.#summaries.has(part.messageID) || (part.type === 'text' && !isSaid(part))) return;
        const text = this.#texts.get(part.id) ?? { type: part.type, length: 0, isBroken: false };
        this.#texts.set(part.id, text);
        // The part holds the whole text so far, so emit what the deltas did not bring because the stream was down.
        const missing = part.text.slice(text.length);
        text.length += missing.length;
        if (missing !== '')
          this.#emit({ type: part.type, delta: missing, messageID: part.messageID, partID: part.id });
        return;
      }
      case 'tool': {
        if (this.#done.has(part.id)) return;
        const { tool, callID, state, sessionID } = part;
        const output =
          state.status === 'completed' ? state.output : state.status === 'error' ? state.error : undefined;
        if (output !== undefined) this.#done.add(part.id);
        this.#emit({
          type: 'tool',
          sessionID,
          tool,
          callID,
          status: state.status,
          input: state.input,
          output,
        });
        return;
      }
      case 'step-finish': {
        if (this.#done.has(part.id)) return;
        this.#done.add(part.id);
        const { sessionID, cost, tokens } = part;
        this.#emit({ type: 'usage', sessionID, cost, tokens });
        return;
      }
      default:
    }
  }

  #isChild(sessionID: string): boolean {
    return sessionID !== this.#sessionID && this.#isWithin(sessionID);
  }

  #childOf(sessionID: string): { title: string; isAtWork: boolean } {
    const child = this.#children.get(sessionID) ?? { title: '', isAtWork: false };
    this.#children.set(sessionID, child);
    return child;
  }

  #childAtWork(sessionID: string, isAtWork: boolean): void {
    const child = this.#childOf(sessionID);
    if (child.isAtWork === isAtWork) return;
    child.isAtWork = isAtWork;
    const status = isAtWork ? 'started' : 'ended';
    this.#emit({ type: 'child', sessionID, title: child.title, status });
  }
}
