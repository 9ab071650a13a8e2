import type { AssistantMessage, Message, Part, StoredMessage } from '../schema/message.js';

/** A user message that came after the prompt, and what tells who made it. */
interface LaterPrompt {
  readonly id: string;
  readonly createdAt: number;
  isByServer: boolean;
  /** Begins a compaction that the server decided on. */
  isCompaction: boolean;
  /** The compaction takes the prompt back, to repeat it afterwards. */
  isOverflow: boolean;
}

/**
 * Tells the messages of one turn from others of its session, given in their order. OpenCode 1.18.33 names as the parent of
 * an answer the newest user message, which is not always the prompt:
 * - what is prompted, or only stored, while the model is called is read with the next call of the same turn;
 * - a compaction in the turn is a user message of its own, with the summary for an answer; then "Continue …" comes as another, or
 *   the prompt once more when it was the prompt that had not fitted;
 * - a command that runs as a subtask goes on with "Summarize …".
 */
export class TurnMessages {
  readonly #messageID: string;
  /** The prompt, and what continued it. */
  readonly #prompts: Set<string>;
  /** What came after the prompt and has no answer yet. */
  readonly #later: LaterPrompt[] = [];
  #isStored = false;
  #last: AssistantMessage | undefined;
  #isRepeated = false;
  #hasEnded = false;

  /** @param messageID - of the prompt. */
  constructor(messageID: string) {
    this.#messageID = messageID;
    this.#prompts = new Set([messageID]);
  }

  /** Takes a message, or what has become of one; says whether it is an answer of this turn. */
  take(info: StoredMessage['info']): boolean {
    if (info.role === 'assistant') return this.#takeAnswer(info);
    if (info.id === this.#messageID) this.#isStored = true;
    // Unreadable is only the oldest message of a session.
    else if (
      info.role === 'user' &&
      this.#isStored &&
      !this.#prompts.has(info.id) &&
      this.#find(info.id) === undefined
    ) {
      this.#later.push({
        id: info.id,
        createdAt: info.time.created,
        isByServer: true,
        isCompaction: false,
        isOverflow: false,
      });
    }
    return false;
  }

  /** Takes a part of a message; only those of later prompts matter. */
  takePart(part: Part): void {
    const prompt = this.#find(part.messageID);
    if (prompt === undefined) return;
    if (part.type === 'compaction' && part.auto) {
      prompt.isCompaction = true;
      prompt.isOverflow = part.overflow === true;
    } else if (part.type !== 'text' || part.synthetic !== true) prompt.isByServer = false;
  }

  #find(id: string): LaterPrompt | undefined {
    return this.#later.find((prompt) => prompt.id === id);
  }

  #takeAnswer(info: AssistantMessage): boolean {
    while (!this.#prompts.has(info.parentID)) {
      if (this.#hasEnded || this.#find(info.parentID) === undefined) return false;
      const next = this.#later.shift();
      if (next === undefined || !this.#isContinuedBy(next)) this.#hasEnded = true;
      else this.#prompts.add(next.id);
    }
    this.#last = info;
    return true;
  }

  #isContinuedBy(prompt: LaterPrompt): boolean {
    const last = this.#last;
    if (last === undefined) return true;
    if (last.error !== undefined) return false;
    if (prompt.isCompaction) {
      this.#isRepeated = prompt.isOverflow;
      return true;
    }
    // After these the model is called again.
    if (last.finish !== 'tool-calls' && last.summary !== true) return false;
    if (prompt.isByServer) return true;
    if (last.summary === true && this.#isRepeated) {
      this.#isRepeated = false;
      return true;
    }
    return prompt.createdAt <= (last.time.completed ?? 0);
  }
}

/** An answer of the model, or a summary that the server had it make. */
export type AssistantEntry = Message & { readonly info: AssistantMessage };

/**
 * The answers of a turn.
 *
 * @param messages - of its session, in their order, from the prompt on or from an earlier one.
 */
export function answersOf(messageID: string, messages: readonly StoredMessage[]): AssistantEntry[] {
  const turn = new TurnMessages(messageID);
  return messages.filter((message): message is AssistantEntry => {
    const isAnswer = turn.take(message.info);
    for (const part of message.parts) turn.takePart(part);
    return isAnswer;
  });
}
