import type { Clock } from '../core/clock.js';
import type { Hold } from '../core/instance.js';
import { Gate } from './gate.js';
import { RepoEntry, type EntryOwner, type LoadOutcome } from './instance-entry.js';

/** What the registry tells when it changes. */
export interface RepoRegistryListener {
  /** Makes the server load an instance, until `abandoned` aborts; rejects when that takes too long. @default it counts as loaded */
  load?(entry: RepoEntry, abandoned: AbortSignal): Promise<LoadOutcome>;
  /** An instance could not be loaded. */
  broken?(entry: RepoEntry, error: Error): void;
  /** An instance became loaded. */
  loaded(entry: RepoEntry): void;
  /** The last hold of a loaded instance is gone. */
  released(entry: RepoEntry): void;
  /** A gate was opened again: what was being disposed may be loaded still. */
  reopened(): void;
}

/** Every directory this process has to do with, and in which order their instances were last used. */
export class RepoRegistry {
  readonly clock: Clock;
  readonly #entries = new Map<string, RepoEntry>();
  /** Loaded instances, least recently used first. */
  readonly #loaded = new Set<RepoEntry>();
  /** Loaded instances that nothing is known to hold, least recently used first. */
  readonly #idle = new Set<RepoEntry>();
  /** Instances that are being loaded. */
  readonly #loading = new Set<RepoEntry>();
  readonly #listener: RepoRegistryListener;
  readonly #gate: Gate;
  readonly #owner: EntryOwner;
  #closedGates = 0;
  #doubt: Hold | undefined;
  #watch = 0;
  #isWatching = false;

  constructor(clock: Clock, listener: RepoRegistryListener) {
    this.clock = clock;
    this.#listener = listener;
    this.#gate = new Gate(() => listener.reopened());
    this.#owner = this.#makeOwner();
  }

  /** The entry of a directory, made on first use. */
  entry(directory: string): RepoEntry {
    let entry = this.#entries.get(directory);
    if (entry === undefined) {
      entry = new RepoEntry(directory, this.#owner);
      this.#entries.set(directory, entry);
    }
    return entry;
  }

  find(directory: string): RepoEntry | undefined {
    return this.#entries.get(directory);
  }

  entries(): IterableIterator<RepoEntry> {
    return this.#entries.values();
  }

  /** Loaded instances, least recently used first. */
  loadedEntries(): ReadonlySet<RepoEntry> {
    return this.#loaded;
  }

  /** Loaded instances that nothing is known to hold, least recently used first. */
  idleEntries(): ReadonlySet<RepoEntry> {
    return this.#idle;
  }

  /**
   * How many instances stay loaded when the disposals under way have ended. One that is being loaded does not count yet: it
   * may turn out that it cannot be.
   */
  get stayingCount(): number {
    return this.#loaded.size - this.#loading.size - this.#closedGates;
  }

  /** Closes the gate of every directory, also of those that are not loaded, until the returned function is called. */
  closeGate(): () => void {
    return this.#gate.close();
  }

  get isGateClosed(): boolean {
    return this.#gate.closed !== undefined;
  }

  /** Notes why nothing can be told of any instance, or `undefined` that the server is watched from now on. */
  setDoubt(detail: string | undefined): void {
    this.#isWatching = detail === undefined;
    this.#watch += 1;
    this.#doubt = detail === undefined ? undefined : { kind: 'unknown', detail, since: this.clock.now() };
  }

  #makeOwner(): EntryOwner {
    return {
      now: () => this.clock.now(),
      gate: () => this.#gate.closed,
      doubt: () => this.#doubt,
      watch: () => (this.#isWatching ? this.#watch : undefined),
      load: async (entry, abandoned) => (await this.#listener.load?.(entry, abandoned)) ?? 'loaded',
      loading: (entry) => this.#loading.add(entry),
      loaded: (entry) => {
        this.#loading.delete(entry);
        this.#listener.loaded(entry);
      },
      broken: (entry, error) => this.#listener.broken?.(entry, error),
      used: (entry) => {
        moveToEnd(this.#loaded, entry);
        if (!entry.isHeld) moveToEnd(this.#idle, entry);
      },
      unloaded: (entry) => {
        this.#loaded.delete(entry);
        this.#loading.delete(entry);
        this.#idle.delete(entry);
      },
      held: (entry, isHeld) => (isHeld ? this.#idle.delete(entry) : this.#released(entry)),
      gated: (isClosed) => {
        this.#closedGates += isClosed ? 1 : -1;
        if (!isClosed) this.#listener.reopened();
      },
    };
  }

  /** A use ends when its last hold does. */
  #released(entry: RepoEntry): void {
    if (!entry.loaded) return;
    entry.lastUsedAt = this.clock.now();
    moveToEnd(this.#loaded, entry);
    moveToEnd(this.#idle, entry);
    this.#listener.released(entry);
  }
}

function moveToEnd<T>(set: Set<T>, item: T): void {
  set.delete(item);
  set.add(item);
}
