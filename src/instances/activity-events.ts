import type { EventProperties, EventType, OpenCodeEvent } from '../client/schema/event.js';
import type { RepoEntry } from '../registry/instance-entry.js';

type Sign<T extends EventType> = (entry: RepoEntry, properties: EventProperties[T]) => void;

const sessionEnded = (entry: RepoEntry, { sessionID }: { readonly sessionID: string }): void =>
  entry.end('session-busy', sessionID);
const questionEnded = (entry: RepoEntry, { requestID }: { readonly requestID: string }): void =>
  entry.end('question', requestID);
/** Under no id it would never end. The event is logged, and what it tells of is left to what else is known. */
const idOf = (id: unknown): string => {
  if (typeof id !== 'string') throw new TypeError(`Expected an id, got ${typeof id}.`);
  return id;
};
const ptyEnded = (entry: RepoEntry, { id }: { readonly id: string }): void => entry.end('pty', id);

/** What begins and ends in an instance, by the type of the event that tells it. */
const SIGNS: { readonly [T in EventType]?: Sign<T> } = {
  'session.status': (entry, { sessionID, status }) =>
    status.type === 'idle'
      ? entry.end('session-busy', sessionID)
      : entry.begin('session-busy', { id: idOf(sessionID) }),
  'session.idle': sessionEnded,
  'session.deleted': sessionEnded,
  'permission.asked': (entry, { id, sessionID }) => entry.begin('permission', { id: idOf(id), sessionID }),
  'permission.replied': (entry, { requestID }) => entry.end('permission', requestID),
  'question.asked': (entry, { id, sessionID }) => entry.begin('question', { id: idOf(id), sessionID }),
  'question.replied': questionEnded,
  'question.rejected': questionEnded,
  'pty.created': (entry, { info }) => entry.begin('pty', { id: idOf(info.id) }),
  'pty.exited': ptyEnded,
  'pty.deleted': ptyEnded,
};

/** Events that only somebody's use of an instance can cause, here or in another client. */
const USES = /^(session|message\.(updated|removed)|todo|command)\b/;

/** Whether an event of a type says more of an instance than that it is loaded. */
export function isSign(type: string): boolean {
  return Object.hasOwn(SIGNS, type) || USES.test(type);
}

/** Takes note of what an event says of the instance of its directory: it is loaded, and maybe more. */
export function takeSign(entry: RepoEntry, { type, properties }: OpenCodeEvent): void {
  entry.notice();
  if (Object.hasOwn(SIGNS, type)) (SIGNS[type] as Sign<typeof type>)(entry, properties);
  else if (USES.test(type)) entry.use();
}
