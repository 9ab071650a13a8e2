import { sessionIDOf } from '../../events/event-stream.js';
import type { OpenCodeEvent } from '../../schema/event.js';
import { accepts } from '../../schema/guard.js';
import { messageSchema, type AssistantMessage, type Part, type UserMessage } from '../../schema/message.js';
import { evidenceOf, isFinal, type TurnEvidence } from './result.js';

/**
 * How much of a turn is kept, in UTF-16 code units of its events: a longer one is read from the server at its end. Reading costs
 * 25 ms, which no longer matters for so long a turn.
 */
const MAX_RECORDED = 1024 * 1024;

/** A part as its last event brought it. */
interface RecordedPart {
  readonly part: Part;
  readonly size: number;
  /** Whether text was added to it since. */
  isOpen: boolean;
}

interface RecordedAnswer {
  info: AssistantMessage;
  size: number;
  readonly parts: Map<string, RecordedPart>;
}

/**
 * The messages of one turn as its events bring them, so that a plain turn need not be read from the server when it has ended.
 * OpenCode 1.18.33 sends one event for each change that it stores, in order, and none is lost while the stream is up. The record
 * is used only when it is sure to hold all that is stored. Whatever is out of the ordinary spoils it.
 */
export class RecordedTurn {
  readonly #sessionID: string;
  readonly #messageID: string;
  /** The prompt, once it was seen. */
  #prompt: UserMessage | undefined;
  /** Whether the stream delivered the events of this session before the first answer began. */
  #isFromStart = false;
  /** The answers in the order in which they began, by id. */
  readonly #answers = new Map<string, RecordedAnswer>();
  #size = 0;
  #isSpoiled = false;

  constructor(init: { readonly sessionID: string; readonly messageID: string }) {
    this.#sessionID = init.sessionID;
    this.#messageID = init.messageID;
  }

  /** Forgets the record for good: the turn is to be read from the server. */
  spoil(): void {
    this.#isSpoiled = true;
    this.#answers.clear();
  }

  /**
   * Handles one event of the turn's directory.
   *
   * @param size - length of its frame.
   */
  onEvent(event: OpenCodeEvent, size: number): void {
    if (this.#isSpoiled) return;
    if (event.type === 'jarvis.gap' || event.type === 'server.instance.disposed') return this.spoil();
    if (sessionIDOf(event) !== this.#sessionID) return;
    switch (event.type) {
      case 'message.updated': {
        const { info } = event.properties;
        if (info.role === 'assistant') return this.#takeAnswer(info, size);
        return this.#takePrompt(info);
      }
      case 'message.part.updated':
        return this.#takePart(event.properties.part, size);
      case 'message.part.delta': {
        const { messageID, partID } = event.properties;
        const answer = this.#answers.get(messageID);
        const recorded = answer?.parts.get(partID);
        if (recorded !== undefined) recorded.isOpen = true;
        else if (answer !== undefined) this.spoil();
        return;
      }
      case 'session.status':
        if (event.properties.status.type === 'retry') this.spoil();
        return;
      case 'session.error':
      case 'session.deleted':
      case 'session.compacted':
      case 'message.removed':
      case 'message.part.removed':
        return this.spoil();
      default:
    }
  }

  /** What the server stores of a turn that has ended with a final answer; `undefined` when the record is not sure to be complete. */
  finalAnswer(): TurnEvidence | undefined {
    const prompt = this.#prompt;
    if (this.#isSpoiled || prompt === undefined || !this.#isFromStart) return undefined;
    const recorded = [...this.#answers.values()];
    if (!recorded.every(isComplete)) return undefined;
    const messages = recorded
      .map(({ info, parts }) => ({ info, parts: [...parts.values()].map(({ part }) => part).sort(byID) }))
      .sort((a, b) => a.info.time.created - b.info.time.created || byID(a.info, b.info));
    if (!messages.every((message) => accepts(messageSchema(), message))) return undefined;
    const evidence = evidenceOf(this.#sessionID, this.#messageID, [{ info: prompt, parts: [] }, ...messages]);
    return isFinal(evidence) ? evidence : undefined;
  }

  #takePrompt(info: UserMessage): void {
    if (info.id === this.#messageID) this.#prompt ??= info;
    else if (!this.#isOlder(info)) this.spoil();
  }

  #takeAnswer(info: AssistantMessage, size: number): void {
    if (info.parentID !== this.#messageID) {
      if (!this.#isOlder(info)) this.spoil();
      return;
    }
    if (!this.#isFromStart || info.error !== undefined || info.summary === true) return this.spoil();
    const recorded = this.#answers.get(info.id);
    this.#grow(size - (recorded?.size ?? 0));
    if (recorded === undefined) this.#answers.set(info.id, { info, size, parts: new Map() });
    else Object.assign(recorded, { info, size });
  }

  #takePart(part: Part, size: number): void {
    // The parts of the prompt come between the prompt and the first answer.
    if (part.messageID === this.#messageID)
      this.#isFromStart ||= this.#prompt !== undefined && this.#answers.size === 0;
    const parts = this.#answers.get(part.messageID)?.parts;
    if (parts === undefined) return;
    this.#grow(size - (parts.get(part.id)?.size ?? 0));
    parts.set(part.id, { part, size, isOpen: false });
  }

  /** Whether a message belongs to what was before the prompt, of which the server may still tell something. */
  #isOlder({ time }: UserMessage | AssistantMessage): boolean {
    return this.#prompt === undefined || time.created < this.#prompt.time.created;
  }

  #grow(by: number): void {
    this.#size += by;
    if (this.#size > MAX_RECORDED) this.spoil();
  }
}

/** Whether nothing more will be stored of an answer. */
function isComplete({ info, parts }: RecordedAnswer): boolean {
  if (info.time.completed === undefined) return false;
  const recorded = [...parts.values()];
  const isOver = recorded.some(({ part }) => part.type === 'step-finish');
  return isOver && recorded.every(({ part, isOpen }) => !isOpen && !isPending(part));
}

/** Whether it is the call of a tool that has no result yet. */
function isPending(part: Part): boolean {
  return part.type === 'tool' && part.state.status !== 'completed' && part.state.status !== 'error';
}

/** The order in which the server lists what was made in the same millisecond. */
function byID(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}
