import type { ActivityKind } from '../../core/instance.js';
import type { EventOf, EventProperties, EventType, OpenCodeEvent } from '../schema/event.js';

/** The type of the event that reports the end of an instance. */
export const INSTANCE_DISPOSED = 'server.instance.disposed';

/** The event that an instance has ended, where the server sends none. */
export function disposedEvent(directory: string): EventOf<'server.instance.disposed'> {
  return { directory, id: '', type: INSTANCE_DISPOSED, properties: { directory } };
}

/** What an event says of the activity in an instance: something began, something ended, or somebody used the instance. */
export type ActivityChange =
  | {
      readonly effect: 'begin';
      readonly kind: ActivityKind;
      readonly item: { readonly id: string; readonly sessionID?: string | undefined };
    }
  | { readonly effect: 'end'; readonly kind: ActivityKind; readonly id: string }
  | { readonly effect: 'use' };

type ChangeReader<T extends EventType> = (properties: EventProperties[T]) => ActivityChange;

/** How much of an error that an instance reports is kept, in UTF-16 code units. */
const MAX_ERROR_CHARS = 500;

/** What begins and ends in an instance, by the type of the event that reports it. */
const CHANGES: { readonly [T in EventType]?: ChangeReader<T> } = {
  'session.status': ({ sessionID, status }) =>
    status.type === 'idle' ? end('session-busy', sessionID) : begin('session-busy', sessionID),
  'session.idle': ({ sessionID }) => end('session-busy', sessionID),
  'session.deleted': ({ sessionID }) => end('session-busy', sessionID),
  'permission.asked': ({ id, sessionID }) => begin('permission', id, sessionID),
  'permission.replied': ({ requestID }) => end('permission', requestID),
  'question.asked': ({ id, sessionID }) => begin('question', id, sessionID),
  'question.replied': ({ requestID }) => end('question', requestID),
  'question.rejected': ({ requestID }) => end('question', requestID),
  'pty.created': ({ info }) => begin('pty', info.id),
  'pty.exited': ({ id }) => end('pty', id),
  'pty.deleted': ({ id }) => end('pty', id),
};

/** Events that only the use of an instance can cause, by this client or another one. */
const USES = /^(session|message\.(updated|removed)|todo|command)\b/;

/** OpenCode 2.0.14 still tells of the end of its MCP servers when an instance has ended. */
const AFTERMATH = /^mcp\.(status|resources)\.changed$/;

/** Whether an event of a type can come from an instance that has ended. */
export function isAftermath(type: string): boolean {
  return AFTERMATH.test(type);
}

/** Whether an event of a type says more of an instance than that it is loaded. */
export function isActivityEvent(type: string): boolean {
  return Object.hasOwn(CHANGES, type) || USES.test(type);
}

/**
 * Reads from an event what it says of the activity in an instance; `undefined` when it says nothing.
 *
 * @throws {TypeError} when something begins under an id that is not a string.
 */
export function activityChangeOf({ type, properties }: OpenCodeEvent): ActivityChange | undefined {
  if (Object.hasOwn(CHANGES, type)) return (CHANGES[type] as ChangeReader<typeof type>)(properties);
  return USES.test(type) ? { effect: 'use' } : undefined;
}

/**
 * Reads the error of an instance from a `session.error`; `undefined` when it is the error of a session. OpenCode 1.18.33 reports a plugin
 * that it could not load as an error without a session.
 */
export function instanceErrorOf({ sessionID, error }: EventProperties['session.error']): string | undefined {
  if (sessionID !== undefined) return undefined;
  const { name, data } = error ?? {};
  const message = typeof data === 'object' && data !== null && 'message' in data ? data.message : name;
  return (typeof message === 'string' ? message : 'unknown error').slice(0, MAX_ERROR_CHARS);
}

/** Whether the error of an instance is that of a plugin. */
export function isPluginError(text: string): boolean {
  return /\bplugin\b/i.test(text);
}

function begin(kind: ActivityKind, id: unknown, sessionID?: string): ActivityChange {
  // No event of its end could name what began without an id.
  if (typeof id !== 'string') throw new TypeError(`Expected an id, got ${typeof id}.`);
  return { effect: 'begin', kind, item: { id, sessionID } };
}

function end(kind: ActivityKind, id: string): ActivityChange {
  return { effect: 'end', kind, id };
}
