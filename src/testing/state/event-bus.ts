import { onAbort } from '../../core/abort.js';
import { realClock, type Clock, type Timer } from '../../core/clock.js';
import type { EventProperties, EventType } from '../../client/schema/event.js';
import type { EventPayload } from './event-payload.js';
import type { Ids } from './ids.js';
import { StreamFaults } from './stream-faults.js';

/** The directory and the project that an event names. */
export interface EventScope {
  readonly directory: string;
  readonly projectID: string;
}

/** As on OpenCode 1.18.33. In real time, like the watchdog of a client, which ends a silent stream. */
const HEARTBEAT_MS = 10_000;

/** Events that the server stores; it sends each a second time, as a `sync` frame for replicating clients. */
const DURABLE: ReadonlySet<EventType> = new Set<EventType>([
  'session.created',
  'session.updated',
  'session.deleted',
  'message.updated',
  'message.removed',
  'message.part.updated',
  'message.part.removed',
]);

/** A connection to the events of all directories, or, for `GET /event`, of one directory. */
interface Reader {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly directory: string | undefined;
  /** Takes the listener off the signal of the connection. */
  readonly leave: () => void;
}

/** The event streams. Each receives every event from its start on. */
export class EventBus {
  readonly faults: StreamFaults;
  readonly #ids: Ids;
  readonly #encoder = new TextEncoder();
  readonly #readers = new Set<Reader>();
  /** The number of the next durable event, by session. */
  readonly #sequence = new Map<string, number>();
  #heartbeat: Timer | undefined;

  constructor(ids: Ids, clock: Clock) {
    this.#ids = ids;
    this.faults = new StreamFaults(clock);
  }

  /**
   * Opens a connection; `server.connected` is its first frame.
   *
   * @param signal - ends the connection, like a client that hangs up: msw does not report that a response body is cancelled.
   * @param directory - the directory of `GET /event`; the stream ends when its instance is disposed.
   */
  open(signal: AbortSignal, directory?: string): ReadableStream<Uint8Array> {
    let reader: Reader | undefined;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        const detach = onAbort(signal, () => {
          if (reader !== undefined && this.#leave(reader)) controller.error(signal.reason);
        });
        reader = { controller, directory, leave: detach };
        if (signal.aborted) return controller.error(signal.reason);
        this.#readers.add(reader);
        const connected = this.#payload('server.connected', {});
        controller.enqueue(this.#frame(directory === undefined ? { payload: connected } : connected));
        this.#scheduleHeartbeat();
      },
      cancel: () => {
        if (reader !== undefined) this.#leave(reader);
      },
    });
  }

  /** Sends an event. @param scope - `undefined` for an event of the whole server. */
  emit<T extends EventType>(scope: EventScope | undefined, type: T, properties: EventProperties[T]): void {
    const payload = this.#payload(type, structuredClone(properties));
    const envelope =
      scope === undefined
        ? { directory: 'global' }
        : { directory: scope.directory, project: scope.projectID };
    this.faults.pass(payload, envelope.directory, () => {
      this.#send(envelope, payload);
      if (DURABLE.has(type)) this.#sendSync(envelope, payload);
    });
  }

  /** Sends both events by which the server reports an idle session. */
  emitIdle(scope: EventScope, sessionID: string): void {
    this.emit(scope, 'session.status', { sessionID, status: { type: 'idle' } });
    this.emit(scope, 'session.idle', { sessionID });
  }

  /** Breaks every connection in the middle of a frame; clients can connect again. */
  cut(): void {
    for (const reader of this.#readers) {
      reader.controller.enqueue(this.#encoder.encode('data: {"payload":{"id":"ev'));
      this.#leave(reader);
      reader.controller.error(new TypeError('The event stream was cut.'));
    }
  }

  /** Breaks every connection, like a server that has ended. */
  close(): void {
    this.faults.clear();
    for (const reader of this.#readers) {
      this.#leave(reader);
      reader.controller.error(new TypeError('The mock is closed.'));
    }
  }

  #leave(reader: Reader): boolean {
    const wasOpen = this.#readers.delete(reader);
    reader.leave();
    if (this.#readers.size === 0) this.#heartbeat?.cancel();
    return wasOpen;
  }

  #scheduleHeartbeat(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = realClock.after(HEARTBEAT_MS, () => {
      const payload = this.#payload('server.heartbeat', {});
      this.faults.pass(payload, undefined, () => this.#send({}, payload));
      this.#scheduleHeartbeat();
    });
  }

  #payload(type: EventType, properties: object): EventPayload {
    return { id: this.#ids.next('evt'), type, properties };
  }

  #send(envelope: { readonly directory?: string }, payload: EventPayload): void {
    const isHeartbeat = payload.type === 'server.heartbeat';
    const globalFrame = this.#frame({ ...envelope, payload });
    const directoryFrame = this.#frame(payload);
    for (const reader of this.#readers) {
      if (reader.directory === undefined) reader.controller.enqueue(globalFrame);
      else if (isHeartbeat || reader.directory === envelope.directory) {
        reader.controller.enqueue(directoryFrame);
        if (payload.type !== 'server.instance.disposed') continue;
        this.#leave(reader);
        reader.controller.close();
      }
    }
  }

  /** Sends a durable event the second time, under the same id. */
  #sendSync(envelope: object, payload: EventPayload): void {
    const { sessionID } = payload.properties as { readonly sessionID: string };
    const seq = this.#sequence.get(sessionID) ?? 0;
    if (payload.type === 'session.deleted') this.#sequence.delete(sessionID);
    else this.#sequence.set(sessionID, seq + 1);
    const { id, type, properties: data } = payload;
    const syncEvent = { id, type: `${type}.1`, seq, aggregateID: sessionID, data };
    const frame = this.#frame({ ...envelope, payload: { type: 'sync', syncEvent, id } });
    for (const { controller, directory } of this.#readers)
      if (directory === undefined) controller.enqueue(frame);
  }

  #frame(envelope: object): Uint8Array {
    return this.#encoder.encode(`data: ${JSON.stringify(envelope)}\n\n`);
  }
}
