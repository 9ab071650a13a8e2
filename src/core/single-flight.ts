import { abortable } from './abort.js';

interface Flight<T> {
  readonly done: Promise<T>;
  /** Aborts when nobody waits for it any more. */
  readonly abandoned: AbortController;
  waiting: number;
}

/** Shares one attempt between all callers who want the same thing at the same time. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** Whether an attempt for the key is under way. */
  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /**
   * Joins the attempt for the key, or starts it. The attempt is abandoned when no caller waits any more.
   *
   * @param start - called once; its signal aborts when the attempt is abandoned.
   * @param signal - ends the waiting of this caller, with its own reason.
   */
  async run(key: string, start: (abandoned: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const flight = this.#flights.get(key) ?? this.#start(key, start);
    flight.waiting += 1;
    try {
      return await abortable(flight.done, signal);
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0 && this.#end(key, flight)) flight.abandoned.abort();
    }
  }

  #start(key: string, start: (abandoned: AbortSignal) => Promise<T>): Flight<T> {
    const abandoned = new AbortController();
    const flight: Flight<T> = { done: start(abandoned.signal), abandoned, waiting: 0 };
    this.#flights.set(key, flight);
    flight.done.then(
      () => this.#end(key, flight),
      () => this.#end(key, flight),
    );
    return flight;
  }

  /** Forgets an attempt. @returns whether it was under way. */
  #end(key: string, flight: Flight<T>): boolean {
    return this.#flights.get(key) === flight && this.#flights.delete(key);
  }
}
