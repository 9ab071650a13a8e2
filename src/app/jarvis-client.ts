import { deferred, within } from '../core/abort.js';
import { attach } from './attach.js';
import { sendDispose } from '../client/instances/api.js';
import { parseAskSettings, type AskSettings } from '../client/asks/settings.js';
import { AskWire } from '../client/asks/api.js';
import { RepoAsks } from '../client/asks/broker.js';
import { EventHub } from '../client/events/hub.js';
import type { EventOptions, EventStream } from '../client/events/event-stream.js';
import { EVENTS_PATH } from '../client/events/sse.js';
import { Http } from '../client/http/http.js';
import { locateSessions } from '../client/sessions/locate-sessions.js';
import type { RequestOptions } from '../client/http/request-options.js';
import type { WebSocketConstructor } from '../client/pty/connection.js';
import { RepoClient } from '../client/repo/repo-client.js';
import { RepoTransport } from '../client/http/repo-transport.js';
import { ServerLink } from '../client/http/server-link.js';
import { GlobalResource } from '../client/resources/global.js';
import { configSchema, type Config } from '../client/schema/config.js';
import type { EventType, OpenCodeEvent } from '../client/schema/event.js';
import type { SessionInfo } from '../client/schema/session.js';
import { SessionChoices } from '../client/sessions/choices.js';
import type { Session, SessionContext } from '../client/sessions/session.js';
import { TurnEngine } from '../client/turns/engine.js';
import { assertOptions, pickOptions } from '../core/checks.js';
import { ClosedError, RepoPathError, ServerLostError, SessionNotBoundError } from '../errors.js';
import type { InstanceDecision, RepoOverview } from '../core/instance.js';
import { InstanceControl } from '../instances/instance-control.js';
import {
  connectOptionChecks,
  jarvisOptionChecks,
  type ConnectOptions,
  type JarvisOptions,
} from './options.js';
import {
  parseGraceMs,
  type ServerChange,
  type ServerHandle,
  type StopOptions,
} from '../lifecycle/server/handle.js';
import type { TreeUsage } from '../lifecycle/process/usage.js';
import { silentLogger } from '../core/logger.js';
import { assertPathText, assertServable, normalizePath } from '../registry/path.js';
import { parseSnapshot, takeSnapshot, type JarvisSnapshot } from '../registry/snapshot.js';
import type { RepoEntry } from '../registry/instance-entry.js';
import { SessionRegistry, type SessionMap } from '../registry/session-registry.js';

/** How long an instance may take to load: one with plugins installs packages first. */
const BOOT_TIMEOUT_MS = 300_000;
/** How long `global.disposed` may take after a change of the server's configuration. */
const GLOBAL_DISPOSED_MS = 1_000;
/** How long a server may take to show that it answers, while a new event stream waits for it. */
const PROBE_LIMIT_MS = 2_000;

/** One OpenCode server and the repositories behind it. */
export class JarvisClient implements AsyncDisposable {
  readonly server: ServerHandle;
  /** Which OpenCode session, in which repository, serves each jarvis session. */
  readonly sessions: SessionMap;
  /** What has no directory. */
  readonly global: GlobalResource;
  protected readonly paths: 'local' | 'remote';
  readonly #link: ServerLink;
  readonly #http: Http;
  readonly #hub: EventHub;
  readonly #turns: TurnEngine;
  readonly #choices = new SessionChoices();
  readonly #asks: AskSettings;
  readonly #sessions: SessionRegistry;
  readonly #instances: InstanceControl;
  readonly #clients = new Map<string, RepoClient>();
  readonly #repoAsks = new Map<string, RepoAsks>();
  readonly #webSocket: WebSocketConstructor | undefined;
  /** Aborts when this client can do no more: with `ClosedError`, or with `ServerLostError`. */
  readonly #over = new AbortController();
  #closing: Promise<void> | undefined;

  /**
   * Wraps a server you have a handle of.
   *
   * @throws {TypeError} for an option that is unknown or of the wrong type, and a `restore` that no `snapshot()` gave.
   * @throws {RangeError} for an option out of bounds.
   */
  constructor(server: ServerHandle, options: JarvisOptions = {}) {
    assertOptions('new JarvisOpenCode()', jarvisOptionChecks, options);
    this.server = server;
    this.paths = options.paths ?? (server.pid === undefined ? 'remote' : 'local');
    const { logger = silentLogger } = options;
    this.#webSocket = options.webSocket ?? this.defaultWebSocket();
    const alive = (): void => server.noteLife?.();
    this.#link = new ServerLink(server.pid !== undefined);
    this.#http = new Http({
      endpoint: () => ({ url: server.url, authorization: server.authorization }),
      signal: this.#over.signal,
      fetch: options.fetch,
      maxResponseBytes: options.maxResponseBytes,
      link: this.#link,
      answered: alive,
      lineOf: (body) => (this.paths === 'local' ? this.configLine(body) : undefined),
    });
    this.#sessions = new SessionRegistry((bindings, requestOptions) =>
      locateSessions(this.#http, bindings, requestOptions),
    );
    this.sessions = this.#sessions;
    if (options.restore !== undefined) this.#sessions.restore(parseSnapshot(options.restore).bindings);
    this.global = new GlobalResource(this.#http, {
      dispose: async (requestOptions) => {
        this.#assertOpen();
        await this.#instances.disposeAll(requestOptions);
      },
      updateConfig: (config, requestOptions) => this.#updateGlobalConfig(config, requestOptions),
    });
    this.#hub = new EventHub({
      open: (signal) => this.#http.open(EVENTS_PATH, signal),
      maxEventBytes: options.maxEventBytes,
      alive,
      probe: (signal) => this.global.health({ signal, timeoutMs: PROBE_LIMIT_MS, retry: false }),
      link: this.#link,
      observer: {
        wants: (type, directory) => this.#instances.wants(type, directory),
        event: (event) => this.#observe(event),
        connection: (live) => this.#instances.connection(live),
        resync: (isSubscribed, signal) => this.#instances.resync(isSubscribed, signal),
      },
      logger,
    });
    this.#instances = new InstanceControl({
      http: this.#http,
      hub: this.#hub,
      transportOf: (entry) => this.#transportOf(entry),
      bootTimeoutMs: options.bootTimeoutMs ?? BOOT_TIMEOUT_MS,
      ownsServer: server.pid !== undefined,
      idle: options.idle,
      clock: options.clock,
      closed: this.#over.signal,
      logger,
      usage: () => this.serverUsage(),
      assertSame: (directory) => this.#assertSame(directory),
      asksReread: (directory, asks) => this.#repoAsks.get(directory)?.reread(asks),
      publish: (decision) => this.publish(decision),
    });
    this.#turns = new TurnEngine(options.turns, this.#over.signal);
    this.#asks = parseAskSettings(options, {
      ownsServer: server.pid !== undefined,
      isBound: (sessionID) => this.#sessions.isBound(sessionID),
      logger,
    });
    if (server.state === 'restarting') this.#link.lose(new ServerLostError('The work on the server'));
    let failure: ErrorOptions | undefined;
    server.on('change', (change) => {
      if (change.error !== undefined) failure = { cause: change.error };
      this.#serverChanged(change);
    });
    server.guardRestart?.((run, { force = false }) => this.#instances.restart(run, force));
    // On a server of ours, what others do is observed from the start, also while this client sends nothing.
    if (server.pid !== undefined) this.#hub.connect().catch(() => undefined);
    void server.closed.then(() => this.#end(new ServerLostError('The work on the server', failure)));
  }

  /**
   * Connects to a server that is already running. `close()` lets go of it and stops nothing.
   *
   * @throws {TypeError} for a `url` that is no http URL.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   * @throws {RequestError} with status 401 for a wrong password.
   * @throws {UnsupportedServerError} when it is not a version this library can talk to.
   * @throws {ConnectionError} {@link TimeoutError} when it does not answer.
   */
  static async connect<T extends JarvisClient>(
    this: new (server: ServerHandle, options?: JarvisOptions) => T,
    options: ConnectOptions,
  ): Promise<T> {
    assertOptions('JarvisOpenCode.connect()', connectOptionChecks, options);
    const server = await attach(options);
    return new this(server, pickOptions(jarvisOptionChecks, options));
  }

  /**
   * The client of one repository; the same object for every spelling of its path.
   *
   * @throws {RepoPathError} when the path is not absolute or, with local paths, does not exist or is not a directory; and when the
   *   server could not work in it, see {@link RepoPathReason}. What lies on the disk is looked at only on a server that this
   *   client started, and when the directory is first asked for.
   * @throws {ClosedError} after `close()`.
   */
  forRepo(directory: string): RepoClient {
    this.#assertOpen();
    const canonical = this.#canonical(directory);
    let client = this.#clients.get(canonical);
    if (client === undefined) {
      this.checkTraps(canonical);
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
  events<T extends EventType>(options?: Omit<EventOptions<T>, 'hold'>): EventStream<T> {
    this.#assertOpen();
    return this.#hub.stream(undefined, options);
  }

  /** The session map as JSON: store it, and give it back as the option `restore` of the next client. */
  snapshot(): JarvisSnapshot {
    return takeSnapshot(this.#sessions.list());
  }

  /**
   * What is known of every repository's instance at this moment, with what its processes use. For a status page: reading the
   * table of processes takes milliseconds (19 were measured with 120 processes on a busy 2-core machine).
   */
  repos(): RepoOverview[] {
    return this.#instances.overview();
  }

  /**
   * Ends everything: running calls and turns reject with `ClosedError`, subscriptions end, and a server this client
   * started is stopped with all it runs. Resolves when that is done. Idempotent; callers share one end.
   *
   * @throws {RangeError} for an invalid `graceMs`; nothing was closed then.
   */
  close(options?: StopOptions): Promise<void> {
    parseGraceMs(options, 'close()');
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected defaultWebSocket(): WebSocketConstructor | undefined {
    return globalThis.WebSocket;
  }

  /** What the server and its children use now; `undefined` where that cannot be told. */
  protected serverUsage(): TreeUsage | undefined {
    return undefined;
  }

  /** The line of a configuration file on this machine that the body of an error complains of. */
  protected configLine(_body: unknown): number | undefined {
    return undefined;
  }

  /** Makes a decision about an instance known to whoever diagnoses this process. */
  protected publish(_decision: InstanceDecision): void {
    // There is no channel for it outside Node.
  }

  /**
   * Refuses a directory in which the server would come to grief.
   *
   * @throws {RepoPathError}
   */
  protected checkTraps(_canonical: string): void {
    // Outside Node nothing is known of the disk.
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
    this.#instances.stop();
    this.#over.abort(reason);
    void this.#hub.close(reason);
  }

  #serverChanged(change: ServerChange): void {
    const { state, attempt, exit, isRequested = false } = change;
    if (this.#over.signal.aborted) return;
    const isLoss = this.#link.isUp && (state === 'restarting' || state === 'failed');
    const interrupted = isLoss ? this.#lose(isRequested) : undefined;
    const { url, pid } = this.server;
    if (state === 'ready') this.#link.found();
    this.#hub.tellServer({
      state,
      ...(state === 'ready' && { url, ...(pid !== undefined && { pid }) }),
      ...(attempt !== undefined && { attempt }),
      ...(exit !== undefined && { exit }),
      ...(interrupted !== undefined && { interrupted }),
    });
  }

  /** The server has ended, or is being ended, and with it all it did. Returns the ids of the sessions that were at work. */
  #lose(isRequested: boolean): string[] {
    const error = new ServerLostError('The work on the server');
    this.#link.lose(error);
    const ids = new Set([
      ...this.#turns.interrupt(error),
      ...this.#instances.lose(error, isRequested ? 'server' : 'external'),
    ]);
    // A child was at work for the turn of its parent.
    const isChild = (id: string): boolean =>
      [...ids].some((other) => other !== id && this.#sessions.isWithin(id, other));
    return [...ids].filter((id) => !isChild(id));
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError();
  }

  #clientOf(directory: string): RepoClient {
    return this.#clients.get(directory) ?? this.forRepo(directory);
  }

  #makeClient(directory: string): RepoClient {
    const entry = this.#instances.entry(directory);
    const sessions = this.#sessions;
    const learn = (info: SessionInfo): void => {
      sessions.learn(info);
      this.#choices.learn(info);
      // Asking for a session loads the instance of its own directory, whatever directory was asked.
      if (info.directory !== directory) this.#instances.entry(info.directory).notice();
    };
    const known = {
      directoryOf: (sessionID: string) => sessions.directoryOf(sessionID),
      isWithin: (sessionID: string, rootID: string) => sessions.isWithin(sessionID, rootID),
      learn,
    };
    const transport = this.#transportOf(entry, () => asks.watch());
    const asks = new RepoAsks({
      ...this.#asks,
      wire: new AskWire(transport),
      hub: this.#hub,
      sessions: { ...known, unseen: (sessionID) => sessions.unseen(sessionID) },
      isLoaded: () => entry.loaded,
    });
    this.#repoAsks.set(directory, asks);
    const context: SessionContext = {
      ...known,
      transport,
      hub: this.#hub,
      turns: this.#turns,
      choices: this.#choices,
      dataDirectory: this.server.dataDirectory,
      asks,
      forget: (sessionID) => {
        sessions.forget(sessionID);
        this.#choices.forget(sessionID);
      },
      holdEvents: (sessionID) => entry.hold('subscription', sessionID),
      reserve: (jarvisSessionID) => sessions.reserve(jarvisSessionID, directory),
    };
    return new RepoClient(this.#http, context, {
      hold: (kind, reason) => entry.hold(kind, reason),
      stats: () => this.#instances.stats(entry),
      dispose: async (options) => {
        this.#assertOpen();
        return this.#instances.dispose(entry, options);
      },
      disposing: (send, options) => this.#disposing(entry, send, options),
      global: this.global,
      sockets: {
        webSocket: this.#webSocket,
        endpoint: () => ({ url: this.server.url, authorization: this.server.authorization }),
        closed: this.#over.signal,
        link: this.#link,
      },
      worktrees: {
        hub: this.#hub,
        link: this.#link,
        forWorktree: (worktree) => this.forRepo(worktree),
        transportOf: (worktree) => this.#transportOf(this.#instances.entry(this.#canonical(worktree))),
        guard: (worktree, run) => this.#withoutInstance(this.#instances.entry(worktree), run),
      },
    });
  }

  #transportOf(entry: RepoEntry, onUse?: () => void): RepoTransport {
    const always = new AbortController().signal;
    return new RepoTransport(this.#http, entry.directory, async (kind, detail, signal = always, suspend) => {
      for (;;) {
        // Nothing is loaded, or held, while there is no server.
        if (!this.#link.isUp) await this.#link.untilUp(signal);
        const release = await entry.enter(kind, detail, signal, suspend);
        if (this.#link.isUp) {
          onUse?.();
          return release;
        }
        release();
      }
    });
  }

  /** A directory that is gone is the same still: nothing else has taken its path. */
  #assertSame(directory: string): void {
    let found: string;
    try {
      found = this.canonicalDirectory(directory);
    } catch {
      return;
    }
    if (found !== directory) throw new RepoPathError(directory, 'replaced');
  }

  #canonical(directory: string): string {
    assertPathText(directory);
    const canonical = this.canonicalDirectory(directory);
    assertServable(canonical);
    return canonical;
  }

  /** Disposes the instance and runs `run` behind its closed gate. */
  #withoutInstance<T>(entry: RepoEntry, run: () => Promise<T>): Promise<T> {
    return this.#disposing(entry, async (signal) => {
      await sendDispose(this.#http, entry.directory, { signal });
      return run();
    });
  }

  /** Runs a call that makes the server dispose the instance; it takes the place of the dispose call. */
  async #disposing<T>(
    entry: RepoEntry,
    send: (signal: AbortSignal) => Promise<T>,
    options?: RequestOptions,
  ): Promise<T> {
    this.#assertOpen();
    const load = async (): Promise<void> => void (await this.#clientOf(entry.directory).path(options));
    return this.#instances.disposing(entry, load, send, options);
  }

  /**
   * With nothing loaded when the file is written, the disposal that the server adds has nothing to cut off. It tells of it
   * within some 10 ms, or not at all when nothing changed.
   */
  async #updateGlobalConfig(config: Config, options?: RequestOptions): Promise<Config> {
    this.#assertOpen();
    let updated: Config | undefined;
    await this.#instances.disposeAll(options, async (signal) => {
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
        await within(GLOBAL_DISPOSED_MS, disposed.promise, signal);
      } finally {
        unlisten();
      }
    });
    return updated ?? this.global.config.get(options);
  }

  #observe(event: OpenCodeEvent): void {
    if (event.type === 'session.created' || event.type === 'session.updated')
      this.#sessions.learn(event.properties.info);
    if (event.type === 'session.deleted') this.#sessions.forget(event.properties.sessionID);
    this.#instances.observe(event);
  }
}
