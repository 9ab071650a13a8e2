import { abortable, AbortScope, deferred, delay, type Deferred } from '../../core/abort.js';
import { backoffMs } from '../../core/backoff.js';
import { isPermanent, ResponseTooLargeError } from '../../errors.js';
import type { Logger } from '../../core/logger.js';
import { realTime } from '../../core/real-time.js';
import { ServerLink } from '../http/server-link.js';
import type { DirectoryChange, EventOf, EventType, GapReason, OpenCodeEvent } from '../schema/event.js';
import { readConnection, type ConnectionInit } from './connection.js';
import { EventBuffer } from './event-buffer.js';
import { EventStream, gapEvent, type EventOptions } from './event-stream.js';
import { decodeEnvelope, DUPLICATE_TYPE, peekEnvelope } from './sse.js';

/** A connection that lived this long was stable: the next reconnect starts again with the shortest wait. */
const STABLE_MS = 5_000;
const RECONNECT_PAUSE = { minMs: 100, maxMs: 5_000 };

/** How the types of events begin that only this library makes. */
const OWN_TYPES = 'jarvis.';

/** How many events are kept back at most while what a gap hid is read again. */
const MAX_HELD_BACK = { maxEvents: 10_000, maxBytes: 64 * 1024 * 1024 };

/** Who wants one of these is told after a gap what is read again: which sessions are at work, and what they ask. */
const REREAD_TYPES: readonly EventType[] = [
  'session.status',
  'session.idle',
  'permission.asked',
  'permission.replied',
  'question.asked',
  'question.replied',
  'question.rejected',
];

/** What the hub needs from outside. */
export interface HubInit extends Pick<ConnectionInit, 'open' | 'alive' | 'probe' | 'maxEventBytes'> {
  /** Tells when the server is replaced by another one. @default it never is */
  readonly link?: ServerLink | undefined;
  readonly logger: Logger;
}

/** A part of the library that sees events before any subscriber does. */
export interface HubObserver {
  /**
   * Whether it needs an event of which no more is known yet. The hub parses what somebody needs, and shows it to every observer.
   *
   * @default never
   */
  wants?(type: string, directory: string | undefined): boolean;
  event(event: OpenCodeEvent): void;
  /**
   * Called with `true` when the stream delivers and with `false` when it breaks: nobody can say what the server does then. Called
   * with `false` again when a reconnect fails before it delivers.
   */
  connection?(live: boolean): void;
  /** Reads again what may have been missed, before subscribers are told of the gap; resolves with what has changed. */
  resync?(
    isSubscribed: (directory: string) => boolean,
    signal: AbortSignal,
  ): Promise<readonly DirectoryChange[]>;
}

/** Someone inside the library who listens. */
export interface HubListener {
  /** Whether events of a type are of use; those that are of no use to anybody are not parsed. @default every type is */
  wants?(type: string): boolean;
  /** @param bytes - length of the frame it came in; 0 for one that this library made. */
  event(event: OpenCodeEvent, bytes: number): void;
  /** The connection is lost for good. */
  lost(error: unknown): void;
  /** Whether somebody outside this library reads such an event here. @default nobody */
  reads?(event: OpenCodeEvent): boolean;
}

/** One `/global/event` connection for any number of repositories and subscribers, opened when first needed. */
export class EventHub {
  readonly #init: HubInit;
  readonly #observers: HubObserver[] = [];
  /** Who listens to one directory. */
  readonly #listeners = new Map<string, Set<HubListener>>();
  /** Who listens to all. */
  readonly #listenersToAll = new Set<HubListener>();
  readonly #closing = new AbortController();
  readonly #link: ServerLink;
  /** Whether the server of the last connection has ended. */
  #hasRestarted = false;
  /** Resolves when the connection delivers; another one after each drop. `undefined` while nobody needs one. */
  #live: Deferred<void> | undefined;
  #isLive = false;
  /** Whether any event was told, also before the connection counted as live: what came since then may be missed. */
  #hasTold = false;
  /** Events that came after a gap of which subscribers have not been told yet. */
  #heldBack: EventBuffer | undefined;
  #running: Promise<void> = Promise.resolve();
  #hasToldForgery = false;

  constructor(init: HubInit) {
    this.#init = init;
    this.#link = init.link ?? new ServerLink(false);
    this.#link.onLost(() => {
      this.#hasRestarted = true;
      this.#setLive(false);
    });
  }

  /** Shows events to the observer from now on, in the order in which observers came. */
  observe(observer: HubObserver): void {
    this.#observers.push(observer);
  }

  /** How many listen. */
  get size(): number {
    return [...this.#allListeners()].length;
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
    const own = event.directory === undefined ? undefined : this.#listeners.get(event.directory);
    return [...this.#listenersToAll, ...(own ?? [])].some((listener) => listener.reads?.(event) === true);
  }

  /** Calls the listener for each event of the directory, or of all; the returned function ends that. One object listens once. */
  listen(directory: string | undefined, listener: HubListener): () => void {
    const listeners = directory === undefined ? this.#listenersToAll : this.#listenersOf(directory);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      const isUnused = directory !== undefined && listeners.size === 0;
      if (isUnused && this.#listeners.get(directory) === listeners) this.#listeners.delete(directory);
    };
  }

  /**
   * Makes a stream of the directory's events, or of all.
   *
   * @param hold - keeps the directory's instance until the function it returns is called; for `options.hold`.
   */
  stream<T extends EventType>(
    directory: string | undefined,
    options?: EventOptions<T>,
    hold?: () => () => void,
  ): EventStream<T> {
    return new EventStream<T>((stream) => {
      if (options?.hold === true && hold === undefined) {
        throw new TypeError('Expected hold to be asked of the events of one repository, got those of all.');
      }
      const release = options?.hold === true ? hold?.() : undefined;
      const unlisten = this.listen(directory, {
        wants: (type) => stream.wants(type),
        event: (event, bytes) => stream.push(event, bytes),
        lost: (error) => stream.fail(error),
        reads: (event) => stream.reads(event),
      });
      const detach = (): void => {
        unlisten();
        release?.();
      };
      return { live: this.connect(), detach };
    }, options);
  }

  /** Tells every subscriber what became of the server. */
  tellServer(properties: EventOf<'jarvis.server'>['properties']): void {
    const event = { directory: undefined, id: '', type: 'jarvis.server', properties } as const;
    this.#deliver(new Set(this.#allListeners()), event, 0);
  }

  /** Ends the connection and every subscription with `reason`; resolves when the socket is let go. */
  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason);
    this.#lose(reason);
    await this.#running;
  }

  /** Keeps the connection up until the hub is closed or the server refuses it for good. */
  async #run(): Promise<void> {
    const { logger, open, alive, probe, maxEventBytes } = this.#init;
    const { signal } = this.#closing;
    let attempt = 0;
    for (;;) {
      if (!this.#link.isReady) {
        await this.#link.whenReady(signal).catch(() => undefined);
        if (signal.aborted) return;
        attempt = 0;
      }
      const closing = new AbortScope([signal, this.#link.lost]);
      let liveSince: number | undefined;
      const isGap = this.#hasTold;
      this.#heldBack = isGap ? new EventBuffer(MAX_HELD_BACK) : undefined;
      const frame = (data: string): void => {
        this.#hasTold = true;
        this.#take(data);
      };
      const live = async (connection: AbortSignal): Promise<void> => {
        await this.#becomeLive(isGap, connection);
        liveSince = realTime.now();
      };
      try {
        await readConnection({ open, alive, probe, maxEventBytes, frame, live, closing: closing.signal });
        logger.warn('event stream ended');
      } catch (error) {
        // After one event that was too long the next connection may deliver.
        if (!signal.aborted && isPermanent(error) && !(error instanceof ResponseTooLargeError)) {
          this.#setLive(false);
          this.#lose(error);
          return;
        }
        if (!signal.aborted) logger.warn('event stream lost', { error: String(error) });
      } finally {
        closing.end();
      }
      this.#setLive(false);
      if (liveSince !== undefined && realTime.now() - liveSince > STABLE_MS) attempt = 0;
      if (!this.#link.isReady) continue;
      await delay(backoffMs(attempt, RECONNECT_PAUSE), signal).catch(() => undefined);
      attempt += 1;
      if (signal.aborted) return;
    }
  }

  /** What happened while nobody listened is read again before anyone is told of it. */
  async #becomeLive(isGap: boolean, connection: AbortSignal): Promise<void> {
    const isSubscribed = (directory: string): boolean =>
      REREAD_TYPES.some((type) => this.#isNeeded(type, directory));
    const resync = isGap ? this.#resync(isSubscribed, connection) : Promise.resolve([]);
    const changed = await abortable(resync, connection);
    this.#setLive(true);
    const reason = this.#hasRestarted ? 'restart' : 'reconnect';
    this.#hasRestarted = false;
    if (isGap) this.#tellGap(reason, changed);
  }

  async #resync(
    isSubscribed: (directory: string) => boolean,
    signal: AbortSignal,
  ): Promise<DirectoryChange[]> {
    const changes = await Promise.all(
      this.#observers.map(async (observer) => (await observer.resync?.(isSubscribed, signal)) ?? []),
    );
    return changes.flat();
  }

  /** Tells of the gap where it was: before what came after it. */
  #tellGap(reason: GapReason, changed: readonly DirectoryChange[]): void {
    const heldBack = this.#heldBack;
    this.#heldBack = undefined;
    const dropped = heldBack?.takeDropped() ?? 0;
    this.#deliver(this.#listenersToAll, gapEvent(reason, dropped, changed), 0);
    for (const [directory, listeners] of this.#listeners) {
      const own = changed.filter((change) => change.directory === directory);
      this.#deliver(listeners, gapEvent(reason, dropped, own), 0);
    }
    for (let next = heldBack?.shift(); next !== undefined; next = heldBack?.shift()) {
      this.#publish(next.event, next.bytes);
    }
  }

  #take(data: string): void {
    const head = peekEnvelope(data);
    if (head?.type === DUPLICATE_TYPE || this.#isForged(head?.type)) return;
    let isObserved: boolean | undefined;
    if (head !== undefined) {
      isObserved = this.#isObserved(head.type, head.directory);
      if (!isObserved && !this.#isNeeded(head.type, head.directory)) return;
    }
    const envelope = decodeEnvelope(data, head);
    if (envelope.kind === 'malformed') {
      this.#init.logger.warn('event skipped', { reason: envelope.reason });
    } else if (envelope.kind === 'event') {
      const { event } = envelope;
      if (this.#isForged(event.type)) return;
      if (isObserved ?? this.#isObserved(event.type, event.directory))
        for (const observer of this.#observers) this.#tell(observer, event, data.length);
      if (this.#heldBack === undefined) this.#publish(event, data.length);
      else this.#heldBack.push(event, data.length);
    }
  }

  /** Whether an event of the server bears a name of the library's own, for which readers would take it. */
  #isForged(type: string | undefined): boolean {
    if (type?.startsWith(OWN_TYPES) !== true) return false;
    if (!this.#hasToldForgery)
      this.#init.logger.warn('event of the server with a name of ours dropped', { type: type.slice(0, 100) });
    this.#hasToldForgery = true;
    return true;
  }

  #isObserved(type: string, directory: string | undefined): boolean {
    for (const observer of this.#observers) if (observer.wants?.(type, directory) === true) return true;
    return false;
  }

  /** Whether anyone listens to events of a type, here or everywhere. */
  #isNeeded(type: string, directory: string | undefined): boolean {
    for (const listener of this.#listenersToAll) if (listener.wants?.(type) ?? true) return true;
    const listeners = directory === undefined ? undefined : this.#listeners.get(directory);
    if (listeners === undefined) return false;
    for (const listener of listeners) if (listener.wants?.(type) ?? true) return true;
    return false;
  }

  #publish(event: OpenCodeEvent, bytes: number): void {
    this.#deliver(this.#listenersToAll, event, bytes);
    if (event.directory === undefined) return;
    const listeners = this.#listeners.get(event.directory);
    if (listeners !== undefined) this.#deliver(listeners, event, bytes);
  }

  #deliver(listeners: ReadonlySet<HubListener>, event: OpenCodeEvent, bytes: number): void {
    for (const listener of listeners) this.#tell(listener, event, bytes);
  }

  /** An event of another shape than expected must not end the connection for everybody. */
  #tell(listener: Pick<HubListener, 'event'>, event: OpenCodeEvent, bytes: number): void {
    try {
      listener.event(event, bytes);
    } catch (error) {
      this.#init.logger.warn('event not understood', { type: event.type, error: String(error) });
    }
  }

  #setLive(live: boolean): void {
    // What was never told cannot be missed.
    if (!live && !this.#hasTold) return;
    const isChange = this.#isLive !== live;
    this.#isLive = live;
    if (live) this.#live?.resolve();
    else if (isChange) this.#live = deferred();
    for (const observer of this.#observers) observer.connection?.(live);
  }

  /** Nobody is going to be told anything any more; the next one to ask opens a new connection, if there can be one. */
  #lose(error: unknown): void {
    this.#live?.reject(error);
    this.#live = undefined;
    const listeners = [...this.#allListeners()];
    this.#listeners.clear();
    this.#listenersToAll.clear();
    for (const listener of listeners) listener.lost(error);
  }

  #listenersOf(directory: string): Set<HubListener> {
    let listeners = this.#listeners.get(directory);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(directory, listeners);
    }
    return listeners;
  }

  *#allListeners(): Generator<HubListener> {
    yield* this.#listenersToAll;
    for (const listeners of this.#listeners.values()) yield* listeners;
  }
}
