import type { SessionStatus } from 'jarvis-opencode';

/** An entry of a session's messages, as the server lists them. */
interface SimulatedMessage {
  readonly info: Record<string, unknown>;
  readonly parts: readonly object[];
}

/** A prompt that is being answered, or that was. */
export interface SimulatedTurn {
  readonly messageID: string;
  readonly answer: { info: Record<string, unknown>; parts: object[] };
}

/** One session with its messages. */
export class SimulatedSession {
  readonly id: string;
  readonly directory: string;
  readonly parentID: string | undefined;
  readonly messages: SimulatedMessage[] = [];
  status: SessionStatus = { type: 'idle' };
  /** The turn that runs. */
  turn: SimulatedTurn | undefined;

  constructor(id: string, directory: string, parentID?: string) {
    this.id = id;
    this.directory = directory;
    this.parentID = parentID;
  }

  get info(): object {
    const { id, directory, parentID } = this;
    return { id, directory, title: id, time: { created: 1, updated: 1 }, ...(parentID && { parentID }) };
  }

  /** Stores a prompt and the beginning of its answer. */
  begin(messageID: string): void {
    const common = { sessionID: this.id, time: { created: 1 } };
    this.messages.push({ info: { ...common, id: messageID, role: 'user' }, parts: [] });
    const info = {
      ...common,
      id: `${messageID}_answer`,
      role: 'assistant',
      parentID: messageID,
      cost: 0,
      tokens: { input: 1, output: 1, reasoning: 0, cache: { read: 0, write: 0 } },
    };
    const answer = { info, parts: [] };
    this.messages.push(answer);
    this.turn = { messageID, answer };
    this.status = { type: 'busy' };
  }

  /** Nobody works on the turn any more; its answer stays as it is. */
  cut(): void {
    this.turn = undefined;
    this.status = { type: 'idle' };
  }

  /** Stores the end of the answer: its text, or the error of a turn that was cut off. */
  end(text: string | undefined): void {
    const { turn } = this;
    this.turn = undefined;
    this.status = { type: 'idle' };
    if (turn === undefined) return;
    const { answer, messageID } = turn;
    answer.info = { ...answer.info, time: { created: 1, completed: 2 } };
    if (text === undefined) {
      answer.info['error'] = { name: 'MessageAbortedError', data: { message: 'Aborted' } };
    } else {
      answer.parts.push({ id: `prt_${messageID}`, sessionID: this.id, messageID, type: 'text', text });
    }
  }
}
