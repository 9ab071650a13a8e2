import { deferred, abortable, type Deferred } from '../core/abort.js';

type State = 'ready' | 'failed' | 'stopped';
type Exit = { readonly code: number | null; readonly signal: string | null };

/** A server in memory that ends and starts. */
export interface StoppableServer {
  readonly url: string;
  readonly version: string;
  readonly connectOptions: { readonly username?: string; readonly password?: string };
  crash(): void;
  restart(): void;
}

/** One process of a server in memory, as a client's handle. */
class MockHandle {
  readonly url: string;
  readonly version: string;
  readonly opencode: 1 | 2;
  readonly pid = undefined;
  readonly isOwned = true;
  readonly authorization: string | undefined;
  readonly closed: Promise<Exit>;
  readonly #server: StoppableServer;
  readonly #closed: Deferred<Exit> = deferred<Exit>();
  readonly #listeners = new Map<string, Set<(value: never) => void>>();
  #state: State = 'ready';

  constructor(server: StoppableServer) {
    const { username = 'opencode', password } = server.connectOptions;
    this.#server = server;
    this.url = server.url;
    this.version = server.version;
    this.opencode = server.version.startsWith('2.') ? 2 : 1;
    this.authorization = password === undefined ? undefined : `Basic ${btoa(`${username}:${password}`)}`;
    this.closed = this.#closed.promise;
  }

  get state(): State {
    return this.#state;
  }

  on(event: string, listener: (value: never) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Ends it like a process that is killed. */
  crash(): void {
    this.#end('failed', { code: null, signal: 'SIGKILL' });
  }

  async restart(): Promise<void> {
    this.#server.crash();
    this.#server.restart();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#end('stopped', { code: 0, signal: null });
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #end(state: 'failed' | 'stopped', exit: Exit): void {
    if (this.#state !== 'ready') return;
    this.#state = state;
    this.#server.crash();
    for (const listener of this.#listeners.get('change') ?? [])
      (listener as (change: object) => void)({ state, exit });
    this.#closed.resolve(exit);
  }
}

/** Starts and ends a server in memory, for one member of a fleet. */
export class MockProcess {
  readonly #server: StoppableServer;
  #handle: MockHandle | undefined;
  /** Resolves when the server may start again. */
  #isDown: Deferred<void> | undefined;

  constructor(server: StoppableServer) {
    this.#server = server;
  }

  /** Makes the handle of the next process. */
  readonly open = async (signal: AbortSignal): Promise<MockHandle> => {
    await abortable(this.#isDown?.promise ?? Promise.resolve(), signal);
    this.#server.restart();
    this.#handle = new MockHandle(this.#server);
    return this.#handle;
  };

  /** Ends the process like one that is killed; the next one does not start before `restart()`. */
  crash(): void {
    this.#isDown ??= deferred();
    this.#handle?.crash();
  }

  /** Lets the next process start. */
  restart(): void {
    this.#isDown?.resolve();
    this.#isDown = undefined;
  }
}
