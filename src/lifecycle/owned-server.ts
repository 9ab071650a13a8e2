import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { abortable, AbortScope } from '../abort.js';
import { JarvisError, ServerStartError, UnsupportedServerError } from '../errors.js';
import { findBinary } from './binary.js';
import { waitUntilHealthy, type Probe } from './ready.js';
import {
  basicAuthorization,
  parseGraceMs,
  ServerSignals,
  type ServerEvents,
  type ServerExit,
  type ServerHandle,
  type ServerState,
  type StopOptions,
} from './server-handle.js';
import { endWithHost, terminate } from './shutdown.js';
import { spawnServer, type SpawnedServer } from './spawn.js';

/** How to start the server. */
export interface ServerOptions {
  /**
   * The executable, by path or by name on PATH.
   *
   * @default the `opencode-ai` package of the project at `process.cwd()`, else `opencode` on PATH
   */
  readonly command?: string | undefined;
  /** More arguments for `opencode serve`. */
  readonly args?: readonly string[] | undefined;
  /** Working directory of the server. @default process.cwd() */
  readonly cwd?: string | undefined;
  /** Merged over `process.env`; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** OpenCode configuration that wins over every file, sent inline. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** Address to listen on. @default '127.0.0.1' */
  readonly hostname?: string | undefined;
  /** Port to listen on; 0 lets the server choose. @default 0 */
  readonly port?: number | undefined;
  /** @default a random one per start */
  readonly password?: string | undefined;
  /** Milliseconds until the server must be ready. @default 30_000 */
  readonly startTimeoutMs?: number | undefined;
  /** Aborts the start; it then rejects with the signal's own reason, with nothing left running. */
  readonly signal?: AbortSignal | undefined;
}

/** How the handle talks to the server it started. */
export interface ServerCalls {
  readonly probe: (url: string, authorization: string) => Probe;
  /** Asks the server to end all its work: running tools have process groups of their own that no signal of ours reaches. */
  readonly disposeAll: (url: string, authorization: string, timeoutMs: number) => Promise<void>;
}

const DEFAULT_START_TIMEOUT_MS = 30_000;
const USERNAME = 'opencode';

/** A server process of ours. */
export class OwnedServer implements ServerHandle {
  readonly url: string;
  readonly version: string;
  readonly pid: number;
  declare readonly authorization: string;
  readonly closed: Promise<ServerExit>;
  readonly #spawned: SpawnedServer;
  readonly #signals: ServerSignals;
  readonly #calls: ServerCalls;
  #stopping: Promise<void> | undefined;

  private constructor(init: {
    readonly spawned: SpawnedServer;
    readonly pid: number;
    readonly url: string;
    readonly version: string;
    readonly authorization: string;
    readonly signals: ServerSignals;
    readonly calls: ServerCalls;
  }) {
    this.#spawned = init.spawned;
    this.#signals = init.signals;
    this.#calls = init.calls;
    this.url = init.url;
    this.version = init.version;
    this.pid = init.pid;
    Object.defineProperty(this, 'authorization', { value: init.authorization, enumerable: false });
    this.closed = init.spawned.exited.then((exit) => {
      this.#signals.enter(this.#stopping === undefined ? 'failed' : 'stopped');
      return exit;
    });
    this.#signals.enter('ready');
  }

  /**
   * Starts a server and resolves when it is healthy. On any failure nothing of it is left running.
   *
   * @throws {ServerStartError} when there is no binary, it exits, or it is not healthy within `startTimeoutMs`.
   * @throws {UnsupportedServerError} when it is not a version this library can talk to.
   */
  static async start(options: ServerOptions, calls: ServerCalls): Promise<OwnedServer> {
    const { startTimeoutMs = DEFAULT_START_TIMEOUT_MS, password = randomBytes(32).toString('base64url') } =
      options;
    assertOptions(options, startTimeoutMs, password);
    options.signal?.throwIfAborted();
    const env = serverEnv(options, password);
    const cwd = options.cwd ?? process.cwd();
    const command = findBinary({
      command: options.command,
      projectDirectory: process.cwd(),
      searchPath: env.PATH,
    });
    if (!isDirectory(cwd)) {
      throw new ServerStartError({ message: `The cwd ${JSON.stringify(cwd)} is not a directory.`, command });
    }
    const args = [
      'serve',
      '--hostname',
      options.hostname ?? '127.0.0.1',
      '--port',
      String(options.port ?? 0),
    ];
    args.push(...(options.args ?? []));
    const commandLine = [command, ...args].join(' ').replaceAll(password, '[redacted]');
    const authorization = basicAuthorization(USERNAME, password);
    const signals = new ServerSignals();
    const onLog = (line: string): void => signals.log(line);
    const spawned = spawnServer({
      command,
      args,
      cwd,
      env,
      secrets: [password, authorization, authorization.slice('Basic '.length)],
      onLog,
    });
    const { pid } = spawned.child;
    const forget = pid === undefined ? undefined : endWithHost(pid);
    void spawned.exited.then(forget);

    const limit = new AbortScope([options.signal], {
      timeoutMs: startTimeoutMs,
      reason: () => startError(`did not become ready within ${startTimeoutMs} ms`),
    });
    const startError = (what: string, exitCode: number | null = null, cause?: unknown): ServerStartError =>
      new ServerStartError(
        {
          message: `The server ${what}: ${commandLine}.`,
          command: commandLine,
          exitCode,
          recentOutput: spawned.output.lines(),
        },
        cause === undefined ? undefined : { cause },
      );
    const becomeReady = async (): Promise<{ url: string; version: string }> => {
      const url = await abortable(spawned.url, limit.signal);
      const probe = calls.probe(url, authorization);
      const version = await waitUntilHealthy(probe, limit.signal);
      await shedStaleConnections(probe, limit.signal);
      return { url, version };
    };
    const exit = spawned.exited.then(({ code, signal }) => {
      throw startError(signal === null ? `exited with code ${String(code)}` : `was ended by ${signal}`, code);
    });
    const notStarted = spawned.failed.catch((error: unknown) => {
      throw startError(`could not be started (${String(error)})`, null, error);
    });
    exit.catch(() => undefined);
    notStarted.catch(() => undefined);
    try {
      const { url, version } = await Promise.race([notStarted, exit, becomeReady()]);
      if (pid === undefined) throw startError('has no process id');
      return new OwnedServer({ spawned, pid, url, version, authorization, signals, calls });
    } catch (error) {
      limit.abort(error);
      // Stopped first, told then: whoever sees the error finds nothing running.
      if (pid !== undefined) await terminate(pid, spawned.exited, parseGraceMs(undefined));
      const isOurs = error instanceof ServerStartError || error instanceof UnsupportedServerError;
      if (isOurs || !(error instanceof JarvisError)) throw error;
      throw startError('could not be used', null, error);
    } finally {
      limit.end();
    }
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
    if (this.#signals.state === 'ready') {
      this.#signals.enter('stopping');
      await this.#calls.disposeAll(this.url, this.authorization, graceMs).catch(() => undefined);
    }
    await terminate(this.pid, this.#spawned.exited, graceMs);
    await this.closed;
  }
}

function assertOptions(options: ServerOptions, startTimeoutMs: number, password: string): void {
  if (!(startTimeoutMs > 0) || !Number.isFinite(startTimeoutMs)) {
    throw new RangeError(
      `Expected startTimeoutMs to be a positive number of milliseconds, got ${startTimeoutMs}.`,
    );
  }
  const { port = 0 } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`Expected port to be an integer from 0 to 65535, got ${port}.`);
  }
  if (typeof password !== 'string' || password === '') {
    throw new TypeError('Expected password to be a non-empty string; leave it out for a random one.');
  }
}

function serverEnv(options: ServerOptions, password: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(options.env ?? {})) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  env.OPENCODE_SERVER_PASSWORD = password;
  env.OPENCODE_SERVER_USERNAME = USERNAME;
  if (options.config !== undefined) env.OPENCODE_CONFIG_CONTENT = JSON.stringify(options.config);
  return env;
}

/** The system blames the command for a working directory that is not there. */
function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * Node's fetch connects again when a running request is aborted, and does not notice when the server of that idle
 * connection ends. A later server on the same port (4096, if it is free) would meet it with its first request, which
 * then fails with ECONNRESET, and a POST is not repeated. As many requests at once find all such connections.
 */
async function shedStaleConnections(probe: Probe, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    const probes = await Promise.allSettled(Array.from({ length: 8 }, () => probe(signal)));
    signal.throwIfAborted();
    if (probes.every(({ status }) => status === 'fulfilled')) return;
  }
}
