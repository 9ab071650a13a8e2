import { abortable, AbortScope, deferred, within, type Deferred } from '../core/abort.js';
import { DisposeRefusedError, TimeoutError, type ServerLostError } from '../errors.js';
import type { DisposeReason, Hold, HoldKind } from '../core/instance.js';
import { realTime } from '../core/real-time.js';

/** The instance to dispose, as the registry keeps it. */
export interface DisposableInstance {
  readonly directory: string;
  readonly loaded: boolean;
  holds(): readonly Hold[];
  closeGate(): () => void;
  unload(reason: DisposeReason): void;
  /** Notes that it cannot be told whether the instance is still there. */
  setDoubt(detail: string): void;
}

/** One instance, as a forced disposal needs it. */
export interface EndableInstance extends DisposableInstance {
  /** The ids of what the server does there. */
  activityIDs(kind: 'session-busy'): readonly string[];
  /** Keeps new turns away until the returned function is called; what a running one asks for passes. */
  closeTurnGate(): () => void;
  /** Resolves when no turn runs and no session is at work. */
  turnsEnded(): Promise<void>;
  /** Resolves when no request is under way. */
  drained(): Promise<void>;
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

/** What a disposal did. */
export interface Disposal {
  /** `false` when nothing was loaded. */
  readonly disposed: boolean;
  /** The sessions whose work was aborted. */
  readonly aborted: readonly string[];
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
  /** Aborts the work of a session of the directory. */
  readonly abort: (directory: string, sessionID: string, signal: AbortSignal) => Promise<void>;
  /** Resolves when the event stream delivers: without it nobody could tell when a disposal has ended. */
  readonly streamLive: () => Promise<void>;
  /** Is told of every instance that is gone. */
  readonly unloaded: (directory: string, reason: DisposeReason) => void;
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

/** How long aborted work may take to end before its instance is disposed all the same. */
const ABORT_LIMIT_MS = 10_000;
/** An abort can come too early to have an effect; after this long without an end it is repeated. */
const ABORT_AGAIN_MS = 1_000;
/** How long requests under way may take when their instance is disposed by force. */
const DRAIN_LIMIT_MS = 2_000;

const TOLD_BY_SERVER: ReadonlySet<HoldKind> = new Set(['session-busy', 'permission', 'question', 'pty']);

interface Run {
  readonly reason: DisposeReason;
  readonly send: (signal: AbortSignal) => Promise<void>;
  readonly timeoutMs?: number | false | undefined;
  /** The one instance, when what holds it is to be ended instead of kept. */
  readonly forced?: EndableInstance | undefined;
}

/**
 * Disposes instances so that nobody notices: never while something holds them, and with a closed gate until the server
 * tells that the instance is gone, because what is sent in between would meet a dying instance.
 *
 * One race is left that no client can close: between the last look and the call to dispose, another client of the same
 * server may begin a turn, and the server aborts it without a word. That client's turn then ends as interrupted.
 */
export class Disposer {
  readonly #init: DisposerInit;
  readonly #timeoutMs: number;
  readonly #running = new Map<string, Promise<Disposal>>();
  /** Resolves when the disposal of every instance that is under way has ended: there is no other meanwhile. */
  #all: Promise<void> | undefined;
  /** Disposals that were sent and whose end is not told yet. */
  readonly #pending = new Map<string, Deferred<void>>();
  /** Disposals whose end was not told in time: it may be told yet. */
  readonly #overdue = new Map<string, DisposeReason>();
  /** The limits of the disposals under way. */
  readonly #limits = new Set<AbortScope>();

  constructor(init: DisposerInit) {
    this.#init = init;
    this.#timeoutMs = init.timeoutMs ?? DISPOSE_TIMEOUT_MS;
  }

  /** Takes note of `server.instance.disposed`. */
  disposed(instance: DisposableInstance): void {
    const { directory } = instance;
    const pending = this.#pending.get(directory);
    if (pending === undefined) this.#unload(instance, this.#overdue.get(directory) ?? 'external');
    else pending.resolve();
    this.#overdue.delete(directory);
  }

  /**
   * Disposes an instance. Concurrent callers share one disposal, and a caller whose `signal` aborts only stops waiting for
   * it.
   *
   * @throws {DisposeRefusedError} when something holds it.
   * @throws {TimeoutError} when its end is not told in time.
   */
  async dispose(
    instance: DisposableInstance,
    reason: DisposeReason,
    options: DisposalOptions = {},
  ): Promise<Disposal> {
    const { signal } = options;
    while (this.#all !== undefined) await abortable(this.#all, signal);
    const running = this.#running.get(instance.directory);
    if (running !== undefined) return abortable(running, signal);
    if (!instance.loaded) return { disposed: false, aborted: [] };
    signal?.throwIfAborted();
    this.#refuseOwnHolds([instance]);
    return this.#start(instance, reason, options);
  }

  /**
   * Disposes an instance whatever holds it: aborts the work of its sessions, waits for that and for requests under way to
   * end, and disposes.
   *
   * @throws {TimeoutError} when its end is not told in time.
   */
  async force(instance: EndableInstance, options: DisposalOptions = {}): Promise<Disposal> {
    const { signal } = options;
    for (;;) {
      while (this.#all !== undefined) await abortable(this.#all, signal);
      const running = this.#running.get(instance.directory);
      if (running === undefined) break;
      try {
        return await abortable(running, signal);
      } catch (error) {
        if (!(error instanceof DisposeRefusedError)) throw error;
      }
    }
    if (!instance.loaded) return { disposed: false, aborted: [] };
    signal?.throwIfAborted();
    return this.#start(instance, 'forced', options, instance);
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
    // While some end, others may begin.
    while (this.#all !== undefined || this.#running.size > 0)
      await abortable(Promise.allSettled([this.#all, ...this.#running.values()]), signal);
    this.#refuseOwnHolds(instances.list());
    const disposal = this.#run(instances, { reason: 'server', send, timeoutMs });
    const forget = (): void => {
      this.#all = undefined;
    };
    this.#all = disposal.then(forget, forget);
    await abortable(disposal, signal);
  }

  /**
   * Runs a restart of the server, guarded like a disposal of every instance, with everybody waiting at the gate.
   *
   * @throws {DisposeRefusedError} when something holds an instance and `force` is not set; nothing was restarted then.
   */
  async restart(instances: DisposableInstances, run: () => Promise<void>, force: boolean): Promise<void> {
    // Forced, it ends the disposals under way too.
    while (!force && (this.#all !== undefined || this.#running.size > 0))
      await Promise.allSettled([this.#all, ...this.#running.values()]);
    if (force) return run();
    this.#refuseOwnHolds(instances.list());
    const restarting = this.#restart(instances, run);
    const forget = (): void => {
      this.#all = undefined;
    };
    this.#all = restarting.then(forget, forget);
    await restarting;
  }

  /** The server has ended, and every instance with it: ends all that waits for one. */
  lose(error: ServerLostError): void {
    this.#overdue.clear();
    for (const limit of this.#limits) limit.abort(error);
  }

  async #restart(instances: DisposableInstances, run: () => Promise<void>): Promise<void> {
    const limit = new AbortScope([this.#init.closed], {
      timeoutMs: this.#timeoutMs,
      reason: (timeoutMs) => new TimeoutError('Asking before the restart', { phase: 'dispose', timeoutMs }),
    });
    const { signal } = limit;
    const openGate = instances.closeGate();
    try {
      await abortable(this.#init.streamLive(), signal);
      await this.#refuseBusy(instances, signal);
      await run();
    } finally {
      limit.end();
      openGate();
    }
  }

  #start(
    instance: DisposableInstance,
    reason: DisposeReason,
    options: DisposalOptions,
    forced?: EndableInstance,
  ): Promise<Disposal> {
    const { directory } = instance;
    const { timeoutMs, send = (limit) => this.#init.send(directory, limit) } = options;
    const disposal = this.#run(
      { list: () => (instance.loaded ? [instance] : []), closeGate: () => instance.closeGate() },
      { reason, send, timeoutMs, forced },
    );
    this.#running.set(directory, disposal);
    const forget = (): boolean => this.#running.delete(directory);
    disposal.then(forget, forget);
    return abortable(disposal, options.signal);
  }

  async #run(instances: DisposableInstances, run: Run): Promise<Disposal> {
    const { reason, send, timeoutMs = this.#timeoutMs, forced } = run;
    const limit = new AbortScope([this.#init.closed], {
      timeoutMs,
      reason: (limitMs) => timeoutError(instances, limitMs),
    });
    const { signal } = limit;
    this.#limits.add(limit);
    const openTurnGate = forced?.closeTurnGate();
    let openGate: (() => void) | undefined;
    let doomed: readonly DisposableInstance[] = [];
    let aborted: readonly string[] = [];
    try {
      // Nobody has to wait at the gate for the stream.
      await abortable(this.#init.streamLive(), signal);
      if (forced !== undefined) aborted = await this.#abortWork(forced, signal);
      openGate = instances.closeGate();
      if (forced !== undefined) await within(DRAIN_LIMIT_MS, forced.drained(), signal);
      else await this.#refuseBusy(instances, signal);
      doomed = instances.list();
      const gone = doomed.map((instance) => this.#awaitEnd(instance));
      if (doomed.length > 0 || reason === 'server') await send(signal);
      await abortable(Promise.all(gone), signal);
      for (const instance of doomed) this.#unload(instance, reason);
      return { disposed: doomed.length > 0, aborted };
    } catch (error) {
      for (const instance of doomed.filter(({ loaded }) => loaded)) {
        this.#overdue.set(instance.directory, reason);
        instance.setDoubt('nobody told the end of its disposal');
      }
      throw error;
    } finally {
      for (const { directory } of doomed) this.#pending.delete(directory);
      limit.end();
      this.#limits.delete(limit);
      openGate?.();
      openTurnGate?.();
    }
  }

  #unload(instance: DisposableInstance, reason: DisposeReason): void {
    if (!instance.loaded) return;
    instance.unload(reason);
    this.#init.unloaded(instance.directory, reason);
  }

  #awaitEnd({ directory }: DisposableInstance): Promise<void> {
    const ending = deferred();
    this.#pending.set(directory, ending);
    this.#overdue.delete(directory);
    return ending.promise;
  }

  /** Behind the gate: whoever came to it has a hold by now, and so has what the server tells of. */
  async #refuseBusy(instances: DisposableInstances, signal: AbortSignal): Promise<void> {
    for (const { directory } of instances.list()) await this.#init.confirm(directory, signal);
    this.#refuseHeld(instances.list());
  }

  /** Aborts every session at work, again if need be, and returns which they were. */
  async #abortWork(instance: EndableInstance, signal: AbortSignal): Promise<string[]> {
    const { directory } = instance;
    const aborted = new Set<string>();
    const giveUpAt = realTime.now() + ABORT_LIMIT_MS;
    do {
      // What cannot be read cannot be spared either.
      await this.#init.confirm(directory, signal).catch(() => signal.throwIfAborted());
      const sessionIDs = instance.activityIDs('session-busy');
      for (const sessionID of sessionIDs) aborted.add(sessionID);
      await Promise.allSettled(sessionIDs.map((id) => this.#init.abort(directory, id, signal)));
      if (await within(ABORT_AGAIN_MS, instance.turnsEnded(), signal)) break;
    } while (realTime.now() < giveUpAt);
    return [...aborted];
  }

  /** What the server told of does not count yet: it is read again first, because the event of its end may be late. */
  #refuseOwnHolds(instances: readonly DisposableInstance[]): void {
    const isOwn = ({ kind }: Hold): boolean => !TOLD_BY_SERVER.has(kind) && kind !== 'unknown';
    this.#refuseHeld(instances.filter((instance) => instance.holds().some(isOwn)));
  }

  #refuseHeld(instances: readonly DisposableInstance[]): void {
    for (const instance of instances) {
      const holds = instance.holds();
      if (holds.length > 0) throw new DisposeRefusedError(instance.directory, holds);
    }
  }
}

function timeoutError(instances: DisposableInstances, timeoutMs: number): TimeoutError {
  const directories = instances.list().map(({ directory }) => JSON.stringify(directory));
  return new TimeoutError(`Disposing the instance of ${directories.join(', ')}`, {
    phase: 'dispose',
    timeoutMs,
  });
}
