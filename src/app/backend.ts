import { AskBroker } from '../client/asks/broker.js';
import { AskApi } from '../client/asks/api.js';
import { parseAskSettings, type AskSettings } from '../client/asks/settings.js';
import type { EventOptions, EventSource, EventStream } from '../client/events/event-stream.js';
import type { HubListener } from '../client/events/hub-listeners.js';
import { EventHub } from '../client/events/hub.js';
import { dialectsOf } from '../client/dialect/dialects.js';
import { Http } from '../client/http/http.js';
import { RepoTransport } from '../client/http/repo-transport.js';
import type { RequestOptions } from '../client/http/request-options.js';
import { ServerLink } from '../client/http/server-link.js';
import { sendDispose } from '../client/instances/api.js';
import { disposedEvent } from '../client/instances/events.js';
import { RepoClient, type DisposeOptions } from '../client/repo/repo-client.js';
import { GlobalResource } from '../client/resources/global.js';
import type { EventType, OpenCodeEvent } from '../client/schema/event.js';
import type { SessionInfo } from '../client/schema/session.js';
import { SessionChoices } from '../client/sessions/choices.js';
import { locateSessions } from '../client/sessions/locate-sessions.js';
import { SessionActivity } from '../client/sessions/session-activity.js';
import type { Session, SessionContext } from '../client/sessions/session.js';
import { TurnEngine } from '../client/turns/engine.js';
import type { RepoOverview, TreeUsage } from '../core/instance.js';
import { loggerOfUser, type Logger } from '../core/logger.js';
import { untraced } from '../core/tracing.js';
import { abortable } from '../core/abort.js';
import { ClosedError, type ServerLostError } from '../errors.js';
import { acquireThrough, assertGoesOn, goesOn } from '../instances/acquire.js';
import { InstanceControl } from '../instances/instance-control.js';
import { isOwnServer, type CloseOptions, type ServerHandle } from '../lifecycle/server/handle.js';
import type { InstanceEntry } from '../registry/instance-entry.js';
import type { LocateSessions, SessionBinding, SessionRegistry } from '../registry/session-registry.js';
import type { Directories } from './directories.js';
import { Drain } from './drain.js';
import { followServer } from './follow-server.js';
import { GlobalConfig } from './global-config.js';
import type { InstanceCounts, Membership } from './membership.js';
import type { JarvisOptions } from './options.js';
import { RestartTracer } from './restart-tracer.js';
import type { Platform } from './platform/platform.js';

/** How long an instance may take to load: one with plugins installs packages first. */
const BOOT_TIMEOUT_MS = 300_000;
/** How long a server may take to answer a probe while a new event stream waits for it. */
const PROBE_LIMIT_MS = 2_000;

/** What a backend shares with the others of its client. */
export interface BackendInit {
  readonly platform: Platform;
  readonly directories: Directories;
  readonly sessions: SessionRegistry;
  /** The options, already checked. */
  readonly options: JarvisOptions;
  /** The place in a fleet. @default the client stands alone */
  readonly membership?: Membership | undefined;
}

/** Everything that belongs to one server: the connection to it, its instances, and the clients of its repositories. */
export class Backend {
  readonly server: ServerHandle;
  /** Whether this client owns the server. It then owns every instance on it, whoever made the server load it. */
  readonly isOwned: boolean;
  /** The calls that concern the server as a whole. */
  readonly global: GlobalResource;
  /** Finds the directory of each session without loading an instance. */
  readonly locate: LocateSessions;
  readonly #platform: Platform;
  readonly #directories: Directories;
  readonly #membership: Membership | undefined;
  readonly #sessions: SessionRegistry;
  readonly #link: ServerLink;
  readonly #http: Http;
  readonly #hub: EventHub;
  readonly #instances: InstanceControl;
  readonly #turns: TurnEngine;
  readonly #choices = new SessionChoices();
  readonly #askSettings: AskSettings;
  readonly #logger: Logger;
  readonly #asks = new Map<string, AskBroker>();
  readonly #clients = new Map<string, RepoClient>();
  readonly #loadWebSocket: Platform['loadWebSocket'];
  readonly #keepAlive: Platform['keepAlive'];
  /**
   * Aborts when this client can send nothing more: with `ClosedError` after `close()`, with `ServerLostError` when the
   * server is lost for good.
   */
  readonly #over = new AbortController();
  readonly #drain = new Drain();
  #closing: Promise<void> | undefined;
  #graceMs: number | undefined;

  constructor(server: ServerHandle, { platform, directories, sessions, options, membership }: BackendInit) {
    const logger = loggerOfUser(options.logger ?? platform.logger?.());
    const isOwned = isOwnServer(server);
    const onActivity = (): void => server.recordActivity?.();
    this.server = server;
    this.#logger = logger;
    this.isOwned = isOwned;
    this.#platform = platform;
    this.#directories = directories;
    this.#sessions = sessions;
    this.#membership = membership;
    const { webSocket } = options;
    this.#loadWebSocket =
      webSocket === undefined ? () => platform.loadWebSocket() : () => Promise.resolve(webSocket);
    const openEvents = options.fetch === undefined ? platform.openEvents : undefined;
    this.#keepAlive = platform.keepAlive;
    const dialects = dialectsOf(server, (directory) => this.#hub.inject(disposedEvent(directory)));
    this.#link = new ServerLink(isOwned, () => server.wake?.());
    this.#http = new Http({
      endpoint: () => ({ url: server.url, authorization: server.authorization }),
      signal: this.#over.signal,
      dialects,
      fetch: options.fetch,
      maxResponseBytes: options.maxResponseBytes,
      link: this.#link,
      tracing: platform.tracing,
      use: () => server.use?.(),
      onActivity,
      lineOf: (body) => (directories.areLocal ? platform.configLine(body) : undefined),
    });
    this.locate = (bindings, requestOptions) => locateSessions(this.#http, bindings, requestOptions);
    this.#hub = new EventHub({
      open: (signal, path) => this.#http.openEventStream(path, signal, openEvents),
      dialects,
      maxEventBytes: options.maxEventBytes,
      onActivity,
      probe: (signal) => this.global.health({ signal, timeoutMs: PROBE_LIMIT_MS, retry: false }),
      link: this.#link,
      logger,
    });
    this.#instances = new InstanceControl({
      http: this.#http,
      hub: this.#hub,
      transportOf: (entry) => this.#transportOf(entry),
      bootTimeoutMs: options.bootTimeoutMs ?? BOOT_TIMEOUT_MS,
      ownsServer: isOwned,
      idle: options.idle,
      clock: options.clock,
      useNesting: membership?.useNesting ?? { context: platform.asyncContext(), admissions: new Set() },
      closed: this.#over.signal,
      logger,
      usage: () => this.usage(),
      knowsSession: (sessionID) => sessions.directoryOf(sessionID) !== undefined,
      assertSame: (directory) => directories.assertSame(directory),
      admit: membership && ((directory) => membership.check(directory)),
      asksReread: (directory, asks) => this.#asks.get(directory)?.resync(asks),
      tracing: platform.tracing,
      publish: (decision) =>
        platform.publish(membership === undefined ? decision : { ...decision, server: membership.name }),
    });
    // The instances observe first: they need to know which sessions were known before an event.
    this.#hub.observe(this.#instances);
    this.#hub.observe({ event: (event) => this.#learn(event) });
    this.#turns = new TurnEngine(options.turns, this.#over.signal, platform.tracing);
    this.#askSettings = parseAskSettings(options, {
      ownsServer: isOwned,
      isBound: (sessionID) => sessions.isBound(sessionID),
      logger,
    });
    const globalConfig = new GlobalConfig(this.#http, this.#hub, this.#instances);
    this.global = new GlobalResource(this.#http, {
      dispose: async (requestOptions) => {
        this.assertOpen();
        await this.#instances.disposeAll(requestOptions);
      },
      updateConfig: async (config, requestOptions) => {
        this.assertOpen();
        const updated = await globalConfig.update(config, requestOptions);
        return updated ?? this.global.config.get(requestOptions);
      },
    });
    const restarts = new RestartTracer(platform.tracing ?? untraced);
    server.on('change', (change) => restarts.changed(change));
    followServer(server, {
      link: this.#link,
      hub: this.#hub,
      turns: this.#turns,
      instances: this.#instances,
      sessions,
      over: this.#over.signal,
      lost: (error) => this.#end(error),
    });
    // On an owned server the client observes from the start what others do, even while it sends nothing itself.
    if (isOwned) this.#hub.connect().catch(() => undefined);
  }

  /** Whether `close()` was called. */
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** @throws {ClosedError} after `close()`, and after the time that it gave to running work. */
  assertOpen(): void {
    if (this.#drain.isOver) throw new ClosedError();
  }

  /** @throws {ClosedError} after `close()`, also while running work may end. */
  assertTakesWork(): void {
    if (this.isClosed) throw new ClosedError(undefined, { isDraining: !this.#drain.isOver });
  }

  /**
   * The client of one repository; the same object for every spelling of its path.
   *
   * @throws {RepoPathError}
   */
  forRepo(directory: string): RepoClient {
    this.assertOpen();
    const canonical = this.#canonicalize(directory);
    let client = this.#clients.get(canonical);
    if (client === undefined) {
      this.#membership?.admit(canonical);
      client = this.#makeClient(canonical);
      this.#clients.set(canonical, client);
    }
    return client;
  }

  /** The session behind a jarvis session. */
  session({ directory, sessionID }: SessionBinding): Session {
    return this.#clientOf(directory).sessions.session(sessionID);
  }

  events<T extends EventType>(options?: Omit<EventOptions<T>, 'hold'>): EventStream<T> {
    this.assertOpen();
    return this.#hub.stream(undefined, options);
  }

  /** Subscribes to the events of every directory. */
  listen(listener: HubListener): EventSource {
    const detach = this.#hub.listen(undefined, listener);
    return { live: this.#hub.connect(), detach };
  }

  /** How many instances are loaded and held, and when one was last used. */
  counts(): InstanceCounts {
    return this.#instances.counts();
  }

  /** What the processes of the server use now; `undefined` where that is not known. */
  usage(): TreeUsage | undefined {
    const { pid, serverPid } = this.server;
    return pid === undefined ? undefined : this.#platform.usage(pid, serverPid);
  }

  /** How many instances may be loaded at a time; `undefined` where nothing limits them. */
  get maxLoaded(): number | undefined {
    return this.#instances.maxLoaded;
  }

  /** Leaves out what another member of the fleet has and this one has not loaded. */
  overview(): RepoOverview[] {
    const membership = this.#membership;
    const overview = this.#instances.overview();
    if (membership === undefined) return overview;
    return overview.filter(({ directory, loaded }) => loaded || !membership.isElsewhere(directory));
  }

  /** The one spelling of a directory, whichever member of the fleet has it; see {@link MemberView.resolve}. */
  resolve(directory: string): string {
    this.assertOpen();
    const canonical = this.#directories.canonicalize(directory);
    this.server.checkDirectory?.(canonical);
    return canonical;
  }

  /** Gives directories to another member of the fleet; see {@link MemberView.leave}. */
  async leave(
    directories: readonly string[],
    commit: () => void,
    options?: DisposeOptions,
  ): Promise<string[]> {
    const left = (): void => {
      commit();
      for (const directory of directories) this.#loseSubscribers(directory);
    };
    if (!this.#over.signal.aborted) return this.#instances.leave(directories, left, options);
    // Nothing runs on a server that was lost or closed, once it has ended.
    await this.#closing?.catch(() => undefined);
    left();
    return [];
  }

  /** Resolves when nothing runs. */
  async drained(signal?: AbortSignal): Promise<void> {
    while (this.#turns.isBusy || this.#instances.isWorking) {
      await abortable(this.#turns.drained(), signal);
      await this.#instances.drained(signal);
    }
  }

  /**
   * Lets running work end for `drainMs`, then ends all work, and stops an owned server with all it runs. Idempotent; callers share one
   * end, with the shortest time and the last `graceMs`.
   */
  close({ drainMs = 0, graceMs = this.#graceMs }: CloseOptions = {}): Promise<void> {
    this.#graceMs = graceMs;
    this.#drain.limit(drainMs);
    if (this.#drain.isOver) this.#end(new ClosedError());
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#drain.isOver) {
      const reason = new ClosedError(undefined, { isDraining: true });
      this.#instances.drain(reason);
      this.#turns.refuseNew(reason, (directory) => goesOn(this.#instances.entry(directory), 'turn'));
      await Promise.race([this.drained(this.#over.signal).catch(() => undefined), this.#drain.over]);
      this.#drain.end();
      this.#end(new ClosedError());
    }
    await this.#hub.close(this.#over.signal.reason);
    await this.server.stop({ graceMs: this.#graceMs });
  }

  /** Ends all work. The first reason wins. */
  #end(reason: ClosedError | ServerLostError): void {
    if (this.#over.signal.aborted) return;
    this.#instances.stop();
    this.#over.abort(reason);
    void this.#hub.close(reason);
  }

  /** Learns the directory of each session from its events. */
  #learn(event: OpenCodeEvent): void {
    if (event.type === 'session.created' || event.type === 'session.updated')
      this.#sessions.learn(event.properties.info);
    if (event.type === 'session.deleted') this.#sessions.forget(event.properties.sessionID);
  }

  /** Ends the subscriptions to a directory that another member has now. */
  #loseSubscribers(directory: string): void {
    try {
      this.#membership?.check(directory);
    } catch (error) {
      this.#hub.loseSubscribers(directory, error);
    }
  }

  #canonicalize(directory: string): string {
    const canonical = this.#directories.canonicalize(directory);
    this.#membership?.check(canonical);
    this.server.checkDirectory?.(canonical);
    return canonical;
  }

  #clientOf(directory: string): RepoClient {
    return this.#clients.get(directory) ?? this.forRepo(directory);
  }

  #makeClient(directory: string): RepoClient {
    const entry = this.#instances.entry(directory);
    const sessions = this.#sessions;
    const known = {
      directoryOf: (sessionID: string) => sessions.directoryOf(sessionID),
      isWithin: (sessionID: string, rootID: string) => sessions.isWithin(sessionID, rootID),
      learn: (info: SessionInfo) => {
        sessions.learn(info);
        this.#choices.learn(info);
      },
    };
    const transport = this.#transportOf(entry, () => asks.watch());
    const asks = new AskBroker({
      ...this.#askSettings,
      api: new AskApi(transport),
      hub: this.#hub,
      sessions: { ...known, firstUnknownAncestor: (sessionID) => sessions.firstUnknownAncestor(sessionID) },
      isLoaded: () => entry.loaded,
    });
    this.#asks.set(directory, asks);
    const context: SessionContext = {
      ...known,
      transport,
      hub: this.#hub,
      turns: this.#turns,
      choices: this.#choices,
      serverDisk: {
        dataDirectory: this.server.dataDirectory,
        hasDataFile: (path) => this.server.hasDataFile?.(path) ?? false,
      },
      asks,
      logger: this.#logger,
      activity: new SessionActivity(transport, {
        epoch: () => entry.streamEpoch,
        isBusy: (sessionID) => entry.activityIDs('session-busy').includes(sessionID),
      }),
      forget: (sessionID) => {
        sessions.forget(sessionID);
        this.#choices.forget(sessionID);
      },
      holdEvents: (sessionID) => entry.hold('subscription', sessionID),
      bindings: {
        get: (jarvisSessionID) => sessions.binding(jarvisSessionID),
        reserve: (jarvisSessionID) => sessions.reserve(jarvisSessionID, directory),
        creation: (jarvisSessionID) => sessions.creation(jarvisSessionID),
      },
    };
    const runAsDisposal = async <T>(
      target: InstanceEntry,
      send: (signal: AbortSignal) => Promise<T>,
      options?: RequestOptions,
    ): Promise<T> => {
      this.assertOpen();
      const load = async (): Promise<void> => void (await this.#clientOf(target.directory).path(options));
      return this.#instances.runAsDisposal(target, load, send, options);
    };
    return new RepoClient(this.#http, context, {
      hold: (kind, reason) => {
        this.#membership?.check(directory);
        return entry.hold(kind, reason);
      },
      holdTurn: (detail) => {
        this.#membership?.check(directory);
        if (this.#instances.isDraining) assertGoesOn(entry, 'turn');
        return entry.hold('turn', detail);
      },
      stats: () => this.#instances.stats(entry),
      use: async (work, useOptions) => {
        this.assertOpen();
        this.#membership?.check(directory);
        return this.#instances.use(entry, work, useOptions);
      },
      dispose: async (options) => {
        this.assertOpen();
        return this.#instances.dispose(entry, options);
      },
      runAsDisposal: (send, options) => runAsDisposal(entry, send, options),
      global: this.global,
      sockets: {
        loadWebSocket: this.#loadWebSocket,
        endpoint: () => ({ url: this.server.url, authorization: this.server.authorization }),
        closed: this.#over.signal,
        link: this.#link,
      },
      worktrees: {
        hub: this.#hub,
        link: this.#link,
        forWorktree: (worktree) => this.forRepo(worktree),
        made: (worktree) => this.#membership?.admit(worktree, directory),
        transportOf: (worktree) => this.#transportOf(this.#instances.entry(this.#canonicalize(worktree))),
        runWithoutInstance: (worktree, run) => {
          const target = this.#instances.entry(worktree);
          return runAsDisposal(target, async (signal) => {
            await sendDispose(this.#http, target.directory, { signal });
            return run();
          });
        },
      },
    });
  }

  #transportOf(entry: InstanceEntry, onAcquired?: () => void): RepoTransport {
    const acquire = acquireThrough(this.#link, entry, {
      onAcquired,
      keepAlive: this.#keepAlive,
      isDraining: () => this.#instances.isDraining,
    });
    const { directory } = entry;
    return new RepoTransport(this.#http, directory, acquire, () => this.#membership?.check(directory));
  }
}
