import type { Clock } from '../../core/clock.js';
import type { EventProperties, EventType } from '../../client/schema/event.js';
import { EventConnections } from '../state/event-connections.js';
import type { Ids } from '../state/ids.js';
import type { EventScope, ServerEvents } from '../state/server-events.js';
import { StreamFaults } from '../state/stream-faults.js';
import { Entries } from './entries.js';
import { durableVersion, type Frame, type OpenCode2EventType } from './frames.js';

/** Sends an event. @param directory - its location; `undefined` for an event without one. */
export type SendFrame = (
  directory: string | undefined,
  type: OpenCode2EventType,
  data: Frame['data'],
  metadata?: Frame['metadata'],
) => void;

/** Tells the readers what an event of OpenCode 1.x means in OpenCode 2. */
export interface Narrator {
  tell<T extends EventType>(scope: EventScope | undefined, type: T, properties: EventProperties[T]): void;
}

/** As on OpenCode 2.0.14. */
const HEARTBEAT_MS = 15_000;

/** The event stream of OpenCode 2: one for all directories. */
export class OpenCode2Events implements ServerEvents {
  readonly faults: StreamFaults;
  /** What the sent events have stored. */
  readonly entries = new Entries();
  readonly #ids: Ids;
  readonly #clock: Clock;
  readonly #narrator: Narrator;
  readonly #connections: EventConnections;
  /** The number of the next stored event, by session. */
  readonly #sequence = new Map<string, number>();

  /** @param narrator - makes the translation that sends by the given function. */
  constructor(ids: Ids, clock: Clock, narrator: (send: SendFrame) => Narrator) {
    this.#ids = ids;
    this.#clock = clock;
    this.faults = new StreamFaults(clock);
    this.#narrator = narrator(this.send);
    this.#connections = new EventConnections({
      heartbeatMs: HEARTBEAT_MS,
      begin: ({ send }) => {
        const connected = { id: ids.next('evt'), type: 'server.connected', data: {} };
        send(`data: ${JSON.stringify(connected)}\n\n: heartbeat\n\n`);
      },
      heartbeat: () => this.#broadcast(': heartbeat\n\n'),
    });
  }

  open(signal: AbortSignal): ReadableStream<Uint8Array> {
    return this.#connections.open(signal);
  }

  emit<T extends EventType>(scope: EventScope | undefined, type: T, properties: EventProperties[T]): void {
    this.#narrator.tell(scope, type, properties);
  }

  emitIdle(scope: EventScope, sessionID: string): void {
    this.emit(scope, 'session.status', { sessionID, status: { type: 'idle' } });
  }

  /** Stores an event and sends it. */
  readonly send: SendFrame = (directory, type, data, metadata) => {
    const durable = this.#number(type, data);
    const frame: Frame = {
      id: this.#ids.next('evt'),
      created: this.#clock.now(),
      ...(metadata && { metadata }),
      type,
      ...(directory !== undefined && { location: { directory } }),
      data: structuredClone(data),
      ...(durable && { durable }),
    };
    this.entries.apply(structuredClone(frame));
    this.faults.pass({ id: frame.id, type, properties: frame.data }, directory, () =>
      this.#broadcast(`data: ${JSON.stringify(frame)}\n\n`),
    );
  };

  /** Counts an event of a session that is stored and not sent. */
  skip(sessionID: string): void {
    this.#sequence.set(sessionID, (this.#sequence.get(sessionID) ?? 0) + 1);
  }

  cut(): void {
    for (const reader of this.#connections.readers()) {
      reader.send('data: {"id":"ev');
      reader.break(new TypeError('The event stream was cut.'));
    }
  }

  close(): void {
    this.faults.clear();
    for (const reader of this.#connections.readers()) reader.break(new TypeError('The mock is closed.'));
  }

  #number(type: OpenCode2EventType, { sessionID }: Frame['data']): Frame['durable'] {
    const version = durableVersion(type);
    if (version === undefined || typeof sessionID !== 'string') return undefined;
    const seq = this.#sequence.get(sessionID) ?? 0;
    this.skip(sessionID);
    return { aggregateID: sessionID, seq, version };
  }

  #broadcast(text: string): void {
    for (const { send } of this.#connections.readers()) send(text);
  }
}
