import type { UseContext, UseOptions } from '../client/repo/use.js';
import { AbortScope, deferred, type Deferred } from '../core/abort.js';
import type { AsyncContext } from '../core/async-context.js';
import type { UseCounts } from '../core/instance.js';
import { TimeoutError, UseDeadlockError, type ClosedError, type UseWait } from '../errors.js';
import type { InstanceEntry } from '../registry/instance-entry.js';

/** The repositories that have a place. */
export interface Places {
  readonly size: number;
  has(entry: InstanceEntry): boolean;
}

/** What the admission needs from outside. */
export interface AdmissionInit {
  /** How many repositories may have a place at a time; `Infinity` for no limit. */
  readonly maxPlaces: number;
  /** Disposes instances until all that have a place may be loaded. Never rejects. */
  readonly makeRoom: (places: Places) => Promise<void>;
  /** Knows which use a call is made in, and who else gives places: a use of one server may wait inside that of another. */
  readonly nesting: UseNesting;
  /** Ends every use with its reason. */
  readonly closed: AbortSignal;
}

/** What the servers of one fleet, or a server alone, know of uses inside uses. */
export interface UseNesting {
  /** Knows which use a call is made in; `undefined` where that cannot be known. */
  readonly context: AsyncContext<Use> | undefined;
  /** Those that give places to the uses of each server. */
  readonly admissions: Set<Admission>;
}

/** One call of `repo.use()`. */
export interface Use {
  readonly entry: InstanceEntry;
  readonly priority: number;
  /** The use whose function made the call. */
  readonly parent: Use | undefined;
  /** Resolves when the function may be called. */
  readonly admitted: Deferred<void>;
  state: 'queued' | 'admitted' | 'running' | 'over';
  /** Releases the hold on the instance. */
  release: (() => void) | undefined;
}

/** The place of one repository. */
interface Place {
  readonly uses: Set<Use>;
  /** Resolves when there is room for the instance. */
  readonly ready: Promise<void>;
}

/**
 * Lets the functions of `repo.use()` run while their repository has a place. A place belongs to a repository: all its uses share
 * it, and it becomes free when the last of them ends. Who gets it next is up to the priority, then to the order of the calls.
 */
export class Admission {
  readonly #init: AdmissionInit;
  readonly #places = new Map<InstanceEntry, Place>();
  /** Uses of repositories without a place, the next one first. */
  #queue: Use[] = [];
  /** Why no further use begins. */
  #refusal: ClosedError | undefined;

  constructor(init: AdmissionInit) {
    this.#init = init;
    init.nesting.admissions.add(this);
  }

  /** How many uses of a repository run and wait. */
  countsOf(entry: InstanceEntry): UseCounts {
    const uses = [...(this.#places.get(entry)?.uses ?? [])];
    const running = uses.filter(({ state }) => state === 'running').length;
    const queued = this.#queue.filter((use) => use.entry === entry).length;
    return { running, waiting: queued + uses.length - running };
  }

  /**
   * Calls `work` when the repository has a place, and holds its instance until `work` has ended or the use is cut short.
   *
   * @throws {UseDeadlockError} when no place can become free for it.
   * @throws {TimeoutError} when `work` takes longer than `timeoutMs`.
   */
  async run<T>(
    entry: InstanceEntry,
    work: (context: UseContext) => T | PromiseLike<T>,
    { signal, priority = 0, timeoutMs = false }: UseOptions = {},
  ): Promise<T> {
    const { nesting, closed } = this.#init;
    const { context } = nesting;
    const scope = new AbortScope([closed, signal], {
      timeoutMs,
      // An application waits for it: its fake timers count.
      timers: globalThis,
      reason: (limitMs) =>
        new TimeoutError(`The use of ${JSON.stringify(entry.directory)}`, {
          phase: 'use',
          timeoutMs: limitMs,
        }),
    });
    const startLimit = scope.suspendLimit();
    const parent = context?.get();
    const use: Use = {
      entry,
      priority,
      parent,
      admitted: deferred(),
      state: 'queued',
      release: undefined,
    };
    try {
      scope.signal.throwIfAborted();
      this.#enter(use);
      await scope.race(use.admitted.promise);
      use.state = 'running';
      startLimit();
      const call = async (): Promise<T> => work({ signal: scope.signal });
      return await scope.race(context === undefined ? call() : context.run(use, call));
    } finally {
      scope.end();
      this.#leave(use);
    }
  }

  /** Rejects the uses that wait, and all that come, but for those inside a running use of the same repository. */
  refuseNew(reason: ClosedError): void {
    this.#refusal = reason;
    const admitted = [...this.#places.values()].flatMap(({ uses }) => [...uses]);
    for (const use of [...this.#queue, ...admitted]) if (use.state !== 'running') use.admitted.reject(reason);
  }

  /** Whether a use belongs to one that runs. Where nobody knows what a call is made in, any that runs there counts. */
  #goesOn({ entry, parent }: Use, place: Place | undefined): boolean {
    const running = [...(place?.uses ?? [])].filter(isRunning);
    if (this.#init.nesting.context === undefined) return running.length > 0;
    for (let outer = parent; outer !== undefined; outer = outer.parent)
      if (outer.entry === entry && running.includes(outer)) return true;
    return false;
  }

  #enter(use: Use): void {
    const place = this.#places.get(use.entry);
    if (this.#refusal !== undefined && !this.#goesOn(use, place)) throw this.#refusal;
    if (place !== undefined) return join(place, use);
    const position = this.#queue.findLastIndex(({ priority }) => priority >= use.priority) + 1;
    this.#queue.splice(position, 0, use);
    this.#admitNext();
    if (use.state === 'queued') this.#assertNoDeadlock(use);
  }

  #leave(use: Use): void {
    if (use.state === 'queued') this.#queue = this.#queue.filter((other) => other !== use);
    use.state = 'over';
    use.release?.();
    const place = this.#places.get(use.entry);
    if (place?.uses.delete(use) !== true || place.uses.size > 0) return;
    this.#places.delete(use.entry);
    this.#admitNext();
  }

  /** Gives the free places to the repositories of those that have waited longest. */
  #admitNext(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const { entry } = next;
      if (this.#places.size >= this.#init.maxPlaces) return;
      const { promise: ready, resolve } = deferred();
      const place: Place = { uses: new Set(), ready };
      this.#places.set(entry, place);
      for (const use of this.#queue) if (use.entry === entry) join(place, use);
      this.#queue = this.#queue.filter((use) => use.entry !== entry);
      void this.#init.makeRoom(this.#places).then(resolve);
    }
  }

  /**
   * Refuses a use that nobody could ever end the waiting of: each place of its server belongs to a repository with a use that waits for a place
   * itself, here or on another server whose places all are waiting too.
   *
   * @throws {UseDeadlockError}
   */
  #assertNoDeadlock(use: Use): void {
    if (!isRunning(use.parent)) return;
    const { admissions } = this.#init.nesting;
    const stuck = new Set(admissions);
    for (let before = Number.POSITIVE_INFINITY; stuck.size < before;) {
      before = stuck.size;
      const waitsFor = waitsOf(stuck);
      for (const admission of stuck)
        if (!admission.#waits(waitsFor).every(({ waitsFor: wanted }) => wanted !== undefined))
          stuck.delete(admission);
    }
    if (!stuck.has(this)) return;
    const waitsFor = waitsOf(stuck);
    const waits = [...stuck].flatMap((admission) => admission.#waits(waitsFor));
    throw new UseDeadlockError(use.entry.directory, waits as readonly UseWait[]);
  }

  /** The places, each with the repository that a use of it waits for. A place that is free counts as one that waits for nothing. */
  #waits(waitsFor: ReadonlyMap<Use, string>): { directory: string; waitsFor: string | undefined }[] {
    const waits = [...this.#places].map(([{ directory }, { uses }]) => ({
      directory,
      waitsFor: [...uses].map((holder) => waitsFor.get(holder)).find((wanted) => wanted !== undefined),
    }));
    return this.#places.size < this.#init.maxPlaces
      ? [...waits, { directory: '', waitsFor: undefined }]
      : waits;
  }

  /** The uses that wait for a place, each with what waits: a use that runs, and the repository it wants. */
  *waiting(): Generator<readonly [Use, string]> {
    for (const { parent, entry } of this.#queue)
      for (let outer = parent; isRunning(outer); outer = outer.parent) yield [outer, entry.directory];
  }
}

/** What the uses that run wait for, as far as these servers give the places. */
function waitsOf(admissions: Iterable<Admission>): Map<Use, string> {
  return new Map([...admissions].flatMap((admission) => [...admission.waiting()]));
}

/** Lets a use share a place. */
function join(place: Place, use: Use): void {
  use.state = 'admitted';
  use.release = use.entry.hold('use', 'use()');
  place.uses.add(use);
  void place.ready.then(use.admitted.resolve);
}

function isRunning(use: Use | undefined): use is Use {
  return use?.state === 'running';
}
