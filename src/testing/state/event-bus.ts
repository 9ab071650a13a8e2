import { onAbort } from '../../core/abort.js';
import { realClock, type Clock, type Timer } from '../../core/clock.js';
import type { EventProperties, EventType } from '../../client/schema/event.js';
import type { EventPayload } from './event-payload.js';
import type { Ids } from './ids.js';
import { StreamFaults } from './stream-faults.js';

/** Where something happens: events name the directory and its project. */
export interface EventScope {
  readonly directory: string;
  readonly projectID: string;
}

/** Like the server, so that a client's watchdog for silence is satisfied: it goes by real time, as that does. */
const HEARTBEAT_MS = 10_000;

/** These are stored by the server, which sends each of them a second time as a `sync` frame for replicating clients. */
const DURABLE: ReadonlySet<EventType> = new Set<EventType>([
  'session.created',
  'session.updated',
  'session.deleted',
  'message.updated',
  'message.removed',
  'message.part.updated',
  'message.part.removed',
]);

/** A connection: to the events of all directories, or, as `GET /event`, of one. */
interface Reader {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly directory: string | undefined;
  readonly leave: () => void;
}

/** The event streams: whoever has opened one gets every event from then on. */
export class EventBus {
  readonly faults: StreamFaults;
  readonly #ids: Ids;
  readonly #encoder = new TextEncoder();
  readonly #readers = new Set<Reader>();
  /** Durable events are numbered by session. */
  readonly #sequence = new Map<string, number>();
  #heartbeat: Timer | undefined;

  constructor(ids: Ids, clock: Clock) {
    this.#ids = ids;
    this.faults = new StreamFaults(clock);
  }

  /**
   * Opens a connection; `server.connected` is its first frame.
   *
   * @param signal - ends it, like a client that hangs up: msw does not tell when the body of a response is cancelled.
   * @param directory - of `GET /event`, which ends when the instance is disposed.
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
        this.#beat();
      },
      cancel: () => {
        if (reader !== undefined) this.#leave(reader);
      },
    });
  }

  /** Sends an event of a scope, or of the whole server when there is none. */
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

  /** Tells that a session is idle, by both events that the server has for it. */
  emitIdle(scope: EventScope, sessionID: string): void {
    this.emit(scope, 'session.status', { sessionID, status: { type: 'idle' } });
    this.emit(scope, 'session.idle', { sessionID });
  }

  /** Breaks every connection in the middle of a frame; the clients may come again. */
  cut(): void {
    for (const reader of this.#readers) {
      reader.controller.enqueue(this.#encoder.encode('data: {"payload":{"id":"ev'));
      this.#leave(reader);
      reader.controller.error(new TypeError('The event stream was cut.'));
    }
  }

  /** Breaks every connection, like a server that has gone. */
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

  #beat(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = realClock.after(HEARTBEAT_MS, () => {
      const payload = this.#payload('server.heartbeat', {});
      this.faults.pass(payload, undefined, () => this.#send({}, payload));
      this.#beat();
    });
  }

  #payload(type: EventType, properties: object): EventPayload {
    return { id: this.#ids.next('evt'), type, properties };
  }

  #send(envelope: { readonly directory?: string }, payload: EventPayload): void {
    const isBeat = payload.type === 'server.heartbeat';
    const ofAll = this.#frame({ ...envelope, payload });
    const ofOne = this.#frame(payload);
    for (const reader of this.#readers) {
      if (reader.directory === undefined) reader.controller.enqueue(ofAll);
      else if (isBeat || reader.directory === envelope.directory) {
        reader.controller.enqueue(ofOne);
        if (payload.type !== 'server.instance.disposed') continue;
        this.#leave(reader);
        reader.controller.close();
      }
    }
  }

  /** The second delivery of a durable event, under the same id. */
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
