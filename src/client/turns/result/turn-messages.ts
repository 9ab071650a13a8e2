import type { AssistantMessage, Message, Part, StoredMessage } from '../../schema/message.js';

/** A user message after the prompt, with what shows who made it. */
interface LaterPrompt {
  readonly id: string;
  readonly createdAt: number;
  isByServer: boolean;
  /** Whether it begins a compaction that the server decided on. */
  isCompaction: boolean;
  /** Whether that compaction takes the prompt back and repeats it afterwards. */
  isOverflow: boolean;
}

/**
 * Tells the messages of one turn from the others of its session. It takes them in their order. OpenCode 1.18.33 names
 * the newest user message as the parent of an answer, which is not always the prompt:
 * - the next call of the same turn reads a message that was prompted, or only stored, while the model was called;
 * - a compaction in the turn is a user message of its own, and the summary is its answer; then "Continue …" follows as
 *   another user message, or the prompt once more when the prompt itself had not fitted;
 * - a command that runs as a subtask goes on with "Summarize …".
 */
export class TurnMessages {
  readonly #messageID: string;
  /** The ids of the prompt and of the user messages that continued it. */
  readonly #prompts: Set<string>;
  /** User messages after the prompt that have no answer yet. */
  readonly #later: LaterPrompt[] = [];
  #isStored = false;
  #last: AssistantMessage | undefined;
  #isRepeated = false;
  #hasEnded = false;

  /** @param messageID - the id of the prompt. */
  constructor(messageID: string) {
    this.#messageID = messageID;
    this.#prompts = new Set([messageID]);
  }

  /** Takes a message, new or changed, and returns whether it is an answer of this turn. */
  take(info: StoredMessage['info']): boolean {
    if (info.role === 'assistant') return this.#takeAnswer(info);
    if (info.id === this.#messageID) this.#isStored = true;
    // Skips an unreadable message: only the oldest message of a session can be one.
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
    // Only after tool calls or a summary does the server call the model again.
    if (last.finish !== 'tool-calls' && last.summary !== true) return false;
    if (prompt.isByServer) return true;
    if (last.summary === true && this.#isRepeated) {
      this.#isRepeated = false;
      return true;
    }
    return prompt.createdAt <= (last.time.completed ?? 0);
  }
}

/** An answer of the model, or a summary that the server asked it for. */
export type AssistantEntry = Message & { readonly info: AssistantMessage };

/**
 * The answers of a turn.
 *
 * @param messages - the messages of its session in their order, beginning at the prompt or earlier.
 */
export function answersOf(messageID: string, messages: readonly StoredMessage[]): AssistantEntry[] {
  const turn = new TurnMessages(messageID);
  return messages.filter((message): message is AssistantEntry => {
    const isAnswer = turn.take(message.info);
    for (const part of message.parts) turn.takePart(part);
    return isAnswer;
  });
}
