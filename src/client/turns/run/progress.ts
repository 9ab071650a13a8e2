import { realTime } from '../../../core/real-time.js';
import { sessionIDOf } from '../../events/event-stream.js';
import type { EventType, OpenCodeEvent } from '../../schema/event.js';
import type { AssistantMessage, Part } from '../../schema/message.js';

/**
 * How often in a row the model may answer with nothing. When a provider answers 200 with an empty stream, OpenCode
 * 1.18.33 asks it again without pause or end.
 */
export const MAX_EMPTY_STEPS = 10;

/** Events that always count as progress. */
const PROGRESS: ReadonlySet<string> = new Set<EventType>([
  'session.created',
  'session.compacted',
  'todo.updated',
  'command.executed',
  'permission.replied',
  'question.replied',
  'question.rejected',
]);
/** Parts that the server adds to every step, even when the model gives nothing. */
const BOOKKEEPING: ReadonlySet<string> = new Set<Part['type']>([
  'step-start',
  'step-finish',
  'snapshot',
  'patch',
  'retry',
]);

/** The last step of one session. */
interface Step {
  readonly messageID: string;
  hasOutput: boolean;
  isOver: boolean;
  /** How many steps in a row have given nothing. */
  empty: number;
}

/**
 * Tracks the progress of a turn and its children by their events. Text, reasoning, tools and answers to requests and
 * questions are progress. It is no progress when the server asks the model, when it is about to ask again after a
 * failure, or when a request waits for an answer.
 */
export class TurnProgress {
  /** When the last progress was, on the clock of `realTime.now()`. */
  lastAt = realTime.now();
  /** Why the server asks the provider again, if that is the last news of the turn. */
  retry: { readonly attempt: number; readonly message: string } | undefined;
  readonly #steps = new Map<string, Step>();

  /** How many steps in a row have given nothing, in the session with the most. */
  get emptySteps(): number {
    let most = 0;
    for (const { empty } of this.#steps.values()) most = Math.max(most, empty);
    return most;
  }

  /** Milliseconds since the last progress. */
  get idleMs(): number {
    return realTime.now() - this.lastAt;
  }

  /** Why the turn counts as stalled; `undefined` while it does not. */
  whyStalled(stallTimeoutMs: number | false): string | undefined {
    const { emptySteps } = this;
    if (emptySteps >= MAX_EMPTY_STEPS) {
      return `the model was asked ${emptySteps} times in a row and gave nothing each time`;
    }
    if (stallTimeoutMs === false || this.idleMs < stallTimeoutMs) return undefined;
    const retry =
      this.retry === undefined ? '' : `; the provider is asked again after: ${this.retry.message}`;
    return `nothing came of it for stallTimeoutMs, ${stallTimeoutMs} ms${retry}`;
  }

  /** Records progress that comes without an event. */
  note(): void {
    this.lastAt = realTime.now();
    this.retry = undefined;
  }

  /** Handles an event of the turn's session or of a child. */
  onEvent(event: OpenCodeEvent): void {
    switch (event.type) {
      case 'message.part.delta':
        if (isOutput(event.properties.delta)) this.#output(event.properties);
        return;
      case 'message.part.updated': {
        const { part } = event.properties;
        const isText = part.type === 'text' || part.type === 'reasoning';
        if (isText ? isOutput(part.text) : !BOOKKEEPING.has(part.type)) this.#output(part);
        return;
      }
      case 'message.updated':
        if (event.properties.info.role === 'assistant') this.#takeAnswer(event.properties.info);
        return;
      case 'session.status': {
        const { status } = event.properties;
        if (status.type === 'retry') this.retry = { attempt: status.attempt, message: status.message };
        return;
      }
      default:
        if (PROGRESS.has(event.type) && sessionIDOf(event) !== undefined) this.note();
    }
  }

  #output({ sessionID, messageID }: { readonly sessionID: string; readonly messageID: string }): void {
    this.note();
    const step = this.#steps.get(sessionID);
    if (step?.messageID !== messageID) return;
    step.hasOutput = true;
    step.empty = 0;
  }

  #takeAnswer({ id, sessionID, time, error }: AssistantMessage): void {
    let step = this.#steps.get(sessionID);
    if (step?.messageID !== id) {
      step = { messageID: id, hasOutput: false, isOver: false, empty: step?.empty ?? 0 };
      this.#steps.set(sessionID, step);
    }
    if (time.completed === undefined || step.isOver) return;
    step.isOver = true;
    if (!step.hasOutput && error === undefined) step.empty += 1;
  }
}

/** Whether a text counts as output: blanks alone do not. */
function isOutput(text: string): boolean {
  return text.trim() !== '';
}
