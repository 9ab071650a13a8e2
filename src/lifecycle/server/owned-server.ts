import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inspect, type InspectOptions } from 'node:util';
import { deferred, delay } from '../../core/abort.js';
import { ClosedError, DisposeRefusedError, ServerLostError } from '../../errors.js';
import type { Clock } from '../../core/clock.js';
import { isMeasuredVersion } from '../../core/version.js';
import { loggerOfUser, type Logger } from '../../core/logger.js';
import type { ServerExit } from '../process/exit.js';
import { usageOf } from '../process/usage.js';
import type { GuardKinds } from '../guards/guards.js';
import { Recycler } from './recycler.js';
import { HealthMonitor, parseHealthPolicy, type ParsedHealthPolicy } from './health.js';
import type { Probe } from './launch/ready.js';
import { parseRestartPolicy, RestartBudget, type ParsedRestartPolicy } from './restart-budget.js';
import {
  HOST_SIGNAL_GRACE_MS,
  parseGraceMs,
  parseRestartOptions,
  type RestartGuard,
  type RestartOptions,
  type ServerEvents,
  type ServerHandle,
  type ServerState,
  type StopOptions,
} from './handle.js';
import { ServerEventEmitter } from './server-events.js';
import { DirectoryTraps } from '../paths/directory-traps.js';
import { assertNoPlugins } from '../paths/project-plugins.js';
import { nextPlan, parseServerOptions, type ServerOptions, type ServerPlan } from './options.js';
import { useData } from './shared-data.js';
import type { ServerCalls } from './launch/launch.js';

/** One server process, as its supervisor needs it. */
export interface SupervisedProcess {
  readonly url: string;
  readonly version: string;
  /** @default 1 */
  readonly opencode?: 1 | 2 | undefined;
  readonly pid: number;
  /** The server itself, where `pid` is a wrapper that started it. */
  readonly serverPid?: number | undefined;
  readonly authorization: string;
  readonly recentOutput: readonly string[];
  readonly exited: Promise<ServerExit>;
  readonly probe: Probe;
  onHostSignal(stop: () => Promise<unknown>): void;
  stop(graceMs: number): Promise<void>;
  kill(): Promise<void>;
}

/** How a server is supervised. */
export interface Supervision {
  /** Starts the next process; rejects with the reason of `signal` when that aborts. */
  readonly launch: (signal: AbortSignal) => Promise<SupervisedProcess>;
  readonly health: ParsedHealthPolicy | undefined;
  readonly restart: ParsedRestartPolicy | undefined;
  readonly events: ServerEventEmitter;
  readonly logger: Logger;
  /** OpenCode's own data directory, the same for every process. */
  readonly dataDirectory?: string | undefined;
  /** The environment of the next process, secrets included. */
  readonly environment?: (() => NodeJS.ProcessEnv) | undefined;
  /** Whether a server that runs does not keep this process alive. */
  readonly isUnref?: boolean | undefined;
  /** Above how much memory it is restarted when nothing holds an instance. */
  readonly recycleRssBytes?: number | undefined;
  /** The time source of {@link recycleRssBytes}. */
  readonly clock?: Clock | undefined;
  /** Refuses a directory that the server must not work in, or could not. */
  readonly checkDirectory?: ((directory: string) => void) | undefined;
}

/** Why a process is replaced by the next one. */
type RestartCause = 'exit' | 'hung' | 'request';

/** A server that this process started: supervises one server process after the other. */
export class OwnedServer implements ServerHandle {
  readonly closed: Promise<ServerExit>;
  readonly #supervision: Supervision;
  readonly #budget: RestartBudget | undefined;
  readonly #guards: RestartGuard[] = [];
  readonly #closed = deferred<ServerExit>();
  /** Aborts when no further process is started. */
  readonly #over = new AbortController();
  #process: SupervisedProcess;
  #health: HealthMonitor | undefined;
  readonly #recycler: Recycler | undefined;
  /** The change from one process to the next; rejects when no next one can be started. */
  #relaunching: Promise<void> | undefined;
  #requested: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #stopWithHost: () => Promise<unknown> = () => this.stop({ graceMs: HOST_SIGNAL_GRACE_MS });

  /** Supervises a process that is ready. */
  constructor(process: SupervisedProcess, supervision: Supervision) {
    this.#supervision = supervision;
    this.#budget = supervision.restart && new RestartBudget(supervision.restart);
    this.closed = this.#closed.promise;
    this.#process = process;
    this.#recycler = this.#recycle();
    this.#adopt(process);
  }

  /**
   * Starts a server and resolves when it is healthy. On any failure nothing of it is left running.
   *
   * @param guards - for tests: what ends the server when this process is killed.
   * @param clock - the time source of `recycleRssBytes`.
   * @throws {ServerStartError} when there is no binary, it exits, or it is not healthy within `startTimeoutMs`.
   * @throws {UnsupportedServerError} when it is not a version this library can talk to.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   */
  static async start(
    options: ServerOptions,
    calls: ServerCalls,
    guards?: GuardKinds,
    clock?: Clock,
  ): Promise<OwnedServer> {
    let plan = parseServerOptions(options);
    const health = parseHealthPolicy(options.health);
    const restart = parseRestartPolicy(options.restart);
    const logger = loggerOfUser(options.logger);
    const events = new ServerEventEmitter();
    const onLog = (line: string): void => {
      logger.debug('server output', { line });
      events.log(line);
    };
    // Whoever only connects to servers never needs it.
    const { launchServer } = await import('./launch/launch.js');
    const first = await launchServer(plan, calls, { signal: options.signal, onLog, logger, guards });
    const launch = (signal: AbortSignal): Promise<SupervisedProcess> => {
      plan = nextPlan(plan);
      return launchServer(plan, calls, { signal, onLog, logger, guards });
    };
    const { dataDirectory, isUnref } = plan;
    const checkDirectory = directoryCheck(options, plan, first.serverPid);
    const server = supervise(first, {
      launch,
      health,
      restart,
      events,
      logger,
      dataDirectory,
      environment: () => plan.env,
      isUnref,
      recycleRssBytes: options.recycleRssBytes,
      clock,
      checkDirectory,
    });
    void server.closed.then(useData(dataDirectory, logger));
    return server;
  }

  /** Whether this process may end while the server runs, because nothing else keeps it alive. */
  get isUnref(): boolean {
    return this.#supervision.isUnref === true;
  }

  get url(): string {
    return this.#process.url;
  }

  get version(): string {
    return this.#process.version;
  }

  get opencode(): 1 | 2 {
    return this.#process.opencode ?? 1;
  }

  get isMeasured(): boolean {
    return isMeasuredVersion(this.version);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get serverPid(): number | undefined {
    return this.#process.serverPid;
  }

  get authorization(): string {
    return this.#process.authorization;
  }

  get dataDirectory(): string | undefined {
    // Where OpenCode 2 keeps its data is not known for the official builds.
    return this.opencode === 2 ? undefined : this.#supervision.dataDirectory;
  }

  environment(): NodeJS.ProcessEnv {
    return this.#supervision.environment?.() ?? process.env;
  }

  hasDataFile(path: string): boolean {
    return this.dataDirectory !== undefined && existsSync(join(this.dataDirectory, path));
  }

  get recentOutput(): readonly string[] {
    return this.#process.recentOutput;
  }

  get state(): ServerState {
    return this.#events.state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /** Replaces what a signal to end this process does: `stop` ends the server, in its own time. */
  onHostSignal(stop: () => Promise<unknown>): void {
    this.#stopWithHost = stop;
  }

  guardRestart(guard: RestartGuard): void {
    this.#guards.push(guard);
  }

  checkDirectory(directory: string): void {
    this.#supervision.checkDirectory?.(directory);
  }

  recordActivity(): void {
    this.#health?.recordActivity();
  }

  async restart(options?: RestartOptions): Promise<void> {
    const { force } = parseRestartOptions(options);
    for (;;) {
      if (this.#stopping !== undefined) throw new ClosedError('The server');
      if (this.state === 'failed') throw new ServerLostError('The restart');
      const current = this.#relaunching ?? this.#requested;
      if (current === undefined) break;
      try {
        return await current;
      } catch (error) {
        // The restart under way was asked for without force.
        if (!force || !(error instanceof DisposeRefusedError)) throw error;
      }
    }
    const guarded = this.#guards.reduceRight<() => Promise<void>>(
      (inner, guard) => () => guard(inner, { force }),
      () => this.#begin('request'),
    );
    const requested = guarded().finally(() => {
      this.#requested = undefined;
    });
    this.#requested = requested;
    return requested;
  }

  stop(options?: StopOptions): Promise<void> {
    const graceMs = parseGraceMs(options);
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Everything but the credentials. */
  toJSON(): Pick<ServerHandle, 'url' | 'version' | 'pid' | 'state'> {
    const { url, version, pid, state } = this;
    return { url, version, pid, state };
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `OwnedServer ${inspect(this.toJSON(), options)}`;
  }

  get #events(): ServerEventEmitter {
    return this.#supervision.events;
  }

  #adopt(process: SupervisedProcess): void {
    const { health: policy } = this.#supervision;
    this.#process = process;
    process.onHostSignal(() => this.#stopWithHost());
    void process.exited.then((exit) => this.#exited(process, exit));
    if (policy !== undefined) this.#health = this.#watch(process, policy);
    this.#events.enter('ready');
  }

  #watch({ pid, probe }: SupervisedProcess, policy: ParsedHealthPolicy): HealthMonitor {
    const { logger } = this.#supervision;
    return new HealthMonitor({
      policy,
      probe,
      unhealthy: () => {
        logger.warn('server does not answer', { pid });
        this.#events.enter('unhealthy');
      },
      healthy: () => {
        logger.info('server answers again', { pid });
        this.#events.enter('ready');
      },
      hung: () => {
        if (this.#budget === undefined) return;
        logger.error('server does not answer and is restarted', { pid });
        void this.#begin('hung');
      },
    });
  }

  #recycle(): Recycler | undefined {
    const { recycleRssBytes, logger, clock } = this.#supervision;
    if (recycleRssBytes === undefined) return undefined;
    return new Recycler({
      maxRssBytes: recycleRssBytes,
      rssBytes: () =>
        this.state === 'ready'
          ? usageOf(this.#process.pid, this.#process.serverPid)?.total.rssBytes
          : undefined,
      restart: () => this.restart(),
      clock,
      logger,
    });
  }

  #exited(process: SupervisedProcess, exit: ServerExit): void {
    if (process !== this.#process) return;
    this.#health?.stop();
    if (this.#stopping !== undefined || this.#relaunching !== undefined) return;
    this.#supervision.logger.error('server exited unexpectedly', { pid: process.pid, ...exit });
    void this.#begin('exit', exit);
  }

  /** Begins a restart, unless one is under way. Its rejection need not be handled: the state shows it too. */
  #begin(cause: RestartCause, exit?: ServerExit): Promise<void> {
    if (this.#relaunching !== undefined) return this.#relaunching;
    const { promise, resolve, reject } = deferred();
    this.#relaunching = promise;
    this.#relaunch(cause, exit).then(resolve, reject);
    return promise;
  }

  /** Ends the present process, if it runs, and starts another one. */
  async #relaunch(cause: RestartCause, exit?: ServerExit): Promise<void> {
    const { launch, logger } = this.#supervision;
    const { signal } = this.#over;
    const isRequested = cause === 'request';
    this.#health?.stop();
    let failure: ErrorOptions | undefined;
    try {
      let waitMs = isRequested ? 0 : this.#budget?.take();
      for (let attempt = 1; waitMs !== undefined; attempt += 1, waitMs = this.#budget?.take()) {
        this.#events.enter('restarting', { attempt, exit, isRequested });
        if (attempt === 1)
          await (isRequested ? this.#process.stop(parseGraceMs(undefined)) : this.#process.kill());
        await delay(waitMs, signal);
        try {
          const process = await launch(signal);
          if (!signal.aborted) return this.#adopt(process);
          await process.kill();
        } catch (cause) {
          failure = { cause };
          if (!signal.aborted) logger.error('server restart failed', { attempt, error: String(cause) });
        }
        signal.throwIfAborted();
      }
      logger.error('gave up restarting the server');
      this.#fail(exit ?? (await this.#process.exited), failure?.cause);
      throw new ServerLostError('The restart', failure);
    } finally {
      // At once: the next process may have ended by now.
      this.#relaunching = undefined;
    }
  }

  #fail(exit: ServerExit, error: unknown): void {
    this.#recycler?.stop();
    this.#events.enter('failed', { exit, error });
    this.#closed.resolve(exit);
  }

  async #stop(graceMs: number): Promise<void> {
    this.#recycler?.stop();
    this.#health?.stop();
    const hasFailed = this.state === 'failed';
    if (!hasFailed) this.#events.enter('stopping');
    this.#over.abort(new ClosedError('The server'));
    await this.#relaunching?.catch(() => undefined);
    await this.#process.stop(graceMs);
    const exit = await this.#process.exited;
    if (hasFailed) return;
    this.#events.enter('stopped', { exit });
    this.#closed.resolve(exit);
    this.#supervision.logger.info('server stopped', { pid: this.pid });
  }
}

/** Stands outside of the class: a bundler renames a class that names itself. */
function supervise(process: SupervisedProcess, supervision: Supervision): OwnedServer {
  return new OwnedServer(process, supervision);
}

/** Makes what refuses directories for a server. @param pid - of the server, if it runs; else `uid` is the user that it will run as. */
export function directoryCheck(
  options: ServerOptions,
  { env, cwd }: Pick<ServerPlan, 'env' | 'cwd'>,
  pid: number | undefined,
  uid?: number,
): (directory: string) => void {
  const trustsProjects = options.trustProjectConfig ?? true;
  const traps = new DirectoryTraps({
    env,
    cwd,
    pid,
    uid,
    ownsData: options.dataDir !== undefined,
    snapshot: options.config?.['snapshot'] as boolean | undefined,
    trustsProjects,
    logger: loggerOfUser(options.logger),
  });
  const free = new Set<string>();
  return (directory) => {
    // A plugin may come at any time. Looking for traps runs git, so it is done once.
    if (!trustsProjects) assertNoPlugins(directory);
    if (free.has(directory)) return;
    traps.check(directory);
    free.add(directory);
  };
}
