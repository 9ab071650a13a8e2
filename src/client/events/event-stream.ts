import { deferred, onAbort, type Deferred } from '../../core/abort.js';
import {
  aBoolean,
  aSignal,
  aString,
  assertOptions,
  positiveInteger,
  someStrings,
  type OptionChecks,
} from '../../core/checks.js';
import { ClosedError } from '../../errors.js';
import type { DirectoryChange, EventOf, EventType, OpenCodeEvent } from '../schema/event.js';
import { EventBuffer } from './event-buffer.js';
import { EventQueue } from './event-queue.js';

/** Options of a subscription. */
export interface EventOptions<T extends EventType = EventType> {
  /** Only these types. `jarvis.*` events are always delivered. */
  readonly types?: readonly T[] | undefined;
  /** Only events that name this session. `jarvis.*` events are always delivered. */
  readonly sessionID?: string | undefined;
  /** Ends the iteration quietly, and the subscription with it; `ready` rejects with its reason if it comes first. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many undelivered events are kept. When more arrive, the waiting ones are dropped and a `jarvis.gap` with reason
   * `overflow` takes their place.
   *
   * @default 1_000
   */
  readonly bufferSize?: number | undefined;
  /**
   * How many bytes of undelivered events are kept, by the length of their frames: a character counts as one. More of them are
   * dropped as with `bufferSize`. A single event that is longer is kept alone.
   *
   * @default 67_108_864 (64 MiB)
   */
  readonly bufferBytes?: number | undefined;
  /**
   * Keeps the repository's instance loaded, once it is, until the stream ends. Only for the events of one repository or
   * session.
   *
   * @default false
   */
  readonly hold?: boolean | undefined;
}

const DEFAULT_BUFFER_SIZE = 1_000;
const DEFAULT_BUFFER_BYTES = 64 * 1024 * 1024;

/** The check of each option. */
export const eventOptionChecks: OptionChecks<EventOptions> = {
  types: someStrings,
  sessionID: aString,
  signal: aSignal,
  bufferSize: positiveInteger,
  bufferBytes: positiveInteger,
  hold: aBoolean,
};

/** The events that a subscriber of some types gets: of those types, and of the library's own. */
export type DeliveredEvent<T extends EventType> = EventOf<T | 'jarvis.gap' | 'jarvis.server'>;

/** What a stream is attached to. */
export interface EventSource {
  /** Resolves when the connection delivers; rejects when it cannot be made. */
  readonly live: Promise<void>;
  detach(): void;
}

/** How a stream ended; iteration throws the error, if there is one. */
type StreamEnd = { readonly error?: unknown };

/**
 * Events as they arrive, for one `for await` loop; several loops over one stream share its events. `break`, `return`, an
 * abort of `signal`, or `close()`, the stream's own or the client's, ends it quietly and frees everything. Iteration throws
 * when the server is lost for good.
 */
export class EventStream<T extends EventType = EventType>
  implements AsyncIterable<DeliveredEvent<T>>, AsyncDisposable
{
  /**
   * Resolves when the connection is up: what happens from then on is delivered. Rejects when it cannot be made, and when the
   * stream is ended first: with the reason of `signal`, or with `ClosedError`.
   */
  readonly ready: Promise<void>;
  readonly #types: ReadonlySet<string> | undefined;
  readonly #sessionID: string | undefined;
  readonly #source: EventSource;
  readonly #ready = deferred();
  readonly #buffer: EventBuffer;
  /** Reads that came before there was anything to read. */
  readonly #waiting = new EventQueue<Deferred<IteratorResult<DeliveredEvent<T>, void>>>();
  #detachSignal: () => void = () => undefined;
  #end: StreamEnd | undefined;

  /** @internal */
  constructor(attach: (stream: EventStream<T>) => EventSource, options: EventOptions<T> = {}) {
    // Validate before subscribing, so a throw leaves nothing to clean up.
    assertOptions('events()', eventOptionChecks, options);
    const { types, sessionID, signal } = options;
    this.#types = types === undefined ? undefined : new Set(types);
    this.#sessionID = sessionID;
    this.#buffer = new EventBuffer({
      maxEvents: options.bufferSize ?? DEFAULT_BUFFER_SIZE,
      maxBytes: options.bufferBytes ?? DEFAULT_BUFFER_BYTES,
    });
    this.ready = this.#ready.promise;
    this.#source = attach(this);
    this.#source.live.then(this.#ready.resolve, (error: unknown) => {
      this.#ready.reject(error);
      this.fail(error);
    });
    this.#detachSignal = onAbort(signal, () => this.#finish({}, signal?.reason));
  }

  /** Ends the stream; a waiting loop ends quietly. */
  close(): Promise<void> {
    this.#finish({}, new ClosedError('The event stream'));
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<DeliveredEvent<T>, void, undefined> {
    let isDone = false;
    return {
      // No generator: it would cost three more turns of the microtask queue for each event.
      next: () => {
        if (isDone) return Promise.resolve({ done: true, value: undefined });
        const event = this.#take();
        if (event !== undefined) return Promise.resolve({ done: false, value: event as DeliveredEvent<T> });
        if (this.#end === undefined) return this.#nextEvent();
        isDone = true;
        return endResult(this.#end);
      },
      return: async () => {
        isDone = true;
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /** @internal Whether the stream delivers events of a type, if their session matches. */
  wants(type: string): boolean {
    return this.#types === undefined || this.#types.has(type) || type.startsWith('jarvis.');
  }

  /** @internal Takes one event, from a frame of so many bytes; never waits for the reader. */
  push(event: OpenCodeEvent, bytes: number): void {
    if (this.#end !== undefined || !this.reads(event)) return;
    const reader = this.#waiting.shift();
    if (reader === undefined) this.#buffer.push(event, bytes);
    else reader.resolve({ done: false, value: event as DeliveredEvent<T> });
  }

  /** @internal Ends the stream: quietly when its client was closed, else with the error, after what is buffered. */
  fail(error: unknown): void {
    this.#finish(error instanceof ClosedError ? {} : { error }, error);
  }

  /** @internal Whether the stream delivers such an event. */
  reads(event: OpenCodeEvent): boolean {
    if (!this.wants(event.type)) return false;
    if (this.#sessionID === undefined || event.type.startsWith('jarvis.')) return true;
    return sessionIDOf(event) === this.#sessionID;
  }

  #take(): OpenCodeEvent | undefined {
    const dropped = this.#buffer.takeDropped();
    return dropped === 0 ? this.#buffer.shift()?.event : gapEvent('overflow', dropped, []);
  }

  #nextEvent(): Promise<IteratorResult<DeliveredEvent<T>, void>> {
    const reader = deferred<IteratorResult<DeliveredEvent<T>, void>>();
    this.#waiting.push(reader);
    return reader.promise;
  }

  #finish(end: StreamEnd, reason: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    // After a failure the reader still gets what came before it; after any other end it gets nothing more.
    if (!('error' in end)) this.#buffer.clear();
    this.#ready.reject(reason);
    this.#detachSignal();
    this.#source.detach();
    for (let reader = this.#waiting.shift(); reader !== undefined; reader = this.#waiting.shift()) {
      endResult(end).then(reader.resolve, reader.reject);
    }
  }
}

function endResult(end: StreamEnd): Promise<IteratorReturnResult<void>> {
  return 'error' in end ? Promise.reject(end.error) : Promise.resolve({ done: true, value: undefined });
}

/** An event this library makes itself, for every directory. */
export function gapEvent(
  reason: EventOf<'jarvis.gap'>['properties']['reason'],
  dropped: number,
  changed: readonly DirectoryChange[],
): EventOf<'jarvis.gap'> {
  return { directory: undefined, id: '', type: 'jarvis.gap', properties: { reason, dropped, changed } };
}

/** What OpenCode 1.18.33 tells of an instance as a whole, much of it each time one is loaded. */
const ABOUT_NO_SESSION = /^(plugin|catalog|reference|integration|project|file|lsp|vcs|pty|worktree)\./;

/** Whether an event of a type may name a session. */
export function mayNameSession(type: string): boolean {
  return !ABOUT_NO_SESSION.test(type);
}

/** The session that an event names. */
export function sessionIDOf(event: OpenCodeEvent): string | undefined {
  const { sessionID } = event.properties as { sessionID?: unknown };
  return typeof sessionID === 'string' ? sessionID : undefined;
}
