import { abortable, AbortScope, deferred, delay } from '../../../core/abort.js';
import { systemClock, type Clock } from '../../../core/clock.js';
import type { Logger } from '../../../core/logger.js';
import { realTime } from '../../../core/real-time.js';
import { ClosedError, ServerLostError, UnsupportedServerError } from '../../../errors.js';
import type { ServerExit } from '../../process/exit.js';
import {
  parseGraceMs,
  parseRestartOptions,
  type RestartGuard,
  type RestartOptions,
  type ServerChange,
  type ServerEvents,
  type ServerHandle,
  type ServerState,
  type StopOptions,
} from '../handle.js';
import { ServerEventEmitter } from '../server-events.js';
import { IdleWatch } from './idle-watch.js';
import { startFailure } from './start-failure.js';

/** How a server that sleeps is started, and when it sleeps again. */
export interface LazyServerInit {
  /** Names it in errors and logs, e.g. `the server "heavy"`. */
  readonly label: string;
  /** Makes the handle of a server that is ready; called for each start. Rejects with the reason of `signal` when that aborts. */
  readonly open: (signal: AbortSignal) => Promise<ServerHandle>;
  /** Called before each start; resolves when the server may run, with what is called when it has ended. @default it may at any time */
  readonly admit?: ((server: LazyServer, signal: AbortSignal) => Promise<() => void>) | undefined;
  readonly isOwned: boolean;
  /** Milliseconds before the next attempt after one that failed; `undefined` when there shall be none. */
  readonly nextAttempt: () => number | undefined;
  /** Whether `open` is called again when a handle ends by itself; else the server has failed then. */
  readonly reopens?: boolean | undefined;
  /** Milliseconds `open` may take. @default no limit */
  readonly openTimeoutMs?: number | undefined;
  /** Milliseconds without a use after which the server is stopped. @default never */
  readonly stopAfterIdleMs?: number | undefined;
  readonly dataDirectory?: string | undefined;
  /** The environment of the next process; `undefined` where somebody else chooses it. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  readonly hasDataFile?: ((path: string) => boolean) | undefined;
  /** Refuses a directory that the server must not work in, or could not. */
  readonly checkDirectory?: ((directory: string) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly logger: Logger;
}

/** The states in which there is a server to send to, or the next one comes by itself. */
const RUNNING: ReadonlySet<ServerState> = new Set(['ready', 'unhealthy', 'restarting']);
const ENDED: ReadonlySet<ServerState> = new Set(['stopping', 'stopped', 'failed']);
const NO_EXIT: ServerExit = { code: null, signal: null };

/**
 * A server that starts when a request waits for it, and is stopped when nothing has used it for a time. It is `asleep` before and
 * after; whoever has this handle goes on with the next process.
 */
export class LazyServer implements ServerHandle {
  readonly isOwned: boolean;
  readonly closed: Promise<ServerExit>;
  readonly #init: LazyServerInit;
  readonly #events = new ServerEventEmitter('asleep');
  readonly #closed = deferred<ServerExit>();
  readonly #guards: RestartGuard[] = [];
  readonly #idle: IdleWatch;
  /** Aborts when nothing is started any more. */
  readonly #over = new AbortController();
  /** The handle of the last start. */
  #inner: ServerHandle | undefined;
  /** The start under way. */
  #waking: Promise<void> | undefined;
  /** The end of the last process, when it fell asleep. */
  #leaving: Promise<void> = Promise.resolve();
  /** Why the last start failed; `undefined` after one that did not. */
  #failure: { readonly error: unknown } | undefined;
  #stopping: Promise<void> | undefined;
  /** Says that it has ended to who admitted it. */
  #release: (() => void) | undefined;
  #starts = 0;

  constructor(init: LazyServerInit) {
    this.#init = init;
    this.isOwned = init.isOwned;
    this.closed = this.#closed.promise;
    this.#idle = new IdleWatch({
      clock: init.clock ?? systemClock,
      stopAfterIdleMs: init.stopAfterIdleMs,
      sleep: () => this.sleep(),
      logger: init.logger,
    });
  }

  get label(): string {
    return this.#init.label;
  }

  /** How often it was started, or was tried to. */
  get starts(): number {
    return this.#starts;
  }

  /** Since when nothing uses it, epoch milliseconds; `undefined` while something does, and while it does not run. */
  get idleSince(): number | undefined {
    return this.#idle.since;
  }

  /** When it falls asleep if nothing uses it, epoch milliseconds; `undefined` while something does, or never. */
  get stopDeadline(): number | undefined {
    return this.#idle.deadline;
  }

  /** The origin of the last process; empty before the first. */
  get url(): string {
    return this.#inner?.url ?? '';
  }

  /** The version of the last process; empty before the first. */
  get version(): string {
    return this.#inner?.version ?? '';
  }

  /** The major version of the last process; `undefined` before the first. */
  get opencode(): 1 | 2 | undefined {
    return this.#inner?.opencode;
  }

  get isMeasured(): boolean | undefined {
    return this.#inner?.isMeasured;
  }

  get pid(): number | undefined {
    return RUNNING.has(this.state) ? this.#inner?.pid : undefined;
  }

  get serverPid(): number | undefined {
    return this.#inner?.serverPid;
  }

  get authorization(): string | undefined {
    return this.#inner?.authorization;
  }

  get recentOutput(): readonly string[] | undefined {
    return this.#inner?.recentOutput;
  }

  get dataDirectory(): string | undefined {
    return this.#init.dataDirectory;
  }

  environment(): Readonly<Record<string, string | undefined>> | undefined {
    return this.#inner?.environment?.() ?? this.#init.environment;
  }

  hasDataFile(path: string): boolean {
    return this.#init.hasDataFile?.(path) ?? false;
  }

  get state(): ServerState {
    return this.#events.state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  guardRestart(guard: RestartGuard): void {
    this.#guards.push(guard);
    this.#inner?.guardRestart?.(guard);
  }

  watchIdle(idleSince: () => number | undefined): void {
    this.#idle.watch(idleSince);
  }

  use(): () => void {
    return this.#idle.use();
  }

  checkDirectory(directory: string): void {
    this.#init.checkDirectory?.(directory);
  }

  recordActivity(): void {
    this.#inner?.recordActivity?.();
  }

  /**
   * Starts the server if it sleeps, and resolves when it is ready; callers at the same time share one start. `undefined` when there is
   * nothing to start: it runs, or starts again by itself.
   *
   * @throws {ServerStartError} {@link ConnectionError} {@link RequestError} {@link UnsupportedServerError} when the start failed; the next call tries again.
   * @throws {TimeoutError} when it waited too long for another server to end.
   * @throws {ServerLostError} when as many starts have failed as there may be: it is `failed` then.
   */
  wake(): Promise<void> | undefined {
    if (this.state !== 'asleep' && this.state !== 'starting') return undefined;
    this.#waking ??= this.#wake().finally(() => {
      this.#waking = undefined;
    });
    return this.#waking;
  }

  /**
   * Stops the server until it is needed again, unless something holds an instance or uses the server; does nothing unless it is ready.
   *
   * @throws {DisposeRefusedError} when something holds an instance; nothing was stopped then.
   * @throws {TimeoutError} when it does not answer in time what it does.
   */
  async sleep(): Promise<void> {
    if (this.state !== 'ready') return;
    await this.#guarded(() => this.#fallAsleep(), false);
  }

  async restart(options?: RestartOptions): Promise<void> {
    const { force = false } = parseRestartOptions(options);
    if (this.#stopping !== undefined) throw new ClosedError('The server');
    if (this.state === 'failed') throw new ServerLostError(`The restart of ${this.label}`);
    const waking = this.wake();
    if (waking !== undefined) return waking;
    const inner = this.#inner;
    if (inner === undefined) return;
    // A handle that takes guards asks them itself.
    if (inner.guardRestart !== undefined) return inner.restart(options);
    return this.#guarded(() => inner.restart(options), force);
  }

  stop(options?: StopOptions): Promise<void> {
    const graceMs = parseGraceMs(options);
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #wake(): Promise<void> {
    const { signal } = this.#over;
    await this.#leaving;
    if (this.#failure !== undefined) await this.#pause(this.#failure.error);
    signal.throwIfAborted();
    this.#release = await this.#init.admit?.(this, signal);
    this.#events.enter('starting');
    try {
      this.#adopt(await this.#open());
    } catch (error) {
      this.#ended();
      signal.throwIfAborted();
      this.#events.enter('asleep');
      if (error instanceof UnsupportedServerError) this.#fail(NO_EXIT, error);
      throw error;
    }
  }

  /** Waits before the next attempt; after the last one the server has failed. */
  async #pause(cause: unknown): Promise<void> {
    const waitMs = this.#init.nextAttempt();
    if (waitMs !== undefined) return delay(waitMs, this.#over.signal);
    this.#fail(NO_EXIT, cause);
    throw new ServerLostError(`The work on ${this.label}`, { cause });
  }

  /** Opens a handle that can be used. */
  async #open(): Promise<ServerHandle> {
    const { label, open, openTimeoutMs, logger } = this.#init;
    const limit = new AbortScope(
      [this.#over.signal],
      openTimeoutMs === undefined
        ? undefined
        : {
            timeoutMs: openTimeoutMs,
            reason: (timeoutMs) => new Error(`it was not there within ${timeoutMs} ms`),
          },
    );
    this.#starts += 1;
    try {
      const opening = Promise.resolve(open(limit.signal));
      const handle = await abortable(opening, limit.signal).catch((error: unknown) => {
        // One that comes too late is not needed any more.
        if (limit.signal.aborted) opening.then((late) => late.stop()).catch(() => undefined);
        throw error;
      });
      if (ENDED.has(handle.state)) throw new Error('its handle has ended already');
      this.#failure = undefined;
      return handle;
    } catch (error) {
      this.#over.signal.throwIfAborted();
      const failure = startFailure(label, error);
      this.#failure = { error: failure };
      logger.error('server could not be started', { server: label, error: String(failure) });
      throw failure;
    } finally {
      limit.end();
    }
  }

  #adopt(handle: ServerHandle): void {
    this.#inner = handle;
    for (const guard of this.#guards) handle.guardRestart?.(guard);
    handle.on('log', (line) => this.#events.log(line));
    handle.on('change', (change) => this.#innerChanged(handle, change));
    void handle.closed.then((exit) => this.#innerEnded(handle, exit));
    this.#events.enter(RUNNING.has(handle.state) ? handle.state : 'ready');
    this.#idle.start();
  }

  #innerChanged(handle: ServerHandle, { state, ...details }: ServerChange): void {
    if (handle !== this.#inner || !RUNNING.has(this.state)) return;
    if (RUNNING.has(state)) this.#events.enter(state, details);
    else if (state === 'failed') this.#innerEnded(handle, details.exit ?? NO_EXIT, details.error);
  }

  /** A handle has ended by itself. */
  #innerEnded(handle: ServerHandle, exit: ServerExit, error?: unknown): void {
    if (handle !== this.#inner || !RUNNING.has(this.state)) return;
    this.#idle.stop();
    this.#inner = undefined;
    if (this.#init.reopens === true) void this.#reopen(handle, exit);
    else this.#fail(exit, error);
  }

  /** Opens the next handle in place of one that has ended. Never rejects: the state shows how it went. */
  async #reopen(last: ServerHandle, exit: ServerExit): Promise<void> {
    const { signal } = this.#over;
    const { label, nextAttempt, logger } = this.#init;
    logger.error('server ended unexpectedly', { server: label, ...exit });
    const reopening = deferred();
    this.#waking = reopening.promise;
    try {
      await last.stop().catch(() => undefined);
      let waitMs = nextAttempt();
      for (let attempt = 1; waitMs !== undefined; attempt += 1, waitMs = nextAttempt()) {
        this.#events.enter('restarting', { attempt, exit });
        await delay(waitMs, signal);
        const handle = await this.#open().catch(() => undefined);
        signal.throwIfAborted();
        if (handle !== undefined) return this.#adopt(handle);
      }
      this.#events.enter('restarting', { exit });
      this.#fail(exit, this.#failure?.error);
    } catch {
      // The server is being stopped.
    } finally {
      this.#waking = undefined;
      reopening.resolve();
    }
  }

  async #fallAsleep(): Promise<void> {
    const inner = this.#inner;
    if (this.state !== 'ready' || inner === undefined || this.#idle.isUsed || this.#over.signal.aborted)
      return;
    this.#idle.stop();
    this.#events.enter('asleep', { isRequested: true });
    this.#leaving = inner.stop().catch((error: unknown) => {
      this.#init.logger.error('server could not be stopped', { server: this.label, error: String(error) });
    });
    await this.#leaving;
    this.#ended();
    this.#init.logger.info('server stopped until it is needed', { server: this.label });
  }

  #guarded(run: () => Promise<void>, force: boolean): Promise<void> {
    return this.#guards.reduceRight<() => Promise<void>>(
      (inner, guard) => () => guard(inner, { force }),
      run,
    )();
  }

  /** Nothing runs any more. */
  #ended(): void {
    this.#release?.();
    this.#release = undefined;
  }

  #fail(exit: ServerExit, error: unknown): void {
    this.#ended();
    this.#events.enter('failed', { exit, error });
    // Who waits for this start gets its error first: after `closed` a client ends all work.
    realTime.setTimeout(() => this.#closed.resolve(exit), 0);
  }

  async #stop(graceMs: number): Promise<void> {
    const hasFailed = this.state === 'failed';
    const isAsleep = this.state === 'asleep';
    this.#idle.stop();
    this.#over.abort(new ClosedError('The server'));
    if (!hasFailed) this.#events.enter('stopping');
    await this.#waking?.catch(() => undefined);
    await this.#leaving;
    if (!isAsleep) await this.#inner?.stop({ graceMs });
    this.#ended();
    if (hasFailed) return;
    this.#events.enter('stopped', { exit: NO_EXIT });
    this.#closed.resolve(NO_EXIT);
  }
}
