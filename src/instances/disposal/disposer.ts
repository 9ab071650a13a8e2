import { abortable, AbortScope, deferred, type Deferred } from '../../core/abort.js';
import type { DisposeReason } from '../../core/instance.js';
import { untraced, type Tracing } from '../../core/tracing.js';
import { DisposeRefusedError, TimeoutError, type ServerLostError } from '../../errors.js';
import type { DisposableInstance, DisposableInstances, EndableInstance } from './disposable.js';
import { DisposalsUnderWay, type Disposal } from './disposals-under-way.js';
import { ForcedDisposal } from './forced-disposal.js';
import { refuseBusy, refuseOwnHolds } from './refusal.js';

/** How one disposal differs from the usual. */
export interface DisposalOptions {
  /** Ends the waiting, not the disposal. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds the disposal may take, or `false` for no limit. @default the limit of the disposer */
  readonly timeoutMs?: number | false | undefined;
  /**
   * Makes the server dispose.
   *
   * @default `POST /instance/dispose`
   */
  readonly send?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Called when this call has disposed the instance, before the gate opens. Not called when it shares the disposal of another caller. */
  readonly behindGate?: (() => void) | undefined;
}

/** How every instance is disposed. */
export interface AllDisposalOptions extends DisposalOptions {
  readonly send: (signal: AbortSignal) => Promise<void>;
}

/** How the disposer talks to the server. */
export interface DisposerInit {
  /**
   * Reads what the server does in a directory and makes it the holds of the instance. Rejects when it cannot be read: the instance is
   * kept then.
   */
  readonly confirm: (directory: string, signal: AbortSignal) => Promise<void>;
  /** Sends `POST /instance/dispose` for the directory. */
  readonly send: (directory: string, signal: AbortSignal) => Promise<void>;
  /** Aborts the work of a session of the directory. */
  readonly abort: (directory: string, sessionID: string, signal: AbortSignal) => Promise<void>;
  /** Resolves when the event stream delivers: without it nobody knows when a disposal has ended. */
  readonly streamLive: () => Promise<void>;
  /** Called for every instance that is gone. */
  readonly unloaded: (directory: string, reason: DisposeReason) => void;
  /** Ends every disposal with its reason. */
  readonly closed: AbortSignal;
  /** Milliseconds a disposal may take. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  /** Publishes the begin and the end of each disposal. @default nobody can listen */
  readonly tracing?: Tracing | undefined;
  /** @default none */
  readonly underWay?: DisposalsUnderWay | undefined;
}

/** How many milliseconds a disposal may take. An MCP server that ignores the end of its stdin costs the server 2 s, one after the other. */
export const DISPOSE_TIMEOUT_MS = 30_000;

const notLoaded = (): Disposal => ({ disposed: false, aborted: [] });

/** One disposal to carry out. */
interface DisposalPlan {
  readonly reason: DisposeReason;
  readonly send: (signal: AbortSignal) => Promise<void>;
  readonly timeoutMs?: number | false | undefined;
  readonly behindGate?: (() => void) | undefined;
  /** The one instance, when what holds it is ended instead of kept. */
  readonly forced?: EndableInstance | undefined;
}

/**
 * Disposes instances so that nobody notices: never while something holds them, and with a closed gate until the server
 * reports that the instance is gone, because a request in between would meet a dying instance.
 *
 * One race is left that no client can close: between the last question and the call to dispose, another client of the same
 * server may begin a turn, and the server aborts it silently. That client's turn then ends as interrupted.
 */
export class Disposer {
  readonly #init: DisposerInit;
  readonly #timeoutMs: number;
  readonly #underWay: DisposalsUnderWay;
  /** Resolves, for each directory, when the server reports the end of an instance whose disposal was sent. */
  readonly #pending = new Map<string, Deferred<void>>();
  /** Disposals whose end was not reported in time, by directory; it may still come. */
  readonly #overdue = new Map<string, DisposeReason>();
  /** The time limits of the disposals under way. */
  readonly #limits = new Set<AbortScope>();

  constructor(init: DisposerInit) {
    this.#init = init;
    this.#timeoutMs = init.timeoutMs ?? DISPOSE_TIMEOUT_MS;
    this.#underWay = init.underWay ?? new DisposalsUnderWay();
  }

  /** Notes that the server reported the end of an instance. */
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
   * @throws {TimeoutError} when the server does not report its end in time.
   */
  async dispose(
    instance: DisposableInstance,
    reason: DisposeReason,
    options: DisposalOptions = {},
  ): Promise<Disposal> {
    const { signal } = options;
    return this.#underWay.whenNoneOfAll(signal, () => {
      const underWay = this.#underWay.of(instance.directory);
      if (underWay !== undefined) return abortable(underWay, signal);
      if (!instance.loaded) return notLoaded();
      signal?.throwIfAborted();
      refuseOwnHolds([instance]);
      return this.#start(instance, reason, options);
    });
  }

  /**
   * Disposes an instance whatever holds it: aborts the work of its sessions, waits for that and for requests under way to
   * end, and disposes.
   *
   * @throws {TimeoutError} when the server does not report its end in time.
   */
  async force(instance: EndableInstance, options: DisposalOptions = {}): Promise<Disposal> {
    const { signal } = options;
    return this.#underWay.whenNoneOfAll(signal, async () => {
      const underWay = this.#underWay.of(instance.directory);
      if (underWay === undefined) {
        if (!instance.loaded) return notLoaded();
        signal?.throwIfAborted();
        return this.#start(instance, 'forced', options, instance);
      }
      try {
        return await abortable(underWay, signal);
      } catch (error) {
        if (!(error instanceof DisposeRefusedError)) throw error;
        return this.force(instance, options);
      }
    });
  }

  /**
   * Disposes every instance with one call to the server, as carefully as each alone, with everybody waiting at the gate.
   *
   * @throws {DisposeRefusedError} when something holds one of them; none is disposed then.
   * @throws {TimeoutError} when the server does not report their end in time.
   */
  async disposeAll(instances: DisposableInstances, options: AllDisposalOptions): Promise<void> {
    const { signal, send, timeoutMs } = options;
    signal?.throwIfAborted();
    await this.#underWay.whenNone(signal, () => {
      refuseOwnHolds(instances.list());
      const disposal = this.#carryOut(instances, { reason: 'server', send, timeoutMs });
      this.#underWay.addOfAll(disposal);
      return abortable(disposal, signal);
    });
  }

  /** Ends every disposal: the server has ended, and every instance with it. */
  lose(error: ServerLostError): void {
    this.#overdue.clear();
    for (const limit of this.#limits) limit.abort(error);
  }

  #start(
    instance: DisposableInstance,
    reason: DisposeReason,
    options: DisposalOptions,
    forced?: EndableInstance,
  ): Promise<Disposal> {
    const { directory } = instance;
    const { timeoutMs, behindGate, send = (limit) => this.#init.send(directory, limit) } = options;
    const disposal = this.#carryOut(
      { list: () => (instance.loaded ? [instance] : []), closeGate: () => instance.closeGate() },
      { reason, send, timeoutMs, behindGate, forced },
    );
    this.#underWay.add(directory, disposal);
    return abortable(disposal, options.signal);
  }

  #carryOut(instances: DisposableInstances, plan: DisposalPlan): Promise<Disposal> {
    const { tracing = untraced } = this.#init;
    if (!tracing.isTraced('disposal')) return this.#carryOutUntraced(instances, plan);
    const directories = instances.list().map(({ directory }) => directory);
    const { reason } = plan;
    return tracing.trace('disposal', { directories, reason }, () => this.#carryOutUntraced(instances, plan));
  }

  async #carryOutUntraced(instances: DisposableInstances, plan: DisposalPlan): Promise<Disposal> {
    const { confirm, streamLive, closed } = this.#init;
    const { reason, send, timeoutMs = this.#timeoutMs } = plan;
    const limit = new AbortScope([closed], {
      timeoutMs,
      reason: (limitMs) => timeoutError(instances, limitMs),
    });
    const { signal } = limit;
    this.#limits.add(limit);
    const forced = plan.forced && new ForcedDisposal(plan.forced, this.#init);
    let openGate: (() => void) | undefined;
    let doomed: readonly DisposableInstance[] = [];
    let aborted: readonly string[] = [];
    try {
      // Nobody has to wait at the gate for the stream.
      await abortable(streamLive(), signal);
      if (forced !== undefined) aborted = await forced.abortWork(signal);
      openGate = instances.closeGate();
      await (forced?.drain(signal) ?? refuseBusy(instances, confirm, signal));
      doomed = instances.list();
      const gone = doomed.map((instance) => this.#awaitEnd(instance));
      if (doomed.length > 0 || reason === 'server') await send(signal);
      await abortable(Promise.all(gone), signal);
      for (const instance of doomed) this.#unload(instance, reason);
      plan.behindGate?.();
      return { disposed: doomed.length > 0, aborted };
    } catch (error) {
      for (const instance of doomed.filter(({ loaded }) => loaded)) {
        this.#overdue.set(instance.directory, reason);
        instance.markUnknown('nobody told the end of its disposal');
      }
      throw error;
    } finally {
      for (const { directory } of doomed) this.#pending.delete(directory);
      limit.end();
      this.#limits.delete(limit);
      openGate?.();
      forced?.end();
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
}

function timeoutError(instances: DisposableInstances, timeoutMs: number): TimeoutError {
  const directories = instances.list().map(({ directory }) => JSON.stringify(directory));
  return new TimeoutError(`Disposing the instance of ${directories.join(', ')}`, {
    phase: 'dispose',
    timeoutMs,
  });
}
