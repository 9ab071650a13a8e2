import { systemClock } from '../core/clock.js';
import { aSignal, assertOptions, type OptionChecks } from '../core/checks.js';
import type { EventOptions, EventStream } from '../client/events/event-stream.js';
import type { RepoClient } from '../client/repo/repo-client.js';
import type { GlobalResource } from '../client/resources/global.js';
import type { EventType } from '../client/schema/event.js';
import type { Session } from '../client/sessions/session.js';
import type { Finding } from '../core/diagnosis.js';
import type { RepoOverview } from '../core/instance.js';
import { SessionNotBoundError } from '../errors.js';
import { DEFAULT_MAX_LOADED } from '../instances/idle-policy.js';
import {
  assertCloseOptions,
  isOwnServer,
  type CloseOptions,
  type ServerHandle,
} from '../lifecycle/server/handle.js';
import { SessionRegistry, sessionMapOf, type SessionMap } from '../registry/session-registry.js';
import { parseSnapshot, takeSnapshot, type JarvisSnapshot } from '../registry/snapshot.js';
import { connectAs, type ClientClass } from './attach.js';
import { Backend } from './backend.js';
import type { DiagnoseOptions } from './diagnose.js';
import { Directories } from './directories.js';
import { mapDirectories, type MapFunction, type MapOptions, type MapResult } from './map.js';
import { jarvisOptionChecks, type ConnectOptions, type JarvisOptions } from './options.js';
import { membershipOf } from './membership.js';
import type { OnlyOpenCode2, OpenCode2Client } from './opencode2-client.js';
import type { Platform } from './platform/platform.js';

/** Options of `jarvis.drained()`. */
export interface DrainedOptions {
  /** Ends the waiting, with its own reason. */
  readonly signal?: AbortSignal | undefined;
}

const drainedOptionChecks: OptionChecks<DrainedOptions> = { signal: aSignal };

/** One OpenCode server and the repositories behind it, on any platform. */
export class JarvisClient implements AsyncDisposable {
  readonly server: ServerHandle;
  /** Which OpenCode session, in which repository, serves each jarvis session. */
  readonly sessions: SessionMap;
  /** The calls that concern the server as a whole. */
  readonly global: GlobalResource;
  readonly #bindings: SessionRegistry;
  readonly #backend: Backend;
  readonly #maxLoaded: number;
  readonly #options: JarvisOptions;
  readonly #platform: Platform;

  /** @internal */
  constructor(server: ServerHandle, options: JarvisOptions = {}, platform: Platform) {
    assertOptions('new JarvisOpenCode()', jarvisOptionChecks, options);
    const membership = membershipOf(server);
    this.#bindings = new SessionRegistry(membership);
    if (options.restore !== undefined) this.#bindings.restore(parseSnapshot(options.restore).bindings);
    const isOfThisMachine = isOwnServer(server) && server.pid !== undefined;
    const paths = options.paths ?? (isOfThisMachine ? 'local' : 'remote');
    this.#backend = new Backend(server, {
      platform,
      directories: new Directories(paths, platform),
      sessions: this.#bindings,
      options,
      membership,
    });
    this.#maxLoaded = this.#backend.maxLoaded ?? DEFAULT_MAX_LOADED;
    this.#options = options;
    this.#platform = platform;
    this.server = server;
    this.sessions = sessionMapOf(this.#bindings, this.#backend.locate);
    this.global = this.#backend.global;
    membership?.join({
      bindings: this.#bindings,
      maxLoaded: this.#maxLoaded,
      listen: (listener) => this.#backend.listen(listener),
      counts: () => this.#backend.counts(),
      usage: () => this.#backend.usage()?.total,
      resolve: (directory) => this.#backend.resolve(directory),
      leave: (directories, commit, leaveOptions) => this.#backend.leave(directories, commit, leaveOptions),
    });
  }

  /**
   * Connects to a server that is already running. `close()` lets go of it and stops nothing.
   *
   * Outside of browsers, where the environment names a proxy and `url` is a loopback address, it adds the loopback addresses to `NO_PROXY`
   * of this process: runtimes that read these variables would send the requests, and the password, to the proxy.
   *
   * @throws {TypeError} if `url` is not an http URL.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   * @throws {RequestError} with status 401 for a wrong password.
   * @throws {UnsupportedServerError} when this library does not support the server's version.
   * @throws {ConnectionError} {@link TimeoutError} when it does not answer.
   */
  static async connect<T extends JarvisClient>(
    this: ClientClass<T>,
    options: ConnectOptions & OnlyOpenCode2,
  ): Promise<OpenCode2Client<T>>;
  static async connect<T extends JarvisClient>(this: ClientClass<T>, options: ConnectOptions): Promise<T>;
  static async connect<T extends JarvisClient>(this: ClientClass<T>, options: ConnectOptions): Promise<T> {
    return connectAs(this, options);
  }

  /**
   * The client of one repository; the same object for every spelling of its path.
   *
   * @throws {RepoPathError} when the path is not absolute or, with local paths, does not exist or is not a directory;
   *   and when the server could not work in it, see {@link RepoPathReason}. The client looks at the disk only for a
   *   server that it started, and only when the directory is first asked for.
   * @throws {ClosedError} after `close()`.
   */
  forRepo(directory: string): RepoClient {
    return this.#backend.forRepo(directory);
  }

  /**
   * The session a jarvis session is bound to.
   *
   * @throws {SessionNotBoundError} when it is bound to none.
   * @throws {ClosedError} after `close()`.
   */
  forSession(jarvisSessionID: string): Session {
    this.#backend.assertOpen();
    const binding = this.#bindings.get(jarvisSessionID);
    if (binding === undefined) throw new SessionNotBoundError(jarvisSessionID);
    return this.#backend.session(binding);
  }

  /**
   * The events of every repository, also of those that this client has not used.
   *
   * @throws {ClosedError} after `close()`.
   */
  events<T extends EventType>(options?: Omit<EventOptions<T>, 'hold'>): EventStream<T> {
    return this.#backend.events(options);
  }

  /**
   * Works on many directories: calls the function for each with its repository in use ({@link RepoClient.use}), for a few at a time, and
   * says what became of each, in the order of the directories. One that is missing, broken, refused or fails costs the others nothing:
   * its result is `rejected`, with the reason. Resolves when all are done, also when `signal` aborts or the client is closed meanwhile.
   * A directory may come twice, in any spelling; its uses share a place.
   *
   * @throws {ClosedError} after `close()`.
   * @throws {TypeError} {@link RangeError} for an invalid option, and for directories that are no list.
   * @throws what `onProgress` throws or rejects with.
   * @example
   * ```ts
   * const results = await jarvis.map(directories, (repo, _directory, _index, { signal }) =>
   *   repo.prompt('Does the test suite pass?', { signal }),
   * );
   * for (const result of results) {
   *   console.log(result.directory, result.status === 'fulfilled' ? result.value.text : result.reason);
   * }
   * ```
   */
  async map<T>(
    directories: Iterable<string>,
    work: MapFunction<T>,
    options?: MapOptions<T>,
  ): Promise<MapResult<T>[]> {
    this.#backend.assertTakesWork();
    return mapDirectories(directories, work, options, {
      forRepo: (directory) => this.forRepo(directory),
      concurrency: this.#maxLoaded,
    });
  }

  /** The session map as JSON: store it, and give it back as the option `restore` of the next client. */
  snapshot(): JarvisSnapshot {
    return takeSnapshot(this.#bindings.list());
  }

  /**
   * What this client knows about every repository's instance at this moment, with what its processes use. For a status
   * page: reading the table of processes takes milliseconds (19 were measured with 120 processes on a busy 2-core
   * machine).
   */
  repos(): RepoOverview[] {
    return this.#backend.overview();
  }

  /**
   * Resolves when nothing runs, at once if so: no turn runs or waits, no function of `use()`, no request of a repository, and, on a
   * server that this client started, no session is at work for anybody. What only keeps an instance does not count: `hold()`,
   * subscriptions, terminals; but a connection to a terminal is a request. It stops nothing from beginning: `close({ drainMs })` does.
   *
   * @param options - `signal` ends the waiting.
   */
  async drained(options?: DrainedOptions): Promise<void> {
    assertOptions('drained()', drainedOptionChecks, options);
    return this.#backend.drained(options?.signal);
  }

  /**
   * Looks at what an application needs: the server and its version, a model provider, git, ripgrep, the data directory, what waits for an
   * answer, servers that were left behind, and what surrounds this process. What it finds is never thrown. It loads an instance only for
   * `directory`; without it, a repository that is loaded says which providers there are. In a browser, and with `connect()`, what only
   * the machine of the server shows is left out.
   *
   * @throws the reason of `signal`.
   * @throws {ClosedError} after `close()`.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   * @example
   * ```ts
   * console.log(formatDiagnosis(await jarvis.diagnose({ directory: '/home/me/app' })));
   * ```
   */
  async diagnose(options?: DiagnoseOptions): Promise<Finding[]> {
    this.#backend.assertOpen();
    const { diagnose } = await import('./diagnose.js');
    return diagnose(options, {
      server: this.server,
      health: (requestOptions) => this.global.health(requestOptions),
      repos: () => this.#backend.overview(),
      forRepo: (directory) => this.forRepo(directory),
      permissions: this.#options.permissions,
      now: () => (this.#options.clock ?? systemClock).now(),
      machine: () => this.#platform.diagnose?.(this.server) ?? [],
    });
  }

  /** @internal Whether `close()` was called. */
  get isClosed(): boolean {
    return this.#backend.isClosed;
  }

  /**
   * Ends everything: running calls and turns reject with `ClosedError`, subscriptions end, and a server that this
   * client started stops with all it runs. Resolves when that is done. Idempotent; callers share one end.
   *
   * With `drainMs`, what runs may end by itself first, as {@link drained} counts it: turns that were sent (one that waits for a
   * permission waits for its answer), functions of `use()` and `map()`, and requests. Nothing new begins: turns and uses that wait
   * in a queue, and those that come, reject with a `ClosedError` whose `isDraining` is set, but for what belongs to a repository
   * with a running `use()`. Requests of a repository are taken as long as a turn, a use or a session is at work there, e.g. to
   * answer a permission. When nothing runs any more, or the time is over, the rest is ended. A call meanwhile can only shorten the
   * time: the shortest counts, so `close()` ends everything at once.
   *
   * @throws {RangeError} for an invalid `graceMs` or `drainMs`; nothing was closed then.
   */
  close(options?: CloseOptions): Promise<void> {
    assertCloseOptions(options);
    return this.#backend.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
