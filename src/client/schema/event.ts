import type { PermissionRequest, QuestionRequest } from './ask.js';
import type { MessageInfo, Part, ServerErrorInfo } from './message.js';
import type { SessionInfo, SessionStatus } from './session.js';

/** A pseudo terminal as `pty.*` events carry it. */
export interface PtyInfo {
  readonly id: string;
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly status: string;
  readonly pid: number;
}

/** Why events may have been missed: the connection was lost, the server ended and another one was started, the reader was slow. */
export type GapReason = 'reconnect' | 'restart' | 'overflow';

/** A step of the life of the server. */
export interface ServerNews {
  /** As `server.state`, after the start: `unhealthy`, `ready`, `restarting` or `failed`; in a fleet `asleep` and `starting` too. */
  readonly state:
    'asleep' | 'starting' | 'ready' | 'unhealthy' | 'restarting' | 'stopping' | 'stopped' | 'failed';
  /** Where it is, with `ready`. */
  readonly url?: string;
  /** Its process id, with `ready`. */
  readonly pid?: number;
  /** Which attempt to start the next process begins, from 1, with `restarting`. */
  readonly attempt?: number;
  /** Ids of the sessions that were at work when it ended: their turns were interrupted. Told once for each end. */
  readonly interrupted?: readonly string[];
  /** How the process ended, when it did by itself: its exit code or signal. */
  readonly exit?: { readonly code: number | null; readonly signal: string | null };
}

/** What the server said of one directory when it was read again, where that is not what was known before. */
export interface DirectoryChange {
  readonly directory: string;
  /** Ids of sessions, children included, that work now and were not known to. */
  readonly busy: readonly string[];
  /** Ids of sessions that were known to work and do not any more. */
  readonly idle: readonly string[];
  /** Ids of permission and question requests that wait for an answer and were not known to. */
  readonly asked: readonly string[];
  /** Ids of permission and question requests that wait no longer. */
  readonly answered: readonly string[];
}

/** The properties of every event type this library knows, by type. */
export interface EventProperties {
  'server.connected': Readonly<Record<string, never>>;
  'server.heartbeat': Readonly<Record<string, never>>;
  'server.instance.disposed': { readonly directory: string };
  'global.disposed': Readonly<Record<string, never>>;
  'session.created': { readonly sessionID: string; readonly info: SessionInfo };
  'session.updated': { readonly sessionID: string; readonly info: SessionInfo };
  'session.deleted': { readonly sessionID: string; readonly info: SessionInfo };
  'session.status': { readonly sessionID: string; readonly status: SessionStatus };
  'session.idle': { readonly sessionID: string };
  'session.error': { readonly sessionID?: string; readonly error?: ServerErrorInfo };
  'session.diff': { readonly sessionID: string; readonly diff: readonly unknown[] };
  'session.compacted': { readonly sessionID: string };
  'message.updated': { readonly sessionID: string; readonly info: MessageInfo };
  'message.removed': { readonly sessionID: string; readonly messageID: string };
  'message.part.updated': { readonly sessionID: string; readonly part: Part; readonly time: number };
  'message.part.removed': { readonly sessionID: string; readonly messageID: string; readonly partID: string };
  'message.part.delta': {
    readonly sessionID: string;
    readonly messageID: string;
    readonly partID: string;
    readonly field: string;
    readonly delta: string;
  };
  'permission.asked': PermissionRequest;
  'permission.replied': { readonly sessionID: string; readonly requestID: string; readonly reply: string };
  'question.asked': QuestionRequest;
  'question.replied': {
    readonly sessionID: string;
    readonly requestID: string;
    readonly answers: readonly (readonly string[])[];
  };
  'question.rejected': { readonly sessionID: string; readonly requestID: string };
  'todo.updated': {
    readonly sessionID: string;
    readonly todos: readonly {
      readonly content: string;
      readonly status: string;
      readonly priority: string;
    }[];
  };
  'command.executed': {
    readonly name: string;
    readonly sessionID: string;
    readonly arguments: string;
    readonly messageID: string;
  };
  'file.edited': { readonly file: string };
  'file.watcher.updated': { readonly file: string; readonly event: string };
  'vcs.branch.updated': { readonly branch?: string };
  'project.updated': Readonly<Record<string, unknown>>;
  'pty.created': { readonly info: PtyInfo };
  'pty.updated': { readonly info: PtyInfo };
  'pty.exited': { readonly id: string; readonly exitCode: number };
  'pty.deleted': { readonly id: string };
  'worktree.ready': { readonly name: string; readonly branch?: string };
  'worktree.failed': { readonly message: string };
  /** Made by this library: between the event before this one and the event after it, others may have been missed. */
  'jarvis.gap': {
    readonly reason: GapReason;
    /** How many have arrived and did not fit a buffer; those sent while the connection was down are not counted. */
    readonly dropped: number;
    /**
     * After a reconnect or a restart, how what was read again before this event differs from what was told before the gap: one entry
     * for each loaded directory of the subscriber where something is at work or somebody subscribed to the events of
     * sessions, permissions or questions; all lists of it are empty when nothing has changed. A directory that could not be
     * read is not listed. Empty after an overflow.
     */
    readonly changed: readonly DirectoryChange[];
  };
  /** Made by this library: what became of the server it started. */
  'jarvis.server': ServerNews;
}

/** The name of an event type this library knows. */
export type EventType = keyof EventProperties;

/**
 * The event of one type, or a union on `type` of several. Types the server adds later arrive the same way with their own
 * properties, so a `switch` over `type` should have a `default`. Properties are the server's own and are not validated
 * one by one.
 */
export type EventOf<T extends EventType> = {
  [K in T]: {
    /** The repository it belongs to; `undefined` for events of the whole server. */
    readonly directory: string | undefined;
    /** `evt_…`, ascending in time; empty for events made by this library. */
    readonly id: string;
    readonly type: K;
    readonly properties: EventProperties[K];
  };
}[T];

/** Any event, a union on `type`. */
export type OpenCodeEvent = EventOf<EventType>;
