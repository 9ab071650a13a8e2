import type { Clock, Timer } from '../../core/clock.js';
import type { EventType } from '../../client/schema/event.js';
import type { EventPayload } from './event-payload.js';

/** An event that is about to be sent. */
export interface MockEvent {
  /** `undefined` for what concerns the whole server. */
  readonly directory: string | undefined;
  readonly type: EventType;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What goes wrong between the server and everybody who reads its events; `server.connected` always arrives. */
export class StreamFaults {
  readonly #clock: Clock;
  readonly #drops = new Set<(event: MockEvent) => boolean>();
  readonly #delays = new Set<{ readonly ms: number }>();
  readonly #holds = new Set<object>();
  readonly #timers = new Set<Timer>();
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Loses the events that match until the returned fault is disposed. @default all of them */
  drop(matches: (event: MockEvent) => boolean = () => true): Disposable {
    this.#drops.add(matches);
    return { [Symbol.dispose]: () => void this.#drops.delete(matches) };
  }

  /** Keeps all events back until the returned fault is disposed; then they come, in their order. */
  hold(): Disposable {
    const hold = {};
    this.#holds.add(hold);
    return {
      [Symbol.dispose]: () => {
        this.#holds.delete(hold);
        if (this.#holds.size === 0) for (const send of this.#waiting.splice(0)) send();
      },
    };
  }

  /**
   * Lets all events come `ms` milliseconds later, by the clock of the mock, until the returned fault is disposed.
   *
   * @throws {RangeError} unless `ms` is a number that is not negative.
   */
  delay(ms: number): Disposable {
    if (!(ms >= 0)) throw new RangeError(`Expected ms to be a number that is not negative, got ${ms}.`);
    const delay = { ms };
    this.#delays.add(delay);
    return { [Symbol.dispose]: () => void this.#delays.delete(delay) };
  }

  /** Sends an event when the faults let it, if they do. */
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

  /** Ends all faults; what they kept back is lost. */
  clear(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#drops.clear();
    this.#delays.clear();
    this.#holds.clear();
    this.#waiting = [];
  }

  #sendInTurn(send: () => void): void {
    if (this.#holds.size > 0) this.#waiting.push(send);
    else send();
  }
}
