/** How the server process is doing. `restarting` and `unhealthy` are reserved for servers that supervise themselves. */
export type ServerState =
  'starting' | 'ready' | 'unhealthy' | 'restarting' | 'stopping' | 'stopped' | 'failed';

/** How a server ended: its exit code or signal, both `null` for a server we only connected to. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Options of {@link ServerHandle.stop}. */
export interface StopOptions {
  /**
   * Milliseconds the server has to end its work, and then again to end itself, before it is killed.
   *
   * @default 2_000
   */
  readonly graceMs?: number | undefined;
}

const DEFAULT_GRACE_MS = 2_000;

/**
 * Checks the options of a stop and fills in their default.
 *
 * @throws {RangeError} unless `graceMs` is a finite number of milliseconds, 0 or more.
 */
export function parseGraceMs(options: StopOptions | undefined): number {
  const graceMs: unknown = options?.graceMs ?? DEFAULT_GRACE_MS;
  if (typeof graceMs === 'number' && graceMs >= 0 && Number.isFinite(graceMs)) return graceMs;
  throw new RangeError(`Expected graceMs to be a number of milliseconds, 0 or more, got ${String(graceMs)}.`);
}

/** What a listener of a server is told, by event name. */
export interface ServerEvents {
  state: ServerState;
  /** One line of its output, with secrets removed. */
  log: string;
}

/** One OpenCode server: where it is, how it is, and how to stop it. */
export interface ServerHandle extends AsyncDisposable {
  /** Origin, e.g. `http://127.0.0.1:4096`. */
  readonly url: string;
  /** The server's own version, e.g. `1.18.33`. */
  readonly version: string;
  /** Process id; `undefined` for a server we only connected to. */
  readonly pid: number | undefined;
  /** Value of the `authorization` header; not enumerable on the library's own handles. */
  readonly authorization?: string | undefined;
  readonly state: ServerState;
  /** The last lines it wrote, at most 200, with secrets removed; `undefined` for a server we only connected to. */
  readonly recentOutput?: readonly string[] | undefined;
  /** Resolves when the server has ended; never rejects. */
  readonly closed: Promise<ServerExit>;
  /** Calls the listener for each state or log line; the returned function ends it. */
  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void;
  /** Stops the server if this handle started it, and resolves when it is gone. Idempotent; callers share one promise. */
  stop(options?: StopOptions): Promise<void>;
}

/** The listeners and the state of a server. */
export class ServerSignals {
  readonly #listeners: { [E in keyof ServerEvents]: Set<(value: ServerEvents[E]) => void> } = {
    state: new Set(),
    log: new Set(),
  };
  #state: ServerState = 'starting';

  get state(): ServerState {
    return this.#state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    this.#listeners[event].add(listener);
    return () => this.#listeners[event].delete(listener);
  }

  enter(state: ServerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#emit('state', state);
  }

  log(line: string): void {
    this.#emit('log', line);
  }

  #emit<E extends keyof ServerEvents>(event: E, value: ServerEvents[E]): void {
    for (const listener of this.#listeners[event]) {
      try {
        listener(value);
      } catch (error) {
        // A listener's mistake is its own: it surfaces as an uncaught error and cannot stop the server's care.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** Value of an `authorization` header for Basic authentication; works without Buffer. */
export function basicAuthorization(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
