import { onAbort } from '../abort.js';
import { systemClock, type Timer } from '../clock.js';
import type { EventProperties, EventType } from '../client/schema/event.js';
import type { Ids } from './ids.js';

/** Where something happens: events name the directory and its project. */
export interface Place {
  readonly directory: string;
  readonly projectID: string;
}

/** Like the server, so that a client's watchdog for silence is satisfied. */
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

/** The global event stream: whoever has opened it gets every event from then on. */
export class EventBus {
  readonly #ids: Ids;
  readonly #encoder = new TextEncoder();
  readonly #readers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  /** Durable events are numbered by session. */
  readonly #sequence = new Map<string, number>();
  #heartbeat: Timer | undefined;

  constructor(ids: Ids) {
    this.#ids = ids;
  }

  /** How many connections are open. */
  get size(): number {
    return this.#readers.size;
  }

  /**
   * Opens a connection; `server.connected` is its first frame.
   *
   * @param signal - ends it, like a client that hangs up: msw does not tell when the body of a response is cancelled.
   */
  open(signal: AbortSignal): ReadableStream<Uint8Array> {
    let reader: ReadableStreamDefaultController<Uint8Array>;
    let detach = (): void => undefined;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        reader = controller;
        this.#readers.add(controller);
        controller.enqueue(this.#frame({ payload: this.#payload('server.connected', {}) }));
        this.#beat();
        detach = onAbort(signal, () => {
          if (this.#leave(controller)) controller.error(signal.reason);
        });
      },
      cancel: () => {
        detach();
        this.#leave(reader);
      },
    });
  }

  /** Sends an event of a place, or of the whole server when there is none. */
  emit<T extends EventType>(place: Place | undefined, type: T, properties: EventProperties[T]): void {
    const payload = this.#payload(type, properties);
    const envelope =
      place === undefined
        ? { directory: 'global' }
        : { directory: place.directory, project: place.projectID };
    this.#send({ ...envelope, payload });
    if (DURABLE.has(type)) this.#send({ ...envelope, payload: this.#sync(payload) });
  }

  /** Breaks every connection, like a server that has gone. */
  close(): void {
    this.#heartbeat?.cancel();
    for (const reader of this.#readers) reader.error(new TypeError('The mock is closed.'));
    this.#readers.clear();
  }

  #leave(reader: ReadableStreamDefaultController<Uint8Array>): boolean {
    const wasOpen = this.#readers.delete(reader);
    if (this.#readers.size === 0) this.#heartbeat?.cancel();
    return wasOpen;
  }

  #beat(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = systemClock.after(HEARTBEAT_MS, () => {
      this.#send({ payload: this.#payload('server.heartbeat', {}) });
      this.#beat();
    });
  }

  #payload(type: EventType, properties: object): { id: string; type: EventType; properties: object } {
    return { id: this.#ids.next('evt'), type, properties };
  }

  /** The second delivery of a durable event, under the same id. */
  #sync(payload: { readonly id: string; readonly type: EventType; readonly properties: object }): object {
    const { sessionID } = payload.properties as { readonly sessionID: string };
    const seq = this.#sequence.get(sessionID) ?? 0;
    if (payload.type === 'session.deleted') this.#sequence.delete(sessionID);
    else this.#sequence.set(sessionID, seq + 1);
    const { id, type, properties: data } = payload;
    return { type: 'sync', syncEvent: { id, type: `${type}.1`, seq, aggregateID: sessionID, data }, id };
  }

  #send(envelope: object): void {
    if (this.#readers.size === 0) return;
    const frame = this.#frame(envelope);
    for (const reader of this.#readers) reader.enqueue(frame);
  }

  #frame(envelope: object): Uint8Array {
    return this.#encoder.encode(`data: ${JSON.stringify(envelope)}\n\n`);
  }
}
