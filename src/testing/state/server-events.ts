import type { EventProperties, EventType } from '../../client/schema/event.js';
import type { StreamFaults } from './stream-faults.js';

/** The directory and the project that an event names. */
export interface EventScope {
  readonly directory: string;
  readonly projectID: string;
}

/** Receives what happens in the server, as events of OpenCode 1.x, and sends it to the readers of its streams. */
export interface ServerEvents {
  readonly faults: StreamFaults;
  /**
   * Opens a connection.
   *
   * @param signal - ends it.
   * @param directory - the one directory whose events it receives. @default all directories
   */
  open(signal: AbortSignal, directory?: string): ReadableStream<Uint8Array>;
  /** Sends an event. @param scope - `undefined` for an event of the whole server. */
  emit<T extends EventType>(scope: EventScope | undefined, type: T, properties: EventProperties[T]): void;
  /** Sends both events by which the server reports an idle session. */
  emitIdle(scope: EventScope, sessionID: string): void;
  /** Breaks every connection in the middle of a frame; clients can connect again. */
  cut(): void;
  /** Breaks every connection, like a server that has ended. */
  close(): void;
}
