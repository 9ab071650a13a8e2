import { abortable, deferred, type Deferred } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import type { Hold, HoldKind } from '../core/instance.js';
import { Gate } from './gate.js';
import { InstanceEntry, type EntryOwner, type LoadOutcome } from './instance-entry.js';

/** The callbacks of the registry. */
export interface InstanceRegistryListener {
  /**
   * Makes the server load an instance. Gives up when `abandoned` aborts; rejects when loading takes too long. @default
   * every instance counts as loaded
   */
  load?(entry: InstanceEntry, abandoned: AbortSignal): Promise<LoadOutcome>;
  /** Refuses a directory that another server of the fleet has. @throws {RepoPlacedError} @default every directory is of this server */
  admit?(entry: InstanceEntry): void;
  /** An instance could not be loaded. */
  broken?(entry: InstanceEntry, error: Error): void;
  /** An instance became loaded. */
  loaded(entry: InstanceEntry): void;
  /** The last hold of a loaded instance is gone. */
  released(entry: InstanceEntry): void;
  /** A gate opened again. The instance behind it may still be loaded. */
  reopened(): void;
}

/** Every directory known to this client, and the order in which their instances were last used. */
export class InstanceRegistry {
  readonly clock: Clock;
  readonly #entries = new Map<string, InstanceEntry>();
  /** Loaded instances, least recently used first. */
  readonly #loaded = new Set<InstanceEntry>();
  /** Loaded instances that nothing is known to hold, least recently used first. */
  readonly #idle = new Set<InstanceEntry>();
  /** Instances that are being loaded. */
  readonly #loading = new Set<InstanceEntry>();
  readonly #listener: InstanceRegistryListener;
  readonly #gate: Gate;
  readonly #owner: EntryOwner;
  #closedGates = 0;
  /** Resolves when the next hold ends. */
  #holdEnded: Deferred<void> | undefined;
  #unknownHold: Hold | undefined;
  #streamEpoch = 0;
  #isStreamLive = false;

  constructor(clock: Clock, listener: InstanceRegistryListener) {
    this.clock = clock;
    this.#listener = listener;
    this.#gate = new Gate(() => listener.reopened());
    this.#owner = this.#makeOwner();
  }

  /** The entry of a directory; the first call makes it. */
  entry(directory: string): InstanceEntry {
    let entry = this.#entries.get(directory);
    if (entry === undefined) {
      entry = new InstanceEntry(directory, this.#owner);
      this.#entries.set(directory, entry);
    }
    return entry;
  }

  find(directory: string): InstanceEntry | undefined {
    return this.#entries.get(directory);
  }

  entries(): IterableIterator<InstanceEntry> {
    return this.#entries.values();
  }

  /** Loaded instances, least recently used first. */
  loadedEntries(): ReadonlySet<InstanceEntry> {
    return this.#loaded;
  }

  /** Loaded instances that nothing is known to hold, least recently used first. */
  idleEntries(): ReadonlySet<InstanceEntry> {
    return this.#idle;
  }

  /**
   * How many instances stay loaded when the disposals under way have ended. An instance that is being loaded does not
   * count yet, because loading may fail.
   */
  get stayingCount(): number {
    return this.#loaded.size - this.#loading.size - this.#closedGates;
  }

  /** Whether something holds any directory for one of these reasons. */
  isHeldBy(kinds: ReadonlySet<HoldKind>): boolean {
    for (const entry of this.#entries.values()) if (entry.isHeldBy(kinds)) return true;
    return false;
  }

  /** Resolves when nothing holds any directory for one of these reasons. */
  async released(kinds: ReadonlySet<HoldKind>, signal?: AbortSignal): Promise<void> {
    while (this.isHeldBy(kinds)) {
      this.#holdEnded ??= deferred();
      await abortable(this.#holdEnded.promise, signal);
    }
  }

  /** Closes the gate of every directory, loaded or not, until the caller calls the returned function. */
  closeGate(): () => void {
    return this.#gate.close();
  }

  get isGateClosed(): boolean {
    return this.#gate.closed !== undefined;
  }

  /** Holds every instance because the client cannot know what the server does: the event stream is down. */
  markUnknown(reason: string): void {
    this.#isStreamLive = false;
    this.#unknownHold = { kind: 'unknown', detail: reason, since: this.clock.now() };
  }

  /** Ends the hold of `markUnknown()` and begins a stream epoch: the event stream delivers again. */
  clearUnknown(): void {
    this.#isStreamLive = true;
    this.#streamEpoch += 1;
    this.#unknownHold = undefined;
  }

  #makeOwner(): EntryOwner {
    return {
      now: () => this.clock.now(),
      gate: () => this.#gate.closed,
      unknownHold: () => this.#unknownHold,
      streamEpoch: () => (this.#isStreamLive ? this.#streamEpoch : undefined),
      admit: (entry) => this.#listener.admit?.(entry),
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
      holdEnded: () => {
        this.#holdEnded?.resolve();
        this.#holdEnded = undefined;
      },
      gated: (isClosed) => {
        this.#closedGates += isClosed ? 1 : -1;
        if (!isClosed) this.#listener.reopened();
      },
    };
  }

  /** The end of the last hold counts as the last use. */
  #released(entry: InstanceEntry): void {
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
