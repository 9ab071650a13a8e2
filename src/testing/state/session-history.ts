import type { Message, Part } from '../../client/schema/message.js';
import type { RevertInput } from '../../client/schema/prompt.js';
import type { SessionInfo } from '../../client/schema/session.js';
import type { EventScope, ServerEvents } from './server-events.js';
import type { Ids } from './ids.js';
import type { SessionStore } from './session-store.js';

/** Forks sessions and reverts them to an earlier message. */
export class SessionHistory {
  readonly #ids: Ids;
  readonly #events: ServerEvents;
  readonly #store: SessionStore;

  constructor(ids: Ids, events: ServerEvents, store: SessionStore) {
    this.#ids = ids;
    this.#events = events;
    this.#store = store;
  }

  /** Copies the messages of a session before `messageID`; all of them when that message does not exist. */
  fork(scope: EventScope, { id, title, metadata }: SessionInfo, messageID: string | undefined): SessionInfo {
    const copy = this.#store.create(scope, { title: forkTitle(title), ...(metadata && { metadata }) });
    const messages = this.#store.messages(id);
    const end = messages.findIndex((message) => message.info.id === messageID);
    const newIDs = new Map<string, string>();
    for (const { info, parts } of messages.slice(0, end === -1 ? undefined : end)) {
      const newID = this.#ids.next('msg');
      newIDs.set(info.id, newID);
      const copied = { ...structuredClone(info), id: newID, sessionID: copy.id };
      if (copied.role === 'assistant') copied.parentID = newIDs.get(copied.parentID) ?? copied.parentID;
      this.#store.saveMessage(scope, copied);
      for (const part of parts) {
        const ids = { id: this.#ids.next('prt'), sessionID: copy.id, messageID: newID };
        this.#store.savePart(scope, { ...structuredClone(part), ...ids });
      }
    }
    return copy;
  }

  /** Marks the message from which on a session is reverted; an unknown message changes nothing. */
  revert(scope: EventScope, sessionID: string, input: RevertInput): void {
    const revert = revertPoint(this.#store.messages(sessionID), input);
    if (revert === undefined) return;
    this.#events.emit(scope, 'session.diff', { sessionID, diff: [] });
    this.#store.update(scope, sessionID, { revert });
  }

  /** Takes the mark off. */
  unrevert(scope: EventScope, session: SessionInfo): void {
    if (session.revert === undefined) return;
    delete session.revert;
    this.#store.update(scope, session.id);
  }

  /** Makes a revert final, as the next prompt does: deletes what is reverted. */
  settle(scope: EventScope, session: SessionInfo): void {
    const { id: sessionID, revert } = session;
    if (revert === undefined) return;
    const { messageID, partID } = revert;
    const messages = this.#store.messages(sessionID);
    const start = messages.findIndex((message) => message.info.id === messageID);
    const reverted = start === -1 ? [] : messages.slice(start);
    const [first, ...rest] = reverted;
    for (const { info } of partID === undefined ? reverted : rest) {
      this.#store.removeMessage(scope, sessionID, info.id);
    }
    if (partID !== undefined && first !== undefined) {
      const from = first.parts.findIndex((part) => part.id === partID);
      for (const part of from === -1 ? [] : first.parts.slice(from)) {
        this.#store.removePart(scope, sessionID, messageID, part.id);
      }
    }
    delete session.revert;
    this.#store.update(scope, sessionID);
  }
}

/** Where a revert begins: a message of the assistant, or a part with no readable part before it, is reverted with its prompt. */
function revertPoint(
  messages: readonly Message[],
  { messageID, partID }: RevertInput,
): SessionInfo['revert'] | undefined {
  let prompt: string | undefined;
  for (const { info, parts } of messages) {
    if (info.role === 'user') prompt = info.id;
    if (info.id !== messageID) continue;
    const index = parts.findIndex((part) => part.id === partID);
    if (partID !== undefined && index === -1) return undefined;
    if (partID !== undefined && parts.slice(0, index).some(isReadable)) return { messageID, partID };
    return { messageID: prompt ?? messageID };
  }
  return undefined;
}

function isReadable(part: Part): boolean {
  return part.type === 'text' || part.type === 'tool';
}

function forkTitle(title: string): string {
  const [, name = title, count = '0'] = /^(.*) \(fork #(\d+)\)$/.exec(title) ?? [];
  return `${name} (fork #${Number(count) + 1})`;
}
