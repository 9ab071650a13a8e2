import { deferred, onAbort, type Deferred } from '../../abort.js';
import { ClosedError } from '../../errors.js';
import type { EventOf, EventType, OpenCodeEvent } from '../schema/event.js';

/** What a subscriber may choose. */
export interface EventOptions<T extends EventType = EventType> {
  /** Only these types. `jarvis.*` events are always delivered. */
  readonly types?: readonly T[] | undefined;
  /** Only events that name this session. `jarvis.*` events are always delivered. */
  readonly sessionID?: string | undefined;
  /** Ends the iteration quietly, and the subscription with it. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many undelivered events are kept. When more arrive, the waiting ones are dropped and a `jarvis.gap` with reason
   * `overflow` takes their place.
   *
   * @default 1_000
   */
  readonly bufferSize?: number | undefined;
}

const DEFAULT_BUFFER_SIZE = 1_000;

/** What a subscriber of some types gets: those, and the library's own. */
export type DeliveredEvent<T extends EventType> = EventOf<T | 'jarvis.gap'>;

/** Where a stream gets its events from, and how it lets go of it. */
export interface EventSource {
  /** Resolves when the connection delivers; rejects when it cannot be made. */
  readonly live: Promise<void>;
  detach(): void;
}

/**
 * Events as they arrive, for one `for await` loop. `break`, `return`, an abort of `signal`, or `close()`, the stream's own or
 * the client's, ends it quietly and frees everything. Iteration throws when the server is lost for good.
 */
export class EventStream<T extends EventType = EventType>
  implements AsyncIterable<DeliveredEvent<T>>, AsyncDisposable
{
  /** Resolves when the connection is up: what happens from then on is delivered. Rejects when it cannot be made. */
  readonly ready: Promise<void>;
  readonly #types: ReadonlySet<string> | undefined;
  readonly #sessionID: string | undefined;
  readonly #bufferSize: number;
  readonly #source: EventSource;
  #detachSignal: () => void = () => undefined;
  #buffer: OpenCodeEvent[] = [];
  #dropped = 0;
  #waiting: Deferred<void> | undefined;
  #end: { readonly error?: unknown } | undefined;

  /** @internal */
  constructor(attach: (stream: EventStream<T>) => EventSource, options: EventOptions<T> = {}) {
    if (typeof options !== 'object' || options === null) {
      throw new TypeError(`Expected event options to be an object, got ${String(options)}.`);
    }
    const { types, sessionID, bufferSize = DEFAULT_BUFFER_SIZE } = options;
    if (!Number.isInteger(bufferSize) || bufferSize < 1) {
      throw new RangeError(`Expected bufferSize to be a positive integer, got ${String(bufferSize)}.`);
    }
    this.#types = types === undefined ? undefined : new Set(types);
    this.#sessionID = sessionID;
    this.#bufferSize = bufferSize;
    this.#source = attach(this);
    this.ready = this.#source.live;
    this.ready.catch((error: unknown) => this.fail(error));
    this.#detachSignal = onAbort(options.signal, () => this.#finish({}));
  }

  /** Ends the stream; a waiting loop ends quietly. */
  close(): Promise<void> {
    this.#finish({});
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DeliveredEvent<T>, void, undefined> {
    try {
      for (;;) {
        if (this.#dropped > 0) {
          const dropped = this.#dropped;
          this.#dropped = 0;
          yield gapEvent('overflow', dropped) as DeliveredEvent<T>;
          continue;
        }
        const event = this.#buffer.shift();
        if (event !== undefined) {
          yield event as DeliveredEvent<T>;
          continue;
        }
        if (this.#end !== undefined) {
          if ('error' in this.#end) throw this.#end.error;
          return;
        }
        this.#waiting = deferred();
        await this.#waiting.promise;
      }
    } finally {
      this.#finish({});
    }
  }

  /** @internal Takes one event; never waits for the reader. */
  push(event: OpenCodeEvent): void {
    if (this.#end !== undefined || !this.reads(event)) return;
    if (this.#buffer.length >= this.#bufferSize) {
      this.#dropped += this.#buffer.length;
      this.#buffer = [];
    }
    this.#buffer.push(event);
    this.#waiting?.resolve();
  }

  /** @internal Ends the stream: quietly when its client was closed, else with the error, after what is buffered. */
  fail(error: unknown): void {
    this.#finish(error instanceof ClosedError ? {} : { error });
  }

  /** @internal Whether such an event is delivered. */
  reads(event: OpenCodeEvent): boolean {
    if (event.type.startsWith('jarvis.')) return true;
    if (this.#types !== undefined && !this.#types.has(event.type)) return false;
    return this.#sessionID === undefined || sessionIDOf(event) === this.#sessionID;
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    // Ended from outside, a reader has nothing more to expect; after a failure it still gets what came before.
    if (!('error' in end)) {
      this.#buffer = [];
      this.#dropped = 0;
    }
    this.#detachSignal();
    this.#source.detach();
    this.#waiting?.resolve();
  }
}

/** An event this library makes itself, for every directory. */
export function gapEvent(
  reason: EventOf<'jarvis.gap'>['properties']['reason'],
  dropped: number,
): EventOf<'jarvis.gap'> {
  return { directory: undefined, id: '', type: 'jarvis.gap', properties: { reason, dropped } };
}

/** The session an event names, wherever the server put it. */
export function sessionIDOf(event: OpenCodeEvent): string | undefined {
  const { sessionID } = event.properties as { sessionID?: unknown };
  return typeof sessionID === 'string' ? sessionID : undefined;
}
