import type { Clock } from '../../core/clock.js';
import type { Message, MessageInfo, Part } from '../../client/schema/message.js';
import type { UpdateSessionInput } from '../../client/schema/prompt.js';
import type { SessionInfo, Todo, Tokens } from '../../client/schema/session.js';
import type { EventScope, ServerEvents } from './server-events.js';
import type { Ids } from './ids.js';

/** The fields that a client can create a session with. */
export type NewSession = Partial<
  Pick<SessionInfo, 'id' | 'title' | 'parentID' | 'agent' | 'model' | 'metadata' | 'permission'>
>;

/** The sessions of a project that a list has. */
export interface SessionFilter {
  readonly projectID: string;
  /** @default every directory of the project */
  readonly directory: string | undefined;
  /** The path of a session below its project's root; paths below it match too. @default every path */
  readonly path: string | undefined;
  /** Whether to leave child sessions out. */
  readonly roots: boolean;
  /** The earliest time of the last update, in epoch milliseconds. @default any time */
  readonly start: number | undefined;
  /** A part of the title, in any case. @default every title */
  readonly search: string | undefined;
  /** The largest number of sessions. @default 100 */
  readonly limit: number | undefined;
}

interface Entry {
  readonly info: SessionInfo;
  readonly messages: Message[];
  todos: Todo[];
  /** Whether it has no title but the one of new sessions. */
  isUntitled: boolean;
}

const DEFAULT_LIMIT = 100;

/** Thrown when a deleted session is to be read or changed. */
export class SessionGoneError extends Error {
  override readonly name = 'SessionGoneError';
}

/** The sessions with their messages. Every change sends the event that the server sends for it. */
export class SessionStore {
  readonly #ids: Ids;
  readonly #events: ServerEvents;
  readonly #version: string;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(ids: Ids, events: ServerEvents, clock: Clock, version: string) {
    this.#ids = ids;
    this.#events = events;
    this.#clock = clock;
    this.#version = version;
  }

  create(scope: EventScope, input: NewSession): SessionInfo {
    const now = this.#clock.now();
    const info: SessionInfo = {
      id: this.#ids.next('ses'),
      slug: 'mock-session',
      projectID: scope.projectID,
      directory: scope.directory,
      path: '',
      cost: 0,
      tokens: noTokens(),
      title: `New session - ${new Date(now).toISOString()}`,
      version: this.#version,
      time: { created: now, updated: now },
      ...input,
    };
    this.#entries.set(info.id, { info, messages: [], todos: [], isUntitled: input.title === undefined });
    this.#events.emit(scope, 'session.created', { sessionID: info.id, info });
    return info;
  }

  find(sessionID: string): SessionInfo | undefined {
    return this.#entries.get(sessionID)?.info;
  }

  /** The sessions that match, last updated first. */
  list(filter: SessionFilter): SessionInfo[] {
    const search = filter.search?.toLowerCase();
    return this.all()
      .filter((info) => info.projectID === filter.projectID)
      .filter((info) => filter.directory === undefined || info.directory === filter.directory)
      .filter(({ path = '' }) => isBelow(path, filter.path ?? ''))
      .filter((info) => !filter.roots || info.parentID === undefined)
      .filter((info) => filter.start === undefined || info.time.updated >= filter.start)
      .filter((info) => search === undefined || info.title.toLowerCase().includes(search))
      .reverse()
      .sort((a, b) => b.time.updated - a.time.updated)
      .slice(0, filter.limit ?? DEFAULT_LIMIT);
  }

  /** All sessions, oldest first. */
  all(): SessionInfo[] {
    return [...this.#entries.values()].map((entry) => entry.info);
  }

  /** Changes a session and marks it as updated now. */
  update(scope: EventScope, sessionID: string, change: Partial<SessionInfo> = {}): void {
    const { info } = this.#entry(sessionID);
    Object.assign(info, change);
    info.time.updated = this.#clock.now();
    this.#events.emit(scope, 'session.updated', { sessionID, info });
  }

  /** Changes the fields that a client can change, each with an event of its own. Appends `permission` rules. */
  edit(scope: EventScope, sessionID: string, input: UpdateSessionInput): void {
    const { info } = this.#entry(sessionID);
    const { title, metadata, permission, time } = input;
    if (title !== undefined) this.update(scope, sessionID, { title });
    if (metadata !== undefined) this.update(scope, sessionID, { metadata });
    if (permission !== undefined) {
      this.update(scope, sessionID, { permission: [...(info.permission ?? []), ...permission] });
    }
    if (time?.archived !== undefined) {
      this.update(scope, sessionID, { time: { ...info.time, archived: time.archived } });
    }
  }

  /** The child sessions of a session, oldest first. */
  children(sessionID: string): SessionInfo[] {
    return this.all().filter((info) => info.parentID === sessionID);
  }

  todos(sessionID: string): Todo[] {
    return this.#entry(sessionID).todos;
  }

  /** Stores the input of a tool as the todo list, if it is an array. */
  setTodos(scope: EventScope, sessionID: string, todos: unknown): void {
    if (!Array.isArray(todos)) return;
    this.#entry(sessionID).todos = todos as Todo[];
    this.#events.emit(scope, 'todo.updated', { sessionID, todos: todos as Todo[] });
  }

  /** Gives an untitled session its title; `false` when it has one already. */
  setTitle(scope: EventScope, sessionID: string, title: string): boolean {
    const entry = this.#entry(sessionID);
    if (!entry.isUntitled || title === '') return false;
    entry.isUntitled = false;
    this.update(scope, sessionID, { title });
    return true;
  }

  /** Deletes a session after its children. Its running work goes on. */
  remove(scope: EventScope, sessionID: string): void {
    const entry = this.#entry(sessionID);
    for (const child of this.children(sessionID)) this.remove(scope, child.id);
    this.#entries.delete(sessionID);
    this.#events.emit(scope, 'session.deleted', { sessionID, info: entry.info });
  }

  /** The messages of a session, oldest first. */
  messages(sessionID: string): readonly Message[] {
    return this.#entry(sessionID).messages;
  }

  message(sessionID: string, messageID: string): Message | undefined {
    return this.messages(sessionID).find((message) => message.info.id === messageID);
  }

  /** Adds a message or replaces its info. */
  saveMessage(scope: EventScope, info: MessageInfo): void {
    const { messages } = this.#entry(info.sessionID);
    const known = messages.find((message) => message.info.id === info.id);
    if (known === undefined) messages.push({ info, parts: [] });
    else known.info = info;
    this.#events.emit(scope, 'message.updated', { sessionID: info.sessionID, info });
  }

  /** Adds a part to its message or replaces it. */
  savePart(scope: EventScope, part: Part): void {
    const parts = this.message(part.sessionID, part.messageID)?.parts ?? [];
    const index = parts.findIndex((known) => known.id === part.id);
    if (index === -1) parts.push(part);
    else parts[index] = part;
    const { sessionID } = part;
    this.#events.emit(scope, 'message.part.updated', { sessionID, part, time: this.#clock.now() });
  }

  /**
   * Replaces the part with this id in any session, else adds the part to its message in any session; `false` when neither
   * exists. OpenCode 1.18.33 does not check that the part belongs to the session of the request.
   */
  writePart(scope: EventScope, part: Part): boolean {
    const messages = [...this.#entries.values()].flatMap((entry) => entry.messages);
    const holder =
      messages.find(({ parts }) => parts.some(({ id }) => id === part.id)) ??
      messages.find(({ info }) => info.id === part.messageID);
    if (holder === undefined) return false;
    const { id: messageID, sessionID } = holder.info;
    this.savePart(scope, { ...part, messageID, sessionID });
    return true;
  }

  /** Deletes a message; sends the event also for an unknown one. */
  removeMessage(scope: EventScope, sessionID: string, messageID: string): void {
    const { messages } = this.#entry(sessionID);
    const index = messages.findIndex((message) => message.info.id === messageID);
    if (index !== -1) messages.splice(index, 1);
    this.#events.emit(scope, 'message.removed', { sessionID, messageID });
  }

  /** Deletes a part; sends the event also for an unknown one. */
  removePart(scope: EventScope, sessionID: string, messageID: string, partID: string): void {
    const parts = this.message(sessionID, messageID)?.parts ?? [];
    const index = parts.findIndex((part) => part.id === partID);
    if (index !== -1) parts.splice(index, 1);
    this.#events.emit(scope, 'message.part.removed', { sessionID, messageID, partID });
  }

  #entry(sessionID: string): Entry {
    const entry = this.#entries.get(sessionID);
    if (entry === undefined) throw new SessionGoneError(`Session not found: ${sessionID}`);
    return entry;
  }
}

/** No tokens, as in a new session or message. */
export function noTokens(): Tokens {
  return { input: 0, output: 0, reasoning: 0, cache: { read: 0, write: 0 } };
}

function isBelow(path: string, top: string): boolean {
  return top === '' || path === top || path.startsWith(`${top}/`);
}
