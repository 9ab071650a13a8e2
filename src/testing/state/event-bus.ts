import type { Clock } from '../../core/clock.js';
import type { EventProperties, EventType } from '../../client/schema/event.js';
import { EventConnections } from './event-connections.js';
import type { EventPayload } from './event-payload.js';
import type { Ids } from './ids.js';
import type { EventScope, ServerEvents } from './server-events.js';
import { StreamFaults } from './stream-faults.js';

/** As on OpenCode 1.18.33. */
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

/** The event streams of OpenCode 1.x. Each receives every event from its start on. */
export class EventBus implements ServerEvents {
  readonly faults: StreamFaults;
  readonly #ids: Ids;
  /** Those of all directories, and, for `GET /event`, of one directory. */
  readonly #connections: EventConnections;
  /** The number of the next durable event, by session. */
  readonly #sequence = new Map<string, number>();

  constructor(ids: Ids, clock: Clock) {
    this.#ids = ids;
    this.faults = new StreamFaults(clock);
    this.#connections = new EventConnections({
      heartbeatMs: HEARTBEAT_MS,
      begin: ({ directory, send }) => {
        const connected = this.#payload('server.connected', {});
        send(frameOf(directory === undefined ? { payload: connected } : connected));
      },
      heartbeat: () => {
        const payload = this.#payload('server.heartbeat', {});
        this.faults.pass(payload, undefined, () => this.#send({}, payload));
      },
    });
  }

  /**
   * Opens a connection; `server.connected` is its first frame.
   *
   * @param signal - ends the connection.
   * @param directory - the directory of `GET /event`; the stream ends when its instance is disposed.
   */
  open(signal: AbortSignal, directory?: string): ReadableStream<Uint8Array> {
    return this.#connections.open(signal, directory);
  }

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

  emitIdle(scope: EventScope, sessionID: string): void {
    this.emit(scope, 'session.status', { sessionID, status: { type: 'idle' } });
    this.emit(scope, 'session.idle', { sessionID });
  }

  cut(): void {
    for (const reader of this.#connections.readers()) {
      reader.send('data: {"payload":{"id":"ev');
      reader.break(new TypeError('The event stream was cut.'));
    }
  }

  close(): void {
    this.faults.clear();
    for (const reader of this.#connections.readers()) reader.break(new TypeError('The mock is closed.'));
  }

  #payload(type: EventType, properties: object): EventPayload {
    return { id: this.#ids.next('evt'), type, properties };
  }

  #send(envelope: { readonly directory?: string }, payload: EventPayload): void {
    const isHeartbeat = payload.type === 'server.heartbeat';
    const globalFrame = frameOf({ ...envelope, payload });
    const directoryFrame = frameOf(payload);
    for (const reader of this.#connections.readers()) {
      if (reader.directory === undefined) reader.send(globalFrame);
      else if (isHeartbeat || reader.directory === envelope.directory) {
        reader.send(directoryFrame);
        if (payload.type === 'server.instance.disposed') reader.close();
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
    const frame = frameOf({ ...envelope, payload: { type: 'sync', syncEvent, id } });
    for (const { directory, send } of this.#connections.readers()) if (directory === undefined) send(frame);
  }
}

function frameOf(envelope: object): string {
  return `data: ${JSON.stringify(envelope)}\n\n`;
}
