import { abortable, deferred, onAbort, type Deferred } from '../abort.js';
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

/** An MCP server that ignores the end of its stdin costs the server 2 s, one after the other. */
const DISPOSE_TIMEOUT_MS = 30_000;

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
  async dispose(instance: DisposableInstance, reason: DisposeReason, signal?: AbortSignal): Promise<boolean> {
    const running = this.#running.get(instance.directory);
    if (running !== undefined) return abortable(running, signal);
    if (!instance.loaded) return false;
    signal?.throwIfAborted();
    this.#refuseHeld(instance);
    const disposal = this.#run(instance, reason).finally(() => this.#running.delete(instance.directory));
    this.#running.set(instance.directory, disposal);
    return abortable(disposal, signal);
  }

  async #run(instance: DisposableInstance, reason: DisposeReason): Promise<boolean> {
    const { directory } = instance;
    const { closed } = this.#init;
    const limit = new AbortController();
    const detach = onAbort(closed, () => limit.abort(closed.reason));
    const timer = setTimeout(() => limit.abort(this.#timeout(directory)), this.#timeoutMs);
    const openGate = instance.closeGate();
    const gone = deferred();
    try {
      await abortable(this.#init.streamLive(), limit.signal);
      await this.#init.confirm(directory, limit.signal);
      // Whoever came to the gate meanwhile has a hold, and so has what the server told of.
      this.#refuseHeld(instance);
      if (!instance.loaded) return false;
      this.#pending.set(directory, gone);
      await this.#init.send(directory, limit.signal);
      await abortable(gone.promise, limit.signal);
      instance.unload(reason);
      this.#init.logger.info('instance disposed', { directory, reason });
      return true;
    } finally {
      this.#pending.delete(directory);
      clearTimeout(timer);
      detach();
      openGate();
    }
  }

  #refuseHeld(instance: DisposableInstance): void {
    if (!instance.isHeld) return;
    throw new DisposeRefusedError(
      instance.directory,
      instance.holds().map((hold) => `${hold.kind}: ${hold.detail}`),
    );
  }

  #timeout(directory: string): TimeoutError {
    return new TimeoutError(`Disposing the instance of ${JSON.stringify(directory)}`, {
      phase: 'dispose',
      timeoutMs: this.#timeoutMs,
    });
  }
}
