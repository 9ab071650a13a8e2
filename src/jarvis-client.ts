import { systemClock, type Clock } from './clock.js';
import { deferred, delay } from './abort.js';
import { readActivity, sendDispose, sendDisposeAll } from './client/activity.js';
import { EventHub, type HubObserver } from './client/events/hub.js';
import type { EventOptions, EventStream } from './client/events/event-stream.js';
import { Http } from './client/http.js';
import { parseTimeoutMs, type FetchFunction, type RequestOptions } from './client/options.js';
import type { WebSocketConstructor } from './client/pty-connection.js';
import { RepoClient } from './client/repo-client.js';
import { RepoTransport } from './client/repo-transport.js';
import { GlobalResource } from './client/resources/global.js';
import { configSchema, type Config } from './client/schema/config.js';
import type { EventType, OpenCodeEvent } from './client/schema/event.js';
import { serverApi } from './client/server-calls.js';
import type { Session, SessionContext } from './client/session.js';
import { TurnEngine, type TurnLimits } from './client/turn-engine.js';
import { ClosedError, DisposeRefusedError, ServerLostError, SessionNotBoundError } from './errors.js';
import type { DisposeReason, DisposeResult, RepoStats } from './instance.js';
import { AttachedServer } from './lifecycle/attached-server.js';
import { DISPOSE_TIMEOUT_MS, Disposer } from './lifecycle/disposer.js';
import { assertServer } from './lifecycle/ready.js';
import {
  basicAuthorization,
  parseGraceMs,
  type ServerHandle,
  type StopOptions,
} from './lifecycle/server-handle.js';
import { silentLogger, type Logger } from './logger.js';
import { IdleClock, type IdlePolicy } from './registry/idle.js';
import { assertPathText, normalizePath } from './registry/remote-path.js';
import { RepoRegistry, type RepoEntry } from './registry/repos.js';
import { SessionRegistry, type SessionMap } from './registry/sessions.js';

/** What every way to make a client accepts. */
export interface JarvisOptions {
  /**
   * Whether the paths given to `forRepo` are on this machine (`local`: they are checked, and links are resolved) or may
   * be on another (`remote`: they are normalised as text).
   *
   * @default 'local' for a server this process started, else 'remote'
   */
  readonly paths?: 'local' | 'remote' | undefined;
  /** When idle instances are given back to the server; `false` for never. */
  readonly idle?: IdlePolicy | false | undefined;
  /** Limits for the turns of the server. */
  readonly turns?: TurnLimits | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
  /** Sends the requests. @default globalThis.fetch */
  readonly fetch?: FetchFunction | undefined;
  /**
   * Connects to terminals (`repo.pty.connect()`).
   *
   * @default the package `ws` on Node, else `globalThis.WebSocket`
   */
  readonly webSocket?: WebSocketConstructor | undefined;
  /** The time source of the idle timers. @default the system's */
  readonly clock?: Clock | undefined;
}

/** How to reach a server that is already running. */
export interface ConnectOptions extends JarvisOptions {
  /** Its origin, e.g. `http://127.0.0.1:4096`. */
  readonly url: string | URL;
  /** @default 'opencode' */
  readonly username?: string | undefined;
  /** Leave it out for a server without one. */
  readonly password?: string | undefined;
  /** Cancels connecting. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the server to answer. @default 10_000 */
  readonly timeoutMs?: number | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** How long `global.disposed` may take after a change of the server's configuration. */
const GLOBAL_DISPOSED_MS = 1_000;

/** One OpenCode server and the repositories behind it. */
export class JarvisClient implements AsyncDisposable {
  readonly server: ServerHandle;
  /** Which OpenCode session, in which repository, serves each jarvis session. */
  readonly sessions: SessionMap;
  /** What has no directory. */
  readonly global: GlobalResource;
  protected readonly paths: 'local' | 'remote';
  readonly #http: Http;
  readonly #hub: EventHub;
  readonly #turns: TurnEngine;
  readonly #sessions = new SessionRegistry();
  readonly #repos: RepoRegistry;
  readonly #idle: IdleClock | undefined;
  readonly #disposer: Disposer;
  readonly #clients = new Map<string, RepoClient>();
  readonly #logger: Logger;
  readonly #webSocket: WebSocketConstructor | undefined;
  /** Aborts when this client can do no more: with `ClosedError`, or with `ServerLostError`. */
  readonly #over = new AbortController();
  #closing: Promise<void> | undefined;

  /**
   * Wraps a server you have a handle of.
   *
   * @throws {RangeError} for an option out of bounds.
   */
  constructor(server: ServerHandle, options: JarvisOptions = {}) {
    this.server = server;
    this.sessions = this.#sessions;
    this.paths = options.paths ?? (server.pid === undefined ? 'remote' : 'local');
    this.#logger = options.logger ?? silentLogger;
    this.#webSocket = options.webSocket ?? this.defaultWebSocket();
    this.#http = new Http({
      endpoint: () => ({ url: server.url, authorization: server.authorization }),
      signal: this.#over.signal,
      fetch: options.fetch,
    });
    this.global = new GlobalResource(this.#http, {
      dispose: (requestOptions) => this.#disposeAll(requestOptions),
      updateConfig: (config, requestOptions) => this.#updateGlobalConfig(config, requestOptions),
    });
    this.#hub = new EventHub({
      open: (signal) => this.#http.open('/global/event', signal),
      observer: this.#observer(),
      logger: this.#logger,
    });
    this.#turns = new TurnEngine(options.turns, this.#over.signal);
    this.#repos = new RepoRegistry(options.clock ?? systemClock, {
      loaded: () => {
        // Who does not watch the server cannot know when it is idle.
        if (this.#idle === undefined) return;
        this.#hub.connect().catch(() => undefined);
        this.#idle.check();
      },
      released: (entry) => this.#idle?.released(entry),
      reopened: () => this.#idle?.check(),
    });
    this.#disposer = new Disposer({
      confirm: (directory, signal) => this.#confirm(directory, signal),
      send: (directory, signal) => sendDispose(this.#http, directory, signal),
      streamLive: () => this.#hub.connect(),
      closed: this.#over.signal,
      logger: this.#logger,
    });
    if (options.idle !== false) {
      this.#idle = new IdleClock(this.#repos, options.idle, (entry, reason) =>
        this.#disposeIdle(entry, reason),
      );
    }
    void server.closed.then(() => this.#end(new ServerLostError('The work on the server')));
  }

  /**
   * Connects to a server that is already running. `close()` lets go of it and stops nothing.
   *
   * @throws {TypeError} for a `url` that is no http URL.
   * @throws {RequestError} with status 401 for a wrong password.
   * @throws {UnsupportedServerError} when it is not a version this library can talk to.
   * @throws {ConnectionError} {@link TimeoutError} when it does not answer.
   */
  static async connect<T extends JarvisClient>(
    this: new (server: ServerHandle, options?: JarvisOptions) => T,
    options: ConnectOptions,
  ): Promise<T> {
    const server = await attach(options);
    return new this(server, options);
  }

  /**
   * The client of one repository; the same object for every spelling of its path.
   *
   * @throws {RepoPathError} when the path is not absolute or, with local paths, does not exist or is not a directory.
   * @throws {ClosedError} after `close()`.
   */
  forRepo(directory: string): RepoClient {
    this.#assertOpen();
    const canonical = this.#canonical(directory);
    let client = this.#clients.get(canonical);
    if (client === undefined) {
      client = this.#makeClient(canonical);
      this.#clients.set(canonical, client);
    }
    return client;
  }

  /**
   * The session a jarvis session is bound to.
   *
   * @throws {SessionNotBoundError} when it is bound to none.
   * @throws {ClosedError} after `close()`.
   */
  forSession(jarvisSessionID: string): Session {
    this.#assertOpen();
    const binding = this.#sessions.get(jarvisSessionID);
    if (binding === undefined) throw new SessionNotBoundError(jarvisSessionID);
    return this.#clientOf(binding.directory).sessions.session(binding.sessionID);
  }

  /**
   * The events of every repository, of those nobody asked for too.
   *
   * @throws {ClosedError} after `close()`.
   */
  events<T extends EventType>(options?: EventOptions<T>): EventStream<T> {
    this.#assertOpen();
    return this.#hub.stream(undefined, options);
  }

  /** What is known of every repository's instance at this moment. */
  repos(): RepoStats[] {
    return [...this.#repos.entries()].map((entry) => entry.stats(this.#idle?.deadline(entry)));
  }

  /**
   * Ends everything: running calls and turns reject with `ClosedError`, subscriptions end, and a server this client
   * started is stopped with all it runs. Resolves when that is done. Idempotent; callers share one end.
   *
   * @throws {RangeError} for an invalid `graceMs`; nothing was closed then.
   */
  close(options?: StopOptions): Promise<void> {
    parseGraceMs(options);
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected defaultWebSocket(): WebSocketConstructor | undefined {
    return globalThis.WebSocket;
  }

  /** The one spelling of a directory. */
  protected canonicalDirectory(directory: string): string {
    if (this.paths === 'local')
      throw new TypeError("Paths can only be 'remote' here: there is no file system.");
    return normalizePath(directory);
  }

  async #close(options: StopOptions | undefined): Promise<void> {
    this.#end(new ClosedError());
    await this.#hub.close(this.#over.signal.reason);
    await this.server.stop(options);
  }

  /** Ends all work with the first reason there is. */
  #end(reason: ClosedError | ServerLostError): void {
    if (this.#over.signal.aborted) return;
    this.#idle?.stop();
    this.#over.abort(reason);
    void this.#hub.close(reason);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError();
  }

  #clientOf(directory: string): RepoClient {
    return this.#clients.get(directory) ?? this.forRepo(directory);
  }

  #makeClient(directory: string): RepoClient {
    const entry = this.#repos.entry(directory);
    const transport = this.#transportOf(entry);
    const sessions = this.#sessions;
    const context: SessionContext = {
      transport,
      hub: this.#hub,
      turns: this.#turns,
      directoryOf: (sessionID) => sessions.directoryOf(sessionID),
      learn: (info) => {
        sessions.learn(info);
        // Asking for a session loads the instance of its own directory, whatever directory was asked.
        if (info.directory !== directory) this.#repos.entry(info.directory).notice();
      },
      forget: (sessionID) => sessions.forget(sessionID),
      isWithin: (sessionID, rootID) => sessions.isWithin(sessionID, rootID),
      reserve: (jarvisSessionID) => sessions.reserve(jarvisSessionID, directory),
    };
    return new RepoClient(this.#http, context, {
      hold: (reason) => entry.hold('lease', reason),
      stats: () => entry.stats(this.#idle?.deadline(entry)),
      dispose: (options) => this.#dispose(entry, 'explicit', options),
      disposing: (send, options) => this.#disposing(entry, send, options),
      sockets: {
        webSocket: this.#webSocket,
        endpoint: () => ({ url: this.server.url, authorization: this.server.authorization }),
        closed: this.#over.signal,
      },
      worktrees: {
        hub: this.#hub,
        forWorktree: (worktree) => this.forRepo(worktree),
        transportOf: (worktree) => this.#transportOf(this.#repos.entry(this.#canonical(worktree))),
        guard: (worktree, run) => this.#withoutInstance(this.#repos.entry(worktree), run),
      },
    });
  }

  #transportOf(entry: RepoEntry): RepoTransport {
    return new RepoTransport(this.#http, entry.directory, (kind, detail, signal) =>
      entry.enter(kind, detail, signal),
    );
  }

  #canonical(directory: string): string {
    assertPathText(directory);
    return this.canonicalDirectory(directory);
  }

  /** Disposes the instance and runs `run` behind its closed gate. */
  #withoutInstance<T>(entry: RepoEntry, run: () => Promise<T>): Promise<T> {
    return this.#disposing(entry, async (signal) => {
      await sendDispose(this.#http, entry.directory, signal);
      return run();
    });
  }

  async #dispose(entry: RepoEntry, reason: DisposeReason, options?: RequestOptions): Promise<DisposeResult> {
    this.#assertOpen();
    const timeoutMs = parseTimeoutMs('timeoutMs', options?.timeoutMs, DISPOSE_TIMEOUT_MS);
    const disposed = await this.#disposer.dispose(entry, reason, { signal: options?.signal, timeoutMs });
    return { directory: entry.directory, disposed };
  }

  /** Everything that is loaded, behind one gate. */
  async #disposeAll(options?: RequestOptions, after?: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#assertOpen();
    const list = (): RepoEntry[] => [...this.#repos.loadedEntries()];
    const send = async (signal: AbortSignal): Promise<void> => {
      await sendDisposeAll(this.#http, { signal });
      await after?.(signal);
    };
    const instances = { list, closeGate: () => this.#repos.closeGate() };
    const timeoutMs = parseTimeoutMs('timeoutMs', options?.timeoutMs, DISPOSE_TIMEOUT_MS);
    return this.#disposer.disposeAll(instances, { signal: options?.signal, timeoutMs, send });
  }

  /** Runs a call that makes the server dispose the instance; it takes the place of the dispose call. */
  async #disposing<T>(
    entry: RepoEntry,
    send: (signal: AbortSignal) => Promise<T>,
    options?: RequestOptions,
  ): Promise<T> {
    this.#assertOpen();
    let answer: { readonly value: T } | undefined;
    const replaceDispose = async (signal: AbortSignal): Promise<void> => {
      answer = { value: await send(signal) };
    };
    // Somebody else's disposal may be shared, or be done first: then the call is still to come.
    while (answer === undefined) {
      await this.#clientOf(entry.directory).warm(options);
      await this.#disposer.dispose(entry, 'server', { signal: options?.signal, send: replaceDispose });
    }
    return answer.value;
  }

  /**
   * With nothing loaded when the file is written, the disposal that the server adds has nothing to cut off. It tells of it
   * within some 10 ms, or not at all when nothing changed.
   */
  async #updateGlobalConfig(config: Config, options?: RequestOptions): Promise<Config> {
    let updated: Config | undefined;
    await this.#disposeAll(options, async (signal) => {
      const disposed = deferred();
      const unlisten = this.#hub.listen(undefined, {
        event: (event) => {
          if (event.type === 'global.disposed' && updated !== undefined) disposed.resolve();
        },
        lost: () => disposed.resolve(),
      });
      try {
        updated = await this.#http.send(
          { method: 'PATCH', path: '/global/config', json: config, schema: configSchema },
          { ...options, signal },
        );
        await Promise.race([disposed.promise, delay(GLOBAL_DISPOSED_MS, signal)]);
      } finally {
        unlisten();
      }
    });
    return updated ?? this.global.config.get(options);
  }

  async #disposeIdle(entry: RepoEntry, reason: 'idle' | 'cap'): Promise<void> {
    try {
      await this.#disposer.dispose(entry, reason);
    } catch (error) {
      if (this.#over.signal.aborted) return;
      const { directory } = entry;
      if (error instanceof DisposeRefusedError)
        this.#logger.debug('instance kept', { directory, holds: error.holds });
      else this.#logger.warn('instance not disposed', { directory, error: String(error) });
    }
  }

  /** Reads what the server is doing in a loaded directory and corrects what is known of it. */
  async #confirm(directory: string, signal: AbortSignal): Promise<void> {
    const entry = this.#repos.find(directory);
    if (entry === undefined || !entry.loaded) return;
    for (;;) {
      const { activityVersion } = entry;
      const { busySessions, runningPtys } = await readActivity(this.#http, directory, signal);
      // An event that came meanwhile may be newer than this answer.
      if (entry.activityVersion !== activityVersion) continue;
      entry.setAllActive('session-busy', busySessions);
      entry.setAllActive('pty', runningPtys);
      return;
    }
  }

  #observer(): HubObserver {
    return {
      event: (event) => this.#observe(event),
      connection: (live) => {
        if (live) this.#idle?.check();
      },
      resync: (signal) => this.#resync(signal),
    };
  }

  /** After a gap: what cannot be read stays as it was, and keeps what it held. */
  async #resync(signal: AbortSignal): Promise<void> {
    for (const { directory, isDisposing } of [...this.#repos.loadedEntries()]) {
      // Asked now, a dying instance would be loaded again.
      if (isDisposing) continue;
      try {
        await this.#confirm(directory, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#logger.warn('instance not read again', { directory, error: String(error) });
      }
    }
  }

  #observe(event: OpenCodeEvent): void {
    if (event.directory === undefined) return;
    if (event.type === 'session.created' || event.type === 'session.updated')
      this.#sessions.learn(event.properties.info);
    if (event.type === 'session.deleted') this.#sessions.forget(event.properties.sessionID);
    // On a server of somebody else, the directories this client never asked for are not its to care for.
    const isOurs = this.server.pid !== undefined;
    const entry = isOurs ? this.#repos.entry(event.directory) : this.#repos.find(event.directory);
    if (entry === undefined) return;
    if (event.type === 'server.instance.disposed') {
      this.#disposer.disposed(entry);
      return;
    }
    entry.notice();
    switch (event.type) {
      case 'session.status':
        entry.setActive('session-busy', event.properties.sessionID, event.properties.status.type !== 'idle');
        return;
      case 'session.idle':
      case 'session.deleted':
        entry.setActive('session-busy', event.properties.sessionID, false);
        return;
      case 'pty.created':
        entry.setActive('pty', event.properties.info.id, true);
        return;
      case 'pty.exited':
      case 'pty.deleted':
        entry.setActive('pty', event.properties.id, false);
        return;
      default:
    }
  }
}

/** Reaches a running server and makes sure that it is one this library can talk to. */
async function attach(options: ConnectOptions): Promise<AttachedServer> {
  const url = parseOrigin(options.url);
  const { username = 'opencode', password, timeoutMs = CONNECT_TIMEOUT_MS } = options;
  const authorization = password === undefined ? undefined : basicAuthorization(username, password);
  const api = serverApi(url, authorization, options.fetch);
  const signal = options.signal ?? new AbortController().signal;
  const version = await assertServer((probe) => api.health(probe, timeoutMs), signal);
  return new AttachedServer({ url, version, authorization });
}

function parseOrigin(url: unknown): string {
  if ((typeof url === 'string' || url instanceof URL) && URL.canParse(url)) {
    const { protocol, origin } = new URL(url);
    if (protocol === 'http:' || protocol === 'https:') return origin;
  }
  throw new TypeError('Expected url to be an http URL such as http://127.0.0.1:4096.');
}
