import { deferred } from '../../core/abort.js';
import type { ServerExit } from '../process/exit.js';
import { type ServerEvents, type ServerHandle, type ServerState } from './handle.js';
import { ServerEventEmitter } from './server-events.js';

/** A server that somebody else started. Never stops it. */
export class AttachedServer implements ServerHandle {
  readonly url: string;
  readonly version: string;
  readonly pid = undefined;
  declare readonly authorization: string | undefined;
  readonly closed: Promise<ServerExit>;
  readonly #events = new ServerEventEmitter();
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
    this.#events.enter('ready');
  }

  get state(): ServerState {
    return this.#events.state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  restart(): Promise<void> {
    return Promise.reject(
      new TypeError('This server was not started here: only who started it can restart it.'),
    );
  }

  /** Lets go of the server, which goes on. */
  stop(): Promise<void> {
    this.#events.enter('stopped');
    this.#closed.resolve({ code: null, signal: null });
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
