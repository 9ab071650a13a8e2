import type { OpenCodeEvent } from '../schema/event.js';
import type { HttpRequest } from '../http/request.js';
import type { Schema } from '../schema/wire.js';

/** The major versions of OpenCode that this library can talk to. */
export type OpenCodeMajor = 1 | 2;

/**
 * An operation of the library. Its name, method and path, is the one that OpenCode 1.18 gives it; what only OpenCode 2 has is called as
 * there.
 */
export type Operation = Pick<HttpRequest<unknown>, 'method' | 'path' | 'query' | 'json' | 'directory'>;

/** The route of the one listing of sessions that loads no instance; OpenCode 1.18.33 and 2.0.14 have it in common. */
export const LOCATED_SESSIONS_PATH = '/api/session';

/** A request as it goes to the server. */
export interface WireRequest<T> extends Pick<HttpRequest<T>, 'method' | 'path' | 'query' | 'json'> {
  readonly schema: Schema<T>;
}

/** Sends requests of one operation, one after the other, within its time limit. */
export interface Exchange {
  /** Sends a request and returns its answer, checked. */
  send<T>(request: WireRequest<T>): Promise<T>;
}

/** The answer to an operation, as OpenCode 1.18 gives it. */
export interface OperationAnswer {
  readonly body: unknown;
  /** Of a list in pages: asks for the page after this one. */
  readonly next?: string | undefined;
}

/** Carries out an operation by requests that the server understands. */
export type CarryOut = (exchange: Exchange) => Promise<OperationAnswer>;

/** What the beginning of a frame shows of an event. */
export interface EventHead {
  readonly directory: string | undefined;
  readonly type: string;
}

/** A decoded frame of the event stream, or one of the events in it. */
export type Decoded =
  | { readonly kind: 'event'; readonly event: OpenCodeEvent }
  /** A second delivery of an event, under the same id, for replicating clients. */
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Reads the frames of one connection, in their order. */
export interface FrameReader {
  /** What a frame begins with, where that can be read without parsing it; else `undefined`. */
  peek(data: string): EventHead | undefined;
  /** Decodes a frame. @param head - what {@link peek} read of it. */
  decode(data: string, head: EventHead | undefined): Iterable<Decoded>;
}

/**
 * How a major version of OpenCode is spoken to. The library speaks the language of OpenCode 1.18: its operations, its messages and
 * its events. A dialect says how the server at hand is asked for the same.
 */
export interface Dialect {
  readonly opencode: OpenCodeMajor;
  /** Where the events of every directory come from. */
  readonly eventsPath: string;
  /**
   * How an operation is carried out; `undefined` when the server takes it as it is.
   *
   * @throws {UnsupportedOperationError} when the server has no such operation; nothing is sent then.
   */
  operation(operation: Operation): CarryOut | undefined;
  /** Begins to read a new connection of the event stream. */
  readFrames(): FrameReader;
}

/** Says how the server at hand is spoken to. */
export interface DialectSource {
  /** The major version of the server, as far as it is known. */
  readonly opencode: OpenCodeMajor;
  /** The dialect of that version; a promise where it has to be loaded. */
  dialect(): Dialect | Promise<Dialect>;
}

/** One dialect, whatever the server is. */
export function oneDialect(dialect: Dialect): DialectSource {
  return { opencode: dialect.opencode, dialect: () => dialect };
}
