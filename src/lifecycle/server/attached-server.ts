import { deferred } from '../../core/abort.js';
import type { Clock } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import { isMeasuredVersion } from '../../core/version.js';
import type { ServerExit } from '../process/exit.js';
import { HealthMonitor, type ParsedHealthPolicy } from './health.js';
import type { Probe } from './launch/ready.js';
import { type ServerEvents, type ServerHandle, type ServerState } from './handle.js';
import { ServerEventEmitter } from './server-events.js';

/** How a server that somebody else runs is watched. */
export interface AttachedHealth {
  readonly policy: ParsedHealthPolicy;
  readonly probe: Probe;
  readonly logger: Logger;
  readonly clock?: Clock | undefined;
}

/** A server that somebody else started. Never stops it. */
export class AttachedServer implements ServerHandle {
  readonly url: string;
  readonly version: string;
  readonly opencode: 1 | 2;
  readonly isMeasured: boolean;
  readonly pid = undefined;
  declare readonly authorization: string | undefined;
  readonly closed: Promise<ServerExit>;
  readonly #events = new ServerEventEmitter();
  readonly #closed = deferred<ServerExit>();
  readonly #monitor: HealthMonitor | undefined;

  constructor(init: {
    readonly url: string;
    readonly version: string;
    /** @default 1 */
    readonly opencode?: 1 | 2 | undefined;
    readonly authorization: string | undefined;
    /** @default nobody watches it: it counts as ready */
    readonly health?: AttachedHealth | undefined;
  }) {
    this.url = init.url;
    this.version = init.version;
    this.opencode = init.opencode ?? 1;
    this.isMeasured = isMeasuredVersion(init.version);
    Object.defineProperty(this, 'authorization', { value: init.authorization, enumerable: false });
    this.closed = this.#closed.promise;
    this.#events.enter('ready');
    this.#monitor = init.health && this.#watch(init.health);
  }

  get state(): ServerState {
    return this.#events.state;
  }

  on<E extends keyof ServerEvents>(event: E, listener: (value: ServerEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  recordActivity(): void {
    this.#monitor?.recordActivity();
  }

  restart(): Promise<void> {
    return Promise.reject(
      new TypeError('This server was not started here: only who started it can restart it.'),
    );
  }

  /** Lets go of the server, which goes on. */
  stop(): Promise<void> {
    this.#monitor?.stop();
    this.#events.enter('stopped');
    this.#closed.resolve({ code: null, signal: null });
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #watch({ policy, probe, logger, clock }: AttachedHealth): HealthMonitor {
    const { url } = this;
    return new HealthMonitor({
      policy,
      probe,
      clock,
      unhealthy: () => {
        logger.warn('server does not answer', { url });
        this.#events.enter('unhealthy');
      },
      healthy: () => {
        logger.info('server answers again', { url });
        this.#events.enter('ready');
      },
    });
  }
}
