import { abortable, AbortScope, deferred, delay, type Deferred } from '../../core/abort.js';
import { backoffMs } from '../../core/backoff.js';
import { isPermanent, ResponseTooLargeError } from '../../errors.js';
import type { Logger } from '../../core/logger.js';
import { realTime } from '../../core/real-time.js';
import { ServerLink } from '../http/server-link.js';
import type { DirectoryChange, EventOf, EventType, GapReason, OpenCodeEvent } from '../schema/event.js';
import { readConnection, type ConnectionInit } from './connection.js';
import { EventStream, gapEvent, type EventOptions } from './event-stream.js';
import { GapBuffer } from './gap-buffer.js';
import { HubListeners, type HubListener } from './hub-listeners.js';
import { alwaysOpenCode1 } from '../dialect/opencode1.js';
import type { DialectSource, FrameReader } from '../dialect/dialect.js';
import { DUPLICATE_TYPE } from './sse.js';

/** A connection that lived this long was stable: the next reconnect starts again with the shortest wait. */
const STABLE_MS = 5_000;
const RECONNECT_PAUSE = { minMs: 100, maxMs: 5_000 };

/** The types of the events that only this library makes begin so. */
const OWN_TYPES = 'jarvis.';

/** The types that tell which sessions are at work and what they ask: for who needs one of them, a gap has that read again. */
const RESYNC_TYPES: readonly EventType[] = [
  'session.status',
  'session.idle',
  'permission.asked',
  'permission.replied',
  'question.asked',
  'question.replied',
  'question.rejected',
];

/** What the hub needs from outside. */
export interface HubInit extends Pick<ConnectionInit, 'onActivity' | 'probe' | 'maxEventBytes'> {
  /** Opens the event stream, which the server has at `path`. */
  readonly open: (signal: AbortSignal, path: string) => ReturnType<ConnectionInit['open']>;
  /** Where the server is, and when it ends. @default a server that never ends */
  readonly link?: ServerLink | undefined;
  /** How the server at hand is spoken to. @default as OpenCode 1.18 */
  readonly dialects?: DialectSource | undefined;
  readonly logger: Logger;
  /** The jitter of the pauses before a reconnect, from 0 to 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/** A part of the library that sees events before any subscriber does. */
export interface HubObserver {
  /**
   * Whether it needs an event of which only type and directory are known. The hub parses what somebody needs, and shows it to every
   * observer.
   *
   * @default never
   */
  wants?(type: string, directory: string | undefined): boolean;
  event(event: OpenCodeEvent): void;
  /**
   * Called with `true` when the stream delivers and with `false` when it breaks: what the server does is unknown then. Called with
   * `false` again when a reconnect fails before going live.
   */
  connection?(live: boolean): void;
  /** Reads again what may have been missed, before subscribers hear of the gap. @returns what has changed. */
  resync?(
    isSubscribed: (directory: string) => boolean,
    signal: AbortSignal,
  ): Promise<readonly DirectoryChange[]>;
}

/** One `/global/event` connection for any number of repositories and subscribers, opened when first needed. */
export class EventHub {
  readonly #init: HubInit;
  readonly #observers: HubObserver[] = [];
  readonly #listeners = new HubListeners();
  readonly #closing = new AbortController();
  readonly #link: ServerLink;
  /** Whether the server of the last connection has ended. */
  #hasRestarted = false;
  /** Resolves when the connection delivers; another one after each drop. `undefined` while nobody needs one. */
  #live: Deferred<void> | undefined;
  #isLive = false;
  readonly #gap = new GapBuffer();
  #running: Promise<void> = Promise.resolve();
  #hasWarnedOfForgery = false;

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

  /** How many listeners there are. */
  get size(): number {
    return this.#listeners.size;
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

  /** Whether the connection delivers now. */
  get isLive(): boolean {
    return this.#isLive && this.#live !== undefined && !this.#closing.signal.aborted;
  }

  /** Whether somebody outside this library reads such an event. */
  hasReader(event: OpenCodeEvent): boolean {
    return this.#listeners.hasReader(event);
  }

  /** Calls the listener for each event of the directory, or of all; the returned function ends that. One object listens once. */
  listen(directory: string | undefined, listener: HubListener): () => void {
    return this.#listeners.add(directory, listener);
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

  /** Ends the subscriptions to one directory with an error. Listeners inside the library stay. */
  loseSubscribers(directory: string, error: unknown): void {
    for (const listener of this.#listeners.takeSubscribers(directory)) listener.lost(error);
  }

  /** Tells every subscriber a new state of the server. */
  publishServerChange(properties: EventOf<'jarvis.server'>['properties']): void {
    const event = { directory: undefined, id: '', type: 'jarvis.server', properties } as const;
    this.#deliver(this.#listeners.all(), event, 0);
  }

  /** Ends the connection and every subscription with `reason`; resolves when the socket is released. */
  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason);
    this.#lose(reason);
    await this.#running;
  }

  /** Keeps the connection up until the hub is closed or the server refuses it for good. */
  async #run(): Promise<void> {
    const { logger, open, onActivity, probe, maxEventBytes, random, dialects = alwaysOpenCode1 } = this.#init;
    const { signal } = this.#closing;
    let attempt = 0;
    for (;;) {
      if (!this.#link.isReady) {
        await this.#link.whenReady(signal).catch(() => undefined);
        if (signal.aborted) return;
        attempt = 0;
        // Who has subscribed already may miss what the server does before this connection delivers.
        if (this.#listeners.hasSubscribers) this.#gap.noteDelivery();
      }
      const closing = new AbortScope([signal, this.#link.lost]);
      let liveSince: number | undefined;
      const isGap = this.#gap.begin();
      const onLive = async (connection: AbortSignal): Promise<void> => {
        await this.#becomeLive(isGap, connection);
        liveSince = realTime.now();
      };
      try {
        const { signal: end } = closing;
        const known = dialects.dialect();
        const dialect = known instanceof Promise ? await abortable(known, end) : known;
        const frames = dialect.readFrames();
        const onFrame = (data: string): void => {
          this.#gap.noteDelivery();
          this.#onFrame(data, frames);
        };
        await readConnection({
          open: (signal) => open(signal, dialect.eventsPath),
          onActivity,
          probe,
          maxEventBytes,
          onFrame,
          onLive,
          closing: end,
        });
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
      await delay(backoffMs(attempt, RECONNECT_PAUSE, random), signal).catch(() => undefined);
      attempt += 1;
      if (signal.aborted) return;
    }
  }

  /** Has what happened during the gap read again, and publishes the gap then. */
  async #becomeLive(isGap: boolean, connection: AbortSignal): Promise<void> {
    const isSubscribed = (directory: string): boolean =>
      RESYNC_TYPES.some((type) => this.#listeners.isNeeded(type, directory));
    const resync = isGap ? this.#resync(isSubscribed, connection) : Promise.resolve([]);
    const changed = await abortable(resync, connection);
    this.#setLive(true);
    const reason = this.#hasRestarted ? 'restart' : 'reconnect';
    this.#hasRestarted = false;
    if (isGap) this.#publishGap(reason, changed);
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
  #publishGap(reason: GapReason, changed: readonly DirectoryChange[]): void {
    const { dropped, events } = this.#gap.end();
    this.#deliver(this.#listeners.toAll(), gapEvent(reason, dropped, changed), 0);
    for (const [directory, listeners] of this.#listeners.byDirectory()) {
      const own = changed.filter((change) => change.directory === directory);
      this.#deliver(listeners, gapEvent(reason, dropped, own), 0);
    }
    for (const { event, bytes } of events) this.#publish(event, bytes);
  }

  #onFrame(data: string, frames: FrameReader): void {
    const head = frames.peek(data);
    if (head?.type === DUPLICATE_TYPE || this.#isForged(head?.type)) return;
    let isObserved: boolean | undefined;
    if (head !== undefined) {
      isObserved = this.#isObserved(head.type, head.directory);
      if (!isObserved && !this.#listeners.isNeeded(head.type, head.directory)) return;
    }
    for (const decoded of frames.decode(data, head)) {
      if (decoded.kind === 'malformed') {
        this.#init.logger.warn('event skipped', { reason: decoded.reason });
      } else if (decoded.kind === 'event' && !this.#isForged(decoded.event.type)) {
        this.#onEvent(decoded.event, data.length, isObserved);
      }
    }
  }

  /** Shows an event to the observers who need it, then to the listeners. */
  #onEvent(event: OpenCodeEvent, bytes: number, isObserved?: boolean): void {
    if (isObserved ?? this.#isObserved(event.type, event.directory))
      for (const observer of this.#observers) this.#emit(observer, event, bytes);
    if (!this.#gap.hold(event, bytes)) this.#publish(event, bytes);
  }

  /** Handles an event that no frame carries: what an answer of the server shows to have happened. */
  inject(event: OpenCodeEvent): void {
    this.#onEvent(event, 0);
  }

  /** Whether an event of the server has a type of this library: readers would take it for one of ours. */
  #isForged(type: string | undefined): boolean {
    if (type?.startsWith(OWN_TYPES) !== true) return false;
    if (!this.#hasWarnedOfForgery)
      this.#init.logger.warn('dropped an event of the server that has a name of this library', {
        type: type.slice(0, 100),
      });
    this.#hasWarnedOfForgery = true;
    return true;
  }

  #isObserved(type: string, directory: string | undefined): boolean {
    for (const observer of this.#observers) if (observer.wants?.(type, directory) === true) return true;
    return false;
  }

  #publish(event: OpenCodeEvent, bytes: number): void {
    this.#deliver(this.#listeners.of(event.directory), event, bytes);
  }

  #deliver(listeners: Iterable<HubListener>, event: OpenCodeEvent, bytes: number): void {
    for (const listener of listeners) this.#emit(listener, event, bytes);
  }

  /** A listener that throws, e.g. at an event of an unexpected shape, does not end the connection of all. */
  #emit(listener: Pick<HubListener, 'event'>, event: OpenCodeEvent, bytes: number): void {
    try {
      listener.event(event, bytes);
    } catch (error) {
      this.#init.logger.warn('could not read an event', { type: event.type, error: String(error) });
    }
  }

  #setLive(live: boolean): void {
    // Nothing was delivered yet, so there is no gap to report.
    if (!live && !this.#gap.hasDelivered) return;
    const isChange = this.#isLive !== live;
    this.#isLive = live;
    if (live) this.#live?.resolve();
    else if (isChange) this.#live = deferred();
    for (const observer of this.#observers) observer.connection?.(live);
  }

  /** Fails every listener. The next `connect()` opens a new connection unless the hub is closed. */
  #lose(error: unknown): void {
    this.#live?.reject(error);
    this.#live = undefined;
    for (const listener of this.#listeners.clear()) listener.lost(error);
  }
}
