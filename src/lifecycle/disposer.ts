import { abortable, AbortScope, deferred, type Deferred } from '../abort.js';
import { DisposeRefusedError, TimeoutError } from '../errors.js';
import type { DisposeReason, Hold } from '../instance.js';
import type { Logger } from '../logger.js';

/** The instance to dispose, as the registry keeps it. */
export interface DisposableInstance {
  readonly directory: string;
  readonly loaded: boolean;
  readonly isHeld: boolean;
  holds(): readonly Hold[];
  closeGate(): () => void;
  unload(reason: DisposeReason): void;
}

/** Some or all instances of a server, with the gate that keeps everybody from them. */
export interface DisposableInstances {
  /** Those that are loaded now. */
  list(): DisposableInstance[];
  closeGate(): () => void;
}

/** How one disposal differs from the usual. */
export interface DisposalOptions {
  /** Ends the waiting, not the disposal. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds the disposal may take, instead of the disposer's own limit. */
  readonly timeoutMs?: number | false | undefined;
  /**
   * Makes the server dispose.
   *
   * @default `POST /instance/dispose`
   */
  readonly send?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

/** How every instance is disposed. */
export interface AllDisposalOptions extends DisposalOptions {
  readonly send: (signal: AbortSignal) => Promise<void>;
}

/** How the disposer talks to the server. */
export interface DisposerInit {
  /**
   * Reads what the server is doing in a loaded directory and notes it as holds. Rejects when that cannot be known: the
   * instance is then kept.
   */
  readonly confirm: (directory: string, signal: AbortSignal) => Promise<void>;
  /** Sends `POST /instance/dispose` for the directory. */
  readonly send: (directory: string, signal: AbortSignal) => Promise<void>;
  /** Resolves when the event stream delivers: without it nobody could tell when a disposal has ended. */
  readonly streamLive: () => Promise<void>;
  readonly logger: Logger;
  /** Ends every disposal with its reason. */
  readonly closed: AbortSignal;
  /**
   * Milliseconds a disposal may take.
   *
   * @default 30_000
   */
  readonly timeoutMs?: number | undefined;
}

/**
 * How long a disposal may take, in milliseconds. An MCP server that ignores the end of its stdin costs the server 2 s, one after the other.
 */
export const DISPOSE_TIMEOUT_MS = 30_000;

/**
 * Disposes instances so that nobody notices: never while something holds them, and with a closed gate until the server
 * tells that the instance is gone, because what is sent in between would meet a dying instance.
 */
export class Disposer {
  readonly #init: DisposerInit;
  readonly #timeoutMs: number;
  readonly #running = new Map<string, Promise<boolean>>();
  /** Disposals that were sent and whose end is not told yet. */
  readonly #pending = new Map<string, Deferred<void>>();

  constructor(init: DisposerInit) {
    this.#init = init;
    this.#timeoutMs = init.timeoutMs ?? DISPOSE_TIMEOUT_MS;
  }

  /** Takes note of `server.instance.disposed`. */
  disposed(instance: DisposableInstance): void {
    const pending = this.#pending.get(instance.directory);
    if (pending === undefined) instance.unload('external');
    else pending.resolve();
  }

  /**
   * Disposes an instance; `false` when there was none to dispose. Concurrent callers share one disposal, and a caller
   * whose `signal` aborts only stops waiting for it.
   *
   * @throws {DisposeRefusedError} when something holds it.
   * @throws {TimeoutError} when its end is not told in time.
   */
  async dispose(
    instance: DisposableInstance,
    reason: DisposeReason,
    options: DisposalOptions = {},
  ): Promise<boolean> {
    const { directory } = instance;
    const { signal, timeoutMs, send = (limit) => this.#init.send(directory, limit) } = options;
    const running = this.#running.get(directory);
    if (running !== undefined) return abortable(running, signal);
    if (!instance.loaded) return false;
    signal?.throwIfAborted();
    this.#refuseOwnHolds([instance]);
    const disposal = this.#run(
      { list: () => (instance.loaded ? [instance] : []), closeGate: () => instance.closeGate() },
      reason,
      send,
      timeoutMs,
    );
    this.#running.set(directory, disposal);
    const forget = (): boolean => this.#running.delete(directory);
    disposal.then(forget, forget);
    return abortable(disposal, signal);
  }

  /**
   * Has one call to the server dispose every instance, guarded like a disposal of each, with everybody waiting at the gate.
   *
   * @throws {DisposeRefusedError} when something holds one of them; none is disposed then.
   * @throws {TimeoutError} when their end is not told in time.
   */
  async disposeAll(instances: DisposableInstances, options: AllDisposalOptions): Promise<void> {
    const { signal, send, timeoutMs } = options;
    signal?.throwIfAborted();
    await abortable(Promise.allSettled(this.#running.values()), signal);
    this.#refuseOwnHolds(instances.list());
    await abortable(this.#run(instances, 'server', send, timeoutMs), signal);
  }

  /** `true` when something was disposed. */
  async #run(
    instances: DisposableInstances,
    reason: DisposeReason,
    send: (signal: AbortSignal) => Promise<void>,
    timeoutMs: number | false = this.#timeoutMs,
  ): Promise<boolean> {
    const limit = new AbortScope([this.#init.closed], {
      timeoutMs,
      reason: (limitMs) => timeoutError(instances, limitMs),
    });
    const openGate = instances.closeGate();
    const pending: string[] = [];
    try {
      await abortable(this.#init.streamLive(), limit.signal);
      for (const { directory } of instances.list()) await this.#init.confirm(directory, limit.signal);
      // Whoever came to the gate meanwhile has a hold, and so has what the server told of.
      const doomed = instances.list();
      this.#refuseHeld(doomed);
      const gone = doomed.map(({ directory }) => {
        const ending = deferred();
        this.#pending.set(directory, ending);
        pending.push(directory);
        return ending.promise;
      });
      if (doomed.length > 0 || reason === 'server') await send(limit.signal);
      await abortable(Promise.all(gone), limit.signal);
      for (const instance of doomed) {
        instance.unload(reason);
        this.#init.logger.info('instance disposed', { directory: instance.directory, reason });
      }
      return doomed.length > 0;
    } finally {
      for (const directory of pending) this.#pending.delete(directory);
      limit.end();
      openGate();
    }
  }

  /** What the server told of does not count yet: it is read again first, because the event of its end may be late. */
  #refuseOwnHolds(instances: readonly DisposableInstance[]): void {
    const isOwn = ({ kind }: Hold): boolean => kind !== 'session-busy' && kind !== 'pty';
    this.#refuseHeld(instances.filter((instance) => instance.holds().some(isOwn)));
  }

  #refuseHeld(instances: readonly DisposableInstance[]): void {
    const held = instances.find((instance) => instance.isHeld);
    if (held === undefined) return;
    throw new DisposeRefusedError(
      held.directory,
      held.holds().map((hold) => `${hold.kind}: ${hold.detail}`),
    );
  }
}

function timeoutError(instances: DisposableInstances, timeoutMs: number): TimeoutError {
  const directories = instances.list().map(({ directory }) => JSON.stringify(directory));
  return new TimeoutError(`Disposing the instance of ${directories.join(', ')}`, {
    phase: 'dispose',
    timeoutMs,
  });
}
