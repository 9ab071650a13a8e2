import { silentLogger, type Logger } from '../logger.js';
import type { GuardKinds } from './guards.js';
import { HOST_SIGNAL_GRACE_MS } from './host-end.js';
import {
  parseGraceMs,
  ServerSignals,
  type ServerEvents,
  type ServerExit,
  type ServerHandle,
  type ServerState,
  type StopOptions,
} from './server-handle.js';
import { parseServerOptions, type ServerOptions } from './server-options.js';
import { ServerProcess, type ServerCalls } from './server-process.js';

/** A server of ours. */
export class OwnedServer implements ServerHandle {
  readonly url: string;
  readonly version: string;
  readonly pid: number;
  declare readonly authorization: string;
  readonly closed: Promise<ServerExit>;
  readonly #process: ServerProcess;
  readonly #signals: ServerSignals;
  readonly #logger: Logger;
  #stopping: Promise<void> | undefined;

  private constructor(process: ServerProcess, signals: ServerSignals, logger: Logger) {
    this.#process = process;
    this.#signals = signals;
    this.#logger = logger;
    this.url = process.url;
    this.version = process.version;
    this.pid = process.pid;
    Object.defineProperty(this, 'authorization', { value: process.authorization, enumerable: false });
    process.onHostSignal(() => this.stop({ graceMs: HOST_SIGNAL_GRACE_MS }));
    this.closed = process.exited.then((exit) => {
      const state = this.#stopping === undefined ? 'failed' : 'stopped';
      if (state === 'failed') this.#logger.error('server ended by itself', { pid: this.pid, ...exit });
      this.#signals.enter(state);
      return exit;
    });
    this.#signals.enter('ready');
  }

  /**
   * Starts a server and resolves when it is healthy. On any failure nothing of it is left running.
   *
   * @param guards - for tests: what ends the server when this process is killed.
   * @throws {ServerStartError} when there is no binary, it exits, or it is not healthy within `startTimeoutMs`.
   * @throws {UnsupportedServerError} when it is not a version this library can talk to.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   */
  static async start(options: ServerOptions, calls: ServerCalls, guards?: GuardKinds): Promise<OwnedServer> {
    const plan = parseServerOptions(options);
    const logger = options.logger ?? silentLogger;
    const signals = new ServerSignals();
    const onLog = (line: string): void => {
      logger.debug('server output', { line });
      signals.log(line);
    };
    const process = await ServerProcess.launch(plan, calls, {
      signal: options.signal,
      onLog,
      logger,
      guards,
    });
    return new OwnedServer(process, signals, logger);
  }

  get recentOutput(): readonly string[] {
    return this.#process.recentOutput;
  }

  get state(): ServerState {
    return this.#signals.state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    return this.#signals.on(event, listener);
  }

  stop(options?: StopOptions): Promise<void> {
    const graceMs = parseGraceMs(options);
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(graceMs: number): Promise<void> {
    if (this.#signals.state === 'ready') this.#signals.enter('stopping');
    await this.#process.stop(graceMs);
    await this.closed;
    this.#logger.info('server stopped', { pid: this.pid });
  }
}
