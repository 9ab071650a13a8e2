import { deferred } from '../../core/abort.js';
import {
  ServerSignals,
  type ServerEvents,
  type ServerExit,
  type ServerHandle,
  type ServerState,
} from './handle.js';

/** A server somebody else started: used, and never stopped. */
export class AttachedServer implements ServerHandle {
  readonly url: string;
  readonly version: string;
  readonly pid = undefined;
  declare readonly authorization: string | undefined;
  readonly closed: Promise<ServerExit>;
  readonly #signals = new ServerSignals();
  readonly #closed = deferred<ServerExit>();

  constructor(init: {
    readonly url: string;
    readonly version: string;
    readonly authorization: string | undefined;
  }) {
    this.url = init.url;
    this.version = init.version;
    Object.defineProperty(this, 'authorization', { value: init.authorization, enumerable: false });
    this.closed = this.#closed.promise;
    this.#signals.enter('ready');
  }

  get state(): ServerState {
    return this.#signals.state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    return this.#signals.on(event, listener);
  }

  restart(): Promise<void> {
    return Promise.reject(
      new TypeError('This server was not started here: only who started it can restart it.'),
    );
  }

  /** Lets go of the server, which goes on. */
  stop(): Promise<void> {
    this.#signals.enter('stopped');
    this.#closed.resolve({ code: null, signal: null });
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
