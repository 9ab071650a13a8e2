import type { ListedAsks } from '../client/asks/api.js';
import type { EventHub, HubObserver } from '../client/events/hub.js';
import type { Http } from '../client/http/http.js';
import type { RepoTransport } from '../client/http/repo-transport.js';
import { assertRequestOptions, parseTimeoutMs, type RequestOptions } from '../client/http/request-options.js';
import { sendDispose, sendDisposeAll } from '../client/instances/api.js';
import { INSTANCE_DISPOSED, isActivityEvent, isAftermath } from '../client/instances/events.js';
import { disposeOptionChecks, type DisposeOptions } from '../client/repo/repo-client.js';
import type { UseContext, UseOptions } from '../client/repo/use.js';
import type { DirectoryChange, OpenCodeEvent } from '../client/schema/event.js';
import { sendAbort } from '../client/turns/abort.js';
import { assertOptions } from '../core/checks.js';
import { systemClock, type Clock } from '../core/clock.js';
import type {
  DisposeReason,
  DisposeResult,
  HoldKind,
  InstanceDecision,
  ProcessUsage,
  RepoOverview,
  RepoStats,
  TreeUsage,
} from '../core/instance.js';
import type { Logger } from '../core/logger.js';
import type { Tracing } from '../core/tracing.js';
import { DisposeRefusedError, type ClosedError, type ServerLostError } from '../errors.js';
import type { InstanceEntry } from '../registry/instance-entry.js';
import { InstanceRegistry } from '../registry/instance-registry.js';
import { applyEvent } from './activity-events.js';
import { ActivityReader } from './activity-reader.js';
import { Admission, type UseNesting } from './admission.js';
import { Decisions } from './decisions.js';
import type { DisposableInstances } from './disposal/disposable.js';
import { DisposalsUnderWay } from './disposal/disposals-under-way.js';
import { DISPOSE_TIMEOUT_MS, Disposer, type DisposalOptions } from './disposal/disposer.js';
import { GapResync } from './gap-resync.js';
import { GuardedRestart } from './disposal/guarded-restart.js';
import { IdleClock, type IdleOutcome } from './idle-clock.js';
import { parseIdlePolicy, type IdlePolicy } from './idle-policy.js';
import { InstanceLoader } from './instance-loader.js';
import { syncLoaded } from './loaded-sync.js';
import { Scheduler } from './scheduler.js';
import { StaleWatch } from './stale-watch.js';

/** What the control of instances needs from the client around it. */
export interface InstanceControlInit {
  readonly http: Http;
  readonly hub: Pick<EventHub, 'connect' | 'isLive'>;
  /** Sends the requests of one directory, each with a hold. */
  readonly transportOf: (entry: InstanceEntry) => RepoTransport;
  /** Milliseconds loading one instance may take, or `false`. */
  readonly bootTimeoutMs: number | false;
  /** Whether the server is ours: then so is every instance it loads, whoever asked for it. */
  readonly ownsServer: boolean;
  readonly idle: IdlePolicy | false | undefined;
  readonly clock: Clock | undefined;
  /** Knows which `use()` a call is made in, also across the servers of a fleet. */
  readonly useNesting: UseNesting;
  /** Aborts when the client can do no more. */
  readonly closed: AbortSignal;
  readonly logger: Logger;
  /** Returns what the processes of the server use now; `undefined` when it is not known. */
  readonly usage: () => TreeUsage | undefined;
  /** Whether anything was heard of a session of the server, e.g. as the answer to a call that created it. */
  readonly knowsSession: (sessionID: string) => boolean;
  /** Refuses a directory that has become another one: the server would take what is done to it for the other. */
  readonly assertSame: (directory: string) => void;
  /** Refuses a directory that another server of the fleet has. @throws {RepoPlacedError} @default every directory is of this server */
  readonly admit?: ((directory: string) => void) | undefined;
  /** Takes what the sessions of a directory wait for, as read again after a gap; `undefined` when reading failed. */
  readonly asksReread: (directory: string, asks: ListedAsks | undefined) => void;
  /** Publishes the begin and the end of each disposal. @default nobody can listen */
  readonly tracing?: Tracing | undefined;
  /** Publishes a decision for diagnosis. */
  readonly publish: (decision: InstanceDecision) => void;
}

const NO_PROCESSES: ProcessUsage = { count: 0, rssBytes: 0 };

/** What runs for this client, and, on a server of its own, what the server does for anybody. */
const WORK: ReadonlySet<HoldKind> = new Set(['request', 'turn', 'use']);
const SERVER_WORK: ReadonlySet<HoldKind> = new Set([...WORK, 'session-busy']);

const STREAM_DOWN = 'the event stream is not connected';

/** The instances of one server: what is known of them, what keeps them loaded, and how they are disposed. */
export class InstanceControl implements HubObserver {
  /** How many instances may be loaded at a time; `undefined` where nothing limits them. */
  readonly maxLoaded: number | undefined;
  readonly #init: InstanceControlInit;
  readonly #registry: InstanceRegistry;
  readonly #decisions: Decisions;
  readonly #resync: GapResync;
  readonly #disposer: Disposer;
  readonly #restarter: GuardedRestart;
  /** `undefined` when instances are never disposed for idleness; so are the next two. */
  readonly #idle: IdleClock | undefined;
  readonly #scheduler: Scheduler | undefined;
  readonly #staleWatch: StaleWatch | undefined;
  readonly #admission: Admission;
  readonly #work: ReadonlySet<HoldKind>;
  #isDraining = false;
  /** Every loaded instance, behind one gate. */
  readonly #loaded: DisposableInstances;

  /** @throws {RangeError} for an idle policy out of bounds. */
  constructor(init: InstanceControlInit) {
    this.#init = init;
    const { hub, closed, logger } = init;
    const loader = new InstanceLoader(init);
    const clock = init.clock ?? systemClock;
    this.#decisions = new Decisions({ logger, publish: init.publish, now: () => clock.now() });
    this.#registry = new InstanceRegistry(clock, {
      admit: (entry) => init.admit?.(entry.directory),
      load: (entry, abandoned) => loader.load(entry.directory, abandoned),
      broken: (entry, error) => this.#decisions.broken(entry.directory, error),
      loaded: (entry) => this.#noteLoaded(entry),
      released: (entry) => this.#idle?.released(entry),
      reopened: () => this.#idle?.check(),
    });
    this.#loaded = {
      list: () => [...this.#registry.loadedEntries()],
      closeGate: () => this.#registry.closeGate(),
    };
    const reader = new ActivityReader({
      http: init.http,
      assertSame: init.assertSame,
      onConfirmed: (entry) => this.#staleWatch?.arm(entry),
    });
    this.#resync = new GapResync({ registry: this.#registry, reader, logger, asksReread: init.asksReread });
    const guard = {
      underWay: new DisposalsUnderWay(),
      confirm: async (directory: string, signal: AbortSignal) => {
        await reader.confirm(this.entry(directory), signal);
      },
      streamLive: () => hub.connect(),
      closed,
    };
    this.#restarter = new GuardedRestart(guard);
    this.#disposer = new Disposer({
      ...guard,
      tracing: init.tracing,
      send: (directory, signal) => this.#sendDispose(directory, { signal }),
      abort: (directory, sessionID, signal) =>
        sendAbort(init.transportOf(this.entry(directory)), sessionID, { signal }),
      unloaded: (directory, reason) => this.#decisions.disposed(directory, reason),
    });
    this.#work = init.ownsServer ? SERVER_WORK : WORK;
    const policy = parseIdlePolicy(init.idle);
    this.maxLoaded = policy?.maxLoaded;
    this.#admission = new Admission({
      maxPlaces: this.maxLoaded ?? Number.POSITIVE_INFINITY,
      makeRoom: async (places) => this.#idle?.makeRoom(places),
      nesting: init.useNesting,
      closed,
    });
    if (policy === undefined) return;
    const scheduler = new Scheduler(clock);
    this.#scheduler = scheduler;
    this.#idle = new IdleClock(this.#registry, scheduler, policy, {
      dispose: (entry, reason) => this.#disposeIdle(entry, reason),
      serverRssBytes: () => init.usage()?.total.rssBytes,
    });
    this.#staleWatch = new StaleWatch({
      registry: this.#registry,
      scheduler,
      confirm: (entry, signal) => reader.confirmInTime(entry, signal),
    });
    this.#registry.markUnknown(STREAM_DOWN);
  }

  /** What is known of a directory, made on first use. */
  entry(directory: string): InstanceEntry {
    return this.#registry.entry(directory);
  }

  stats(entry: InstanceEntry): RepoStats {
    return { ...entry.stats(this.#idle?.deadline(entry)), uses: this.#admission.countsOf(entry) };
  }

  overview(): RepoOverview[] {
    const byDirectory = this.#init.usage()?.byDirectory;
    return [...this.#registry.entries()].map((entry) => ({
      ...this.stats(entry),
      processes: byDirectory && (byDirectory.get(entry.directory) ?? NO_PROCESSES),
    }));
  }

  /** Since when no instance is held or being disposed, epoch milliseconds; 0 when none was used, `undefined` while one is. */
  idleSince(): number | undefined {
    let since = 0;
    for (const entry of this.#registry.entries()) {
      if (entry.holds().length > 0 || entry.isDisposing) return undefined;
      since = Math.max(since, entry.lastUsedAt ?? 0);
    }
    return since;
  }

  /** How many instances are loaded, how many of them something holds, and when one was last used, epoch milliseconds. */
  counts(): { readonly loaded: number; readonly held: number; readonly lastUsedAt: number | undefined } {
    const loaded = [...this.#registry.loadedEntries()];
    let lastUsedAt: number | undefined;
    for (const entry of this.#registry.entries()) {
      const usedAt = entry.lastUsedAt;
      if (usedAt !== undefined && (lastUsedAt === undefined || usedAt > lastUsedAt)) lastUsedAt = usedAt;
    }
    const held = loaded.filter((entry) => entry.holds().length > 0).length;
    return { loaded: loaded.length, held, lastUsedAt };
  }

  /** Whether only what belongs to running work is still taken. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Takes nothing any more but what belongs to running work. */
  drain(reason: ClosedError): void {
    this.#isDraining = true;
    this.#admission.refuseNew(reason);
  }

  /** Whether something runs in a repository; see {@link drained}. */
  get isWorking(): boolean {
    return this.#registry.isHeldBy(this.#work);
  }

  /** Resolves when no turn, use or request runs and, on a server of this client, no session is at work. */
  drained(signal?: AbortSignal): Promise<void> {
    return this.#registry.released(this.#work, signal);
  }

  /** Disposes no instance for idleness any more. */
  stop(): void {
    this.#idle?.stop();
    this.#staleWatch?.stop();
    this.#scheduler?.stop();
  }

  /** Whether the instances need an event: it may change one, or it is the first sign of one. */
  wants(type: string, directory: string | undefined): boolean {
    if (directory === undefined) return false;
    const entry = this.#registry.find(directory);
    if (entry === undefined) return this.#init.ownsServer;
    return !entry.loaded || type === INSTANCE_DISPOSED || isActivityEvent(type);
  }

  /** Applies an event to the instance of its directory. */
  event(event: OpenCodeEvent): void {
    if (event.directory === undefined) return;
    // On a server of somebody else, this client only cares for the directories it was asked for.
    const entry = this.#init.ownsServer
      ? this.#registry.entry(event.directory)
      : this.#registry.find(event.directory);
    if (entry === undefined) return;
    if (event.type === INSTANCE_DISPOSED) this.#disposer.disposed(entry);
    else if (entry.loaded || !isAftermath(event.type)) {
      applyEvent(entry, event, this.#init);
      this.#staleWatch?.arm(entry);
    }
  }

  /** The event stream delivers and subscribers were told what was missed, or it broke: then nothing is known for sure. */
  connection(live: boolean): void {
    if (live) {
      this.#resync.streamDelivers();
      this.#registry.clearUnknown();
      if (!this.#init.closed.aborted) this.#staleWatch?.start();
      void syncLoaded({
        ...this.#init,
        registry: this.#registry,
        gone: (entry) => this.#disposer.disposed(entry),
      });
      this.#idle?.retry();
    } else if (this.#resync.streamBroke()) {
      this.#registry.markUnknown(STREAM_DOWN);
      this.#staleWatch?.stop();
    }
  }

  /** Reads again after a gap what is needed, and returns what has changed; see {@link GapResync.resync}. */
  resync(isSubscribed: (directory: string) => boolean, signal: AbortSignal): Promise<DirectoryChange[]> {
    return this.#resync.resync(isSubscribed, signal);
  }

  /**
   * The server has ended: nothing is loaded any more, and nobody waits for the end of a disposal. Returns the ids of the
   * sessions that were at work.
   */
  lose(error: ServerLostError, reason: 'server' | 'external'): string[] {
    const entries = [...this.#registry.loadedEntries()];
    const interrupted = entries.flatMap((entry) => entry.activityIDs('session-busy'));
    for (const entry of entries) {
      this.#resync.endedWithServer(entry.directory);
      entry.unload(reason);
      this.#decisions.goneWithServer(entry.directory, reason);
    }
    for (const entry of this.#registry.entries()) entry.clearError();
    this.#disposer.lose(error);
    return interrupted;
  }

  /**
   * Restarts the server, unless something holds an instance and `force` is not set.
   *
   * @throws {DisposeRefusedError} {@link TimeoutError}
   */
  restart(restart: () => Promise<void>, force: boolean): Promise<void> {
    return this.#restarter.run(this.#loaded, restart, force);
  }

  /** Calls `work` while the repository has a place; see {@link Admission.run}. */
  use<T>(
    entry: InstanceEntry,
    work: (context: UseContext) => T | PromiseLike<T>,
    options?: UseOptions,
  ): Promise<T> {
    return this.#admission.run(entry, work, options);
  }

  /**
   * Disposes the instance, unless something holds it.
   *
   * @throws {DisposeRefusedError} {@link TimeoutError}
   */
  async dispose(
    entry: InstanceEntry,
    options?: DisposeOptions,
    behindGate?: () => void,
  ): Promise<DisposeResult> {
    assertOptions('dispose()', disposeOptionChecks, options);
    const { directory } = entry;
    const limits = {
      ...limitsOf(options),
      behindGate,
      send: (signal: AbortSignal) => this.#sendDispose(directory, ownRequest(options, signal)),
    };
    const reason = options?.force === true ? 'forced' : 'explicit';
    const disposal = await this.#recordingFailure(entry, reason, () =>
      reason === 'forced'
        ? this.#disposer.force(entry, limits)
        : this.#disposer.dispose(entry, reason, limits),
    );
    return { directory, ...disposal };
  }

  /**
   * Disposes the instances of directories, and calls `commit` while nobody uses them: their requests wait until it has returned. Returns
   * the ids of the sessions whose work was aborted.
   *
   * @throws {DisposeRefusedError} when something holds one of them and `force` is not set.
   * @throws {TimeoutError}
   */
  async leave(
    directories: readonly string[],
    commit: () => void,
    options?: DisposeOptions,
  ): Promise<string[]> {
    const entries = directories.map((directory) => this.entry(directory));
    const gates: (() => void)[] = [];
    const aborted: string[] = [];
    const refuseHeld = (entry: InstanceEntry): void => {
      const holds = entry.holds();
      if (options?.force !== true && holds.length > 0) throw new DisposeRefusedError(entry.directory, holds);
    };
    try {
      for (const entry of entries) {
        const count = gates.length;
        const closeGate = (): void => void gates.push(entry.closeMoveGate());
        // A disposal of another caller may be shared: behind its gate somebody may load the instance again.
        while (gates.length === count) {
          if (entry.loaded) aborted.push(...(await this.dispose(entry, options, closeGate)).aborted);
          else {
            refuseHeld(entry);
            closeGate();
          }
        }
      }
      for (const entry of entries) refuseHeld(entry);
      commit();
      return aborted;
    } finally {
      for (const open of gates) open();
    }
  }

  /** Disposes everything that is loaded, behind one gate; `after` runs behind it too. */
  async disposeAll(options?: RequestOptions, after?: (signal: AbortSignal) => Promise<void>): Promise<void> {
    assertRequestOptions(options);
    const send = async (signal: AbortSignal): Promise<void> => {
      await sendDisposeAll(this.#init.http, ownRequest(options, signal));
      await after?.(signal);
    };
    return this.#disposer.disposeAll(this.#loaded, { ...limitsOf(options), send });
  }

  /**
   * Runs a call that makes the server dispose the instance; it takes the place of the dispose call.
   *
   * @param load - makes sure that there is an instance.
   */
  async runAsDisposal<T>(
    entry: InstanceEntry,
    load: () => Promise<void>,
    send: (signal: AbortSignal) => Promise<T>,
    options?: RequestOptions,
  ): Promise<T> {
    assertRequestOptions(options);
    let answer: { readonly value: T } | undefined;
    const replaceDispose = async (signal: AbortSignal): Promise<void> => {
      answer = { value: await send(signal) };
    };
    // A disposal of another caller may be shared, or end first: then `send` was not called yet.
    while (answer === undefined) {
      await load();
      await this.#disposer.dispose(entry, 'server', { signal: options?.signal, send: replaceDispose });
    }
    return answer.value;
  }

  #noteLoaded(entry: InstanceEntry): void {
    if (!this.#init.ownsServer) entry.foreign.loadedElsewhere();
    this.#decisions.loaded(entry.directory);
    if (this.#idle === undefined) return;
    // Without the event stream nobody knows when the instance is idle.
    this.#init.hub.connect().catch(() => undefined);
    this.#idle.check();
  }

  async #sendDispose(directory: string, options: RequestOptions): Promise<void> {
    this.#init.assertSame(directory);
    await sendDispose(this.#init.http, directory, options);
  }

  async #disposeIdle(entry: InstanceEntry, reason: 'idle' | 'cap'): Promise<IdleOutcome> {
    try {
      await this.#recordingFailure(entry, reason, () => this.#disposer.dispose(entry, reason));
      return 'disposed';
    } catch (error) {
      return error instanceof DisposeRefusedError ? 'refused' : 'failed';
    }
  }

  /** Runs a disposal and records why it did not dispose; the end of the client is no such reason. */
  async #recordingFailure<T>(
    { directory }: InstanceEntry,
    reason: DisposeReason,
    dispose: () => Promise<T>,
  ): Promise<T> {
    try {
      return await dispose();
    } catch (error) {
      if (error instanceof DisposeRefusedError || !this.#init.closed.aborted)
        this.#decisions.notDisposed(directory, reason, error);
      throw error;
    }
  }
}

/** The limits that a caller set to a disposal. */
function limitsOf(options: RequestOptions | undefined): Omit<DisposalOptions, 'send'> {
  const timeoutMs = parseTimeoutMs('timeoutMs', options?.timeoutMs, DISPOSE_TIMEOUT_MS);
  return { signal: options?.signal, timeoutMs };
}

/** What a caller chose for the request, with the limits of the disposal it is part of. */
function ownRequest(options: RequestOptions | undefined, signal: AbortSignal): RequestOptions {
  const { headers, retry, maxResponseBytes } = options ?? {};
  return { headers, retry, maxResponseBytes, signal, timeoutMs: false };
}
