import type { OpenCodeEvent } from '../schema/event.js';
import { EventQueue } from './event-queue.js';

/** How much a buffer of events takes. */
export interface EventBufferLimits {
  readonly maxEvents: number;
  /** A single event of more than that is kept, alone. */
  readonly maxBytes: number;
}

/** An event, with the length of the frame it came in. */
export interface SizedEvent {
  readonly event: OpenCodeEvent;
  readonly bytes: number;
}

/** Events that wait to be delivered. When there is no room for one more, all that wait are dropped and counted. */
export class EventBuffer {
  readonly #limits: EventBufferLimits;
  readonly #events = new EventQueue<SizedEvent>();
  #bytes = 0;
  #dropped = 0;

  constructor(limits: EventBufferLimits) {
    this.#limits = limits;
  }

  /** @param bytes - length of the frame the event came in. */
  push(event: OpenCodeEvent, bytes: number): void {
    const { size } = this.#events;
    const { maxEvents, maxBytes } = this.#limits;
    if (size > 0 && (size >= maxEvents || this.#bytes + bytes > maxBytes)) {
      this.#dropped += size;
      this.#empty();
    }
    this.#events.push({ event, bytes });
    this.#bytes += bytes;
  }

  shift(): SizedEvent | undefined {
    const next = this.#events.shift();
    this.#bytes -= next?.bytes ?? 0;
    return next;
  }

  /** Takes what waits, one after the other. */
  *drain(): Generator<SizedEvent> {
    for (let next = this.shift(); next !== undefined; next = this.shift()) yield next;
  }

  /** How many were dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  clear(): void {
    this.#dropped = 0;
    this.#empty();
  }

  #empty(): void {
    this.#events.clear();
    this.#bytes = 0;
  }
}
