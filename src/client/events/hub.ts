import { abortable, deferred, delay, onAbort, type Deferred } from '../../abort.js';
import { RequestError, ResponseShapeError, TimeoutError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { EventType, OpenCodeEvent } from '../schema/event.js';
import { EventStream, gapEvent, type EventOptions } from './event-stream.js';
import { readFrames, type Frame } from './sse.js';

/**
 * The server sends a heartbeat every 10 s (measured on OpenCode 1.18.33): after two and a half of them without a byte
 * the connection is dead, whatever TCP says.
 */
const SILENCE_MS = 25_000;

/**
 * On OpenCode 1.18.33 events of the first ~20 ms after `server.connected` can be missing from `/global/event`, so the
 * subscription counts as live only this much later.
 */
const SETTLE_MS = 50;

/** A connection that lived this long was stable: the next reconnect starts again with the shortest wait. */
const STABLE_MS = 10_000;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;

/** What the hub needs from outside. */
export interface HubInit {
  /** Opens `/global/event`. */
  readonly open: (signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  /** Sees every event before any subscriber does, and every change of the connection. */
  readonly observer: HubObserver;
  readonly logger: Logger;
}

/** The registry's view of the stream. */
export interface HubObserver {
  event(event: OpenCodeEvent): void;
  /** While the stream is down, nobody can say what the server is doing. */
  connection(live: boolean): void;
  /** Reads again what may have been missed, before subscribers are told of the gap. */
  resync(signal: AbortSignal): Promise<void>;
}

/** Someone inside the library who listens. */
export interface HubListener {
  event(event: OpenCodeEvent): void;
  /** The connection is lost for good. */
  lost(error: unknown): void;
  /** Whether somebody outside this library reads such an event here. @default nobody */
  reads?(event: OpenCodeEvent): boolean;
}

interface Subscription extends HubListener {
  readonly directory: string | undefined;
}

/** One `/global/event` connection for any number of repositories and subscribers, opened when first needed. */
export class EventHub {
  readonly #init: HubInit;
  readonly #subscriptions = new Set<Subscription>();
  readonly #closing = new AbortController();
  /** Resolves when the connection delivers; another one after each drop. `undefined` while nobody needs one. */
  #live: Deferred<void> | undefined;
  #isLive = false;
  /** Whether events may have been missed since the first one. */
  #hasGap = false;
  #running: Promise<void> = Promise.resolve();

  constructor(init: HubInit) {
    this.#init = init;
  }

  /** How many listen. */
  get size(): number {
    return this.#subscriptions.size;
  }

  /**
   * Opens the connection if it is not, and resolves when it delivers.
   *
   * @throws {RequestError} {@link ResponseShapeError} when the server refuses the stream for good.
   */
  connect(): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return abortable(Promise.resolve(), signal);
    if (this.#live === undefined) {
      this.#live = deferred();
      this.#running = this.#run();
    }
    return this.#live.promise;
  }

  /** Whether somebody outside this library reads such an event. */
  hasReader(event: OpenCodeEvent): boolean {
    return [...this.#subscriptions].some(
      (subscription) =>
        (subscription.directory ?? event.directory) === event.directory &&
        subscription.reads?.(event) === true,
    );
  }

  /** Calls the listener for each event of the directory, or of all; the returned function ends it. */
  listen(directory: string | undefined, listener: HubListener): () => void {
    const subscription: Subscription = {
      directory,
      event: (event) => listener.event(event),
      lost: (error) => listener.lost(error),
      reads: (event) => listener.reads?.(event) ?? false,
    };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  /** Makes a stream of the directory's events, or of all. */
  stream<T extends EventType>(directory: string | undefined, options?: EventOptions<T>): EventStream<T> {
    return new EventStream<T>((stream) => {
      const detach = this.listen(directory, {
        event: (event) => stream.push(event),
        lost: (error) => stream.fail(error),
        reads: (event) => stream.reads(event),
      });
      return { live: this.connect(), detach };
    }, options);
  }

  /** Ends the connection and every subscription with `reason`; resolves when the socket is let go. */
  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason);
    this.#lose(reason);
    await this.#running;
  }

  /** Keeps the connection up until the hub is closed or the server refuses it for good. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let attempt = 0;
    for (;;) {
      let liveSince: number | undefined;
      try {
        await this.#read(async (connection) => {
          // What happened while nobody listened is read again before anyone is told of it.
          if (this.#hasGap) await this.#init.observer.resync(connection);
          connection.throwIfAborted();
          liveSince = performance.now();
          this.#setLive(true);
          if (this.#hasGap) this.#dispatch(gapEvent('reconnect', 0));
        });
        this.#init.logger.warn('event stream ended');
      } catch (error) {
        if (!signal.aborted && isPermanent(error)) {
          this.#setLive(false);
          this.#lose(error);
          return;
        }
        if (!signal.aborted) this.#init.logger.warn('event stream lost', { error: String(error) });
      }
      this.#setLive(false);
      if (liveSince !== undefined && performance.now() - liveSince > STABLE_MS) attempt = 0;
      const capped = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** attempt++);
      await delay(capped * (0.5 + Math.random() / 2), signal).catch(() => undefined);
      if (signal.aborted) return;
    }
  }

  /** Reads one connection to its end. `onLive` runs once, when the subscription is known to deliver. */
  async #read(onLive: (connection: AbortSignal) => Promise<void>): Promise<void> {
    const connection = new AbortController();
    const closing = this.#closing.signal;
    const detach = onAbort(closing, () => connection.abort(closing.reason));
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    const feed = (): void => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        connection.abort(
          new TimeoutError('A sign of life on the event stream', { phase: 'events', timeoutMs: SILENCE_MS }),
        );
      }, SILENCE_MS);
    };
    let becomingLive: Promise<void> | undefined;
    try {
      feed();
      const body = await this.#init.open(connection.signal);
      const reading = readFrames(body, (frame) => {
        if (connection.signal.aborted) return;
        feed();
        becomingLive ??= this.#settle(onLive, connection);
        this.#take(frame);
      });
      await abortable(reading, connection.signal);
    } finally {
      clearTimeout(watchdog);
      // What was told before the connection counted as live is known all the same, and its end may be missed.
      if (becomingLive !== undefined) this.#hasGap = true;
      connection.abort();
      detach();
      await becomingLive;
    }
  }

  /** A failure here ends the connection: half a subscription is worse than none. */
  async #settle(
    onLive: (connection: AbortSignal) => Promise<void>,
    connection: AbortController,
  ): Promise<void> {
    try {
      await delay(SETTLE_MS, connection.signal);
      await onLive(connection.signal);
    } catch (error) {
      connection.abort(error);
    }
  }

  #take(frame: Frame): void {
    if (frame.kind === 'event') this.#dispatch(frame.event);
    else if (frame.kind === 'malformed') this.#init.logger.warn('event skipped', { reason: frame.reason });
  }

  #dispatch(event: OpenCodeEvent): void {
    this.#deliver(event, this.#init.observer);
    for (const subscription of this.#subscriptions) {
      if (subscription.directory !== undefined && event.directory !== undefined) {
        if (subscription.directory !== event.directory) continue;
      } else if (subscription.directory !== undefined && !event.type.startsWith('jarvis.')) continue;
      this.#deliver(event, subscription);
    }
  }

  /** An event of another shape than expected must not end the connection for everybody. */
  #deliver(event: OpenCodeEvent, listener: Pick<HubListener, 'event'>): void {
    try {
      listener.event(event);
    } catch (error) {
      this.#init.logger.warn('event not understood', { type: event.type, error: String(error) });
    }
  }

  #setLive(live: boolean): void {
    if (this.#isLive === live) return;
    this.#isLive = live;
    if (live) this.#live?.resolve();
    else this.#live = deferred();
    this.#init.observer.connection(live);
  }

  /** Nobody is going to be told anything any more; the next one to ask opens a new connection, if there can be one. */
  #lose(error: unknown): void {
    this.#live?.reject(error);
    this.#live = undefined;
    for (const subscription of this.#subscriptions) subscription.lost(error);
    this.#subscriptions.clear();
  }
}

/** A refusal that repeating cannot change. */
function isPermanent(error: unknown): boolean {
  if (error instanceof ResponseShapeError) return true;
  return error instanceof RequestError && error.status < 500 && error.status !== 429;
}
