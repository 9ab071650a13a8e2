import type { OpenCodeEvent } from '../schema/event.js';
import { EventBuffer, type SizedEvent } from './event-buffer.js';

/** How much is held back at most while the state of the server is read again. */
const MAX_HELD_BACK = { maxEvents: 10_000, maxBytes: 64 * 1024 * 1024 };

/** What came after a gap, to be published after the gap itself. */
export interface HeldBack {
  /** How many events there was no room for. */
  readonly dropped: number;
  readonly events: Iterable<SizedEvent>;
}

/**
 * Knows whether a new connection follows a gap, and holds its events back until the gap is published. A connection that was
 * never read has nothing to miss.
 */
export class GapBuffer {
  #hasDelivered = false;
  #heldBack: EventBuffer | undefined;

  /** Whether anything was ever received: what comes between two connections from then on may be missed. */
  get hasDelivered(): boolean {
    return this.#hasDelivered;
  }

  /** Notes that something was received. */
  noteDelivery(): void {
    this.#hasDelivered = true;
  }

  /** A connection begins: holds its events back if there is a gap before it. @returns whether there is. */
  begin(): boolean {
    this.#heldBack = this.#hasDelivered ? new EventBuffer(MAX_HELD_BACK) : undefined;
    return this.#hasDelivered;
  }

  /** Holds an event back. @returns `false` outside a gap: the event is to be published now. */
  hold(event: OpenCodeEvent, bytes: number): boolean {
    this.#heldBack?.push(event, bytes);
    return this.#heldBack !== undefined;
  }

  /** Ends the gap. @returns what came after it. */
  end(): HeldBack {
    const heldBack = this.#heldBack;
    this.#heldBack = undefined;
    return { dropped: heldBack?.takeDropped() ?? 0, events: heldBack?.drain() ?? [] };
  }
}
