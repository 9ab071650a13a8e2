import type { Clock, Timer } from '../../core/clock.js';
import type { EventType } from '../../client/schema/event.js';
import type { OpenCode2EventType } from '../opencode2/frames.js';
import type { EventPayload } from './event-payload.js';

/** An event that is about to be sent. */
export interface MockEvent {
  /** `undefined` for an event of the whole server. */
  readonly directory: string | undefined;
  readonly type: EventType | OpenCode2EventType;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Faults between the server and the readers of its events. The first event of a stream does not pass through them. */
export class StreamFaults {
  readonly #clock: Clock;
  readonly #drops = new Set<(event: MockEvent) => boolean>();
  readonly #delays = new Set<{ readonly ms: number }>();
  readonly #holds = new Set<object>();
  readonly #timers = new Set<Timer>();
  #held: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Loses matching events until the returned fault is disposed. @default all events match */
  drop(matches: (event: MockEvent) => boolean = () => true): Disposable {
    this.#drops.add(matches);
    return { [Symbol.dispose]: () => void this.#drops.delete(matches) };
  }

  /** Holds all events back until the returned fault is disposed; then sends them in order. */
  hold(): Disposable {
    const hold = {};
    this.#holds.add(hold);
    return {
      [Symbol.dispose]: () => {
        this.#holds.delete(hold);
        if (this.#holds.size === 0) for (const send of this.#held.splice(0)) send();
      },
    };
  }

  /**
   * Delays all events until the returned fault is disposed.
   *
   * @param ms - milliseconds by the clock of the mock, 0 or more.
   * @throws {RangeError} for a negative `ms`.
   */
  delay(ms: number): Disposable {
    if (!(ms >= 0)) throw new RangeError(`Expected ms to be a number that is not negative, got ${ms}.`);
    const delay = { ms };
    this.#delays.add(delay);
    return { [Symbol.dispose]: () => void this.#delays.delete(delay) };
  }

  /** Sends an event now or later, or loses it, as the faults demand. */
  pass(payload: EventPayload, directory: string | undefined, send: () => void): void {
    const { type, properties } = payload;
    const event = { directory, type, properties: properties as Record<string, unknown> };
    for (const matches of this.#drops) if (matches(event)) return;
    const ms = Math.max(0, ...[...this.#delays].map((delay) => delay.ms));
    if (ms === 0) return this.#sendInTurn(send);
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(timer);
      this.#sendInTurn(send);
    });
    this.#timers.add(timer);
  }

  /** Ends all faults; the events that they hold back are lost. */
  clear(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#drops.clear();
    this.#delays.clear();
    this.#holds.clear();
    this.#held = [];
  }

  #sendInTurn(send: () => void): void {
    if (this.#holds.size > 0) this.#held.push(send);
    else send();
  }
}
