import { aBoolean, assertOptions, someMs, type OptionChecks } from '../../core/checks.js';
import type { ServerExit } from '../process/exit.js';

/**
 * How a server is doing.
 *
 * - `starting`, then `ready`: it answers.
 * - `unhealthy`: it runs and does not answer; `ready` again when it does.
 * - `restarting`: it has ended, or is being ended, and another one takes its place: `ready` again with a new `url`.
 * - `stopping`, then `stopped`: `stop()` was called.
 * - `failed`: it ended, and is not started again.
 * - `asleep`: a member of a fleet that was not needed yet, or not for a time: a request starts it.
 */
export type ServerState =
  'asleep' | 'starting' | 'ready' | 'unhealthy' | 'restarting' | 'stopping' | 'stopped' | 'failed';

/** Options of {@link ServerHandle.stop}. */
export interface StopOptions {
  /**
   * Milliseconds the server has to end its work, and then again to end itself, before it is killed.
   *
   * @default 2_000
   */
  readonly graceMs?: number | undefined;
}

/** Options of `close()` of a client. */
export interface CloseOptions extends StopOptions {
  /**
   * Milliseconds that turns, uses and requests under way may take to end by themselves; nothing new begins meanwhile. 0 ends them at
   * once.
   *
   * @default 0
   */
  readonly drainMs?: number | undefined;
}

/** Options of {@link ServerHandle.restart}. */
export interface RestartOptions {
  /** Restarts whatever the server does: running turns are interrupted. @default false */
  readonly force?: boolean | undefined;
}

/**
 * Runs a restart that was asked for, or refuses it, because the user of the server knows what a restart would interrupt.
 *
 * @param run - restarts the server; resolves when the next process is ready.
 */
export type RestartGuard = (run: () => Promise<void>, options: RestartOptions) => Promise<void>;

/** A step of the life of a server. */
export interface ServerChange {
  readonly state: ServerState;
  /** Which attempt to start the next process begins, from 1; of `restarting`. */
  readonly attempt?: number | undefined;
  /** How the process ended, once it has. */
  readonly exit?: ServerExit | undefined;
  /** Why the last attempt to start another process failed; of `failed`, if there was one. */
  readonly error?: unknown;
  /** Whether `restart()` was called. */
  readonly isRequested?: boolean | undefined;
}

const DEFAULT_GRACE_MS = 2_000;
/** Milliseconds a server has to end its work when its host is told to end, and then again to end itself. */
export const HOST_SIGNAL_GRACE_MS = 1_000;

const stopChecks: OptionChecks<StopOptions> = { graceMs: someMs };
const closeChecks: OptionChecks<CloseOptions> = { ...stopChecks, drainMs: someMs };
const restartChecks: OptionChecks<RestartOptions> = { force: aBoolean };

/**
 * Checks the options of a stop and fills in their default.
 *
 * @throws {TypeError} {@link RangeError} unless `graceMs` is a finite number of milliseconds, 0 or more.
 */
export function parseGraceMs(options: StopOptions | undefined): number {
  assertOptions('stop()', stopChecks, options);
  return options?.graceMs ?? DEFAULT_GRACE_MS;
}

/** @throws {TypeError} {@link RangeError} unless each is a finite number of milliseconds, 0 or more. */
export function assertCloseOptions(options: CloseOptions | undefined): void {
  assertOptions('close()', closeChecks, options);
}

/** @throws {TypeError} unless `force` is a boolean, and nothing else is given. */
export function parseRestartOptions(options: RestartOptions | undefined): Required<RestartOptions> {
  assertOptions('restart()', restartChecks, options);
  return { force: options?.force ?? false };
}

/** The values that listeners of a server get, by event name. */
export interface ServerEvents {
  state: ServerState;
  /** Each new state, and each attempt of a restart, with what is known of it. */
  change: ServerChange;
  /** One line of its output, with secrets removed. */
  log: string;
}

/** One OpenCode server: its present address and state, and how to restart and stop it. */
export interface ServerHandle extends AsyncDisposable {
  /** Origin, e.g. `http://127.0.0.1:4096`; another one after a restart, unless the `port` is fixed. */
  readonly url: string;
  /** The server's own version, e.g. `1.18.33`. */
  readonly version: string;
  /** The major version of OpenCode that it speaks. @default 1 */
  readonly opencode?: 1 | 2 | undefined;
  /**
   * Whether its version is not newer than the one that this library was measured with, of 1.x or of 2.x. A newer one is used, with a
   * warning to the logger.
   */
  readonly isMeasured?: boolean | undefined;
  /** Process id of the last process; `undefined` for a server we only connected to. */
  readonly pid: number | undefined;
  /**
   * Whether the client that uses this handle owns the server: what runs there is then its own, so it disposes idle instances, answers asks by
   * its policies, and waits for the next server when this one is lost. `close()` calls {@link stop} in any case. For handles that you make
   * yourself, of servers in a container or on another machine.
   *
   * @default whether there is a `pid`
   */
  readonly isOwned?: boolean | undefined;
  /** Value of the `authorization` header; not enumerable on the library's own handles. */
  readonly authorization?: string | undefined;
  readonly state: ServerState;
  /** The last lines it wrote, at most 200, with secrets removed; `undefined` for a server we only connected to. */
  readonly recentOutput?: readonly string[] | undefined;
  /** @internal The server itself, where `pid` is a wrapper that started it. */
  readonly serverPid?: number | undefined;
  /** @internal OpenCode's own data directory; `undefined` for a server we only connected to. */
  readonly dataDirectory?: string | undefined;
  /** @internal The environment of the next process, secrets included; `undefined` for a server that somebody else starts. */
  environment?(): Readonly<Record<string, string | undefined>> | undefined;
  /** @internal Whether there is a file in {@link dataDirectory}, by its path in there. */
  hasDataFile?(path: string): boolean;
  /** Resolves when the server has ended for good, so not while it is restarted; never rejects. */
  readonly closed: Promise<ServerExit>;
  /** Calls the listener for each state or log line; the returned function ends it. */
  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void;
  /**
   * Ends the server and starts it again, e.g. because it keeps the broken configuration of a repository until then. Resolves
   * when the next one is ready; concurrent callers share one restart. Everything made from this handle's client goes on.
   *
   * @throws {DisposeRefusedError} when something holds an instance and `force` is not set; nothing was cut off then.
   * @throws {ServerLostError} when no next one could be started; its `cause` is the {@link ServerStartError} of the last attempt.
   * @throws {TypeError} for a server we only connected to.
   * @throws {ClosedError} when it is stopped.
   */
  restart(options?: RestartOptions): Promise<void>;
  /** @internal Asks `guard` before each restart that was asked for. */
  guardRestart?(guard: RestartGuard): void;
  /**
   * @internal Refuses a directory that this server must not work in, or could not.
   *
   * @param directory - canonical.
   * @throws {RepoPathError}
   */
  checkDirectory?(directory: string): void;
  /** @internal How messages name it. @default 'the server' */
  readonly label?: string | undefined;
  /** @internal Starts the server for a request, if it is asleep; resolves when it is ready. `undefined` when there is nothing to start. */
  wake?(): Promise<void> | undefined;
  /** @internal Notes a request that belongs to no repository, until the returned function is called. */
  use?(): () => void;
  /** @internal Asks since when a client does nothing, epoch milliseconds, before the server falls asleep; `undefined` while it does something. */
  watchIdle?(idleSince: () => number | undefined): void;
  /** @internal Notes that the server has answered or sent something. */
  recordActivity?(): void;
  /** Stops the server if this handle started it, and resolves when it is gone. Idempotent; callers share one promise. */
  stop(options?: StopOptions): Promise<void>;
}

/** Whether a client owns the server of its handle. */
export function isOwnServer({ isOwned, pid }: Pick<ServerHandle, 'isOwned' | 'pid'>): boolean {
  return isOwned ?? pid !== undefined;
}
