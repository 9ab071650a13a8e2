import type { Clock } from '../core/clock.js';
import type { Hold } from '../core/instance.js';
import { Gate } from './gate.js';
import { InstanceEntry, type EntryOwner, type LoadOutcome } from './instance-entry.js';

/** What the registry calls when it changes. */
export interface InstanceRegistryListener {
  /** Makes the server load an instance, until `abandoned` aborts; rejects when that takes too long. @default it counts as loaded */
  load?(entry: InstanceEntry, abandoned: AbortSignal): Promise<LoadOutcome>;
  /** An instance could not be loaded. */
  broken?(entry: InstanceEntry, error: Error): void;
  /** An instance became loaded. */
  loaded(entry: InstanceEntry): void;
  /** The last hold of a loaded instance is gone. */
  released(entry: InstanceEntry): void;
  /** A gate was opened again: what was being disposed may be loaded still. */
  reopened(): void;
}

/** Every directory known to this client, and in which order their instances were last used. */
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
  #unknownHold: Hold | undefined;
  #streamEpoch = 0;
  #isStreamLive = false;

  constructor(clock: Clock, listener: InstanceRegistryListener) {
    this.clock = clock;
    this.#listener = listener;
    this.#gate = new Gate(() => listener.reopened());
    this.#owner = this.#makeOwner();
  }

  /** The entry of a directory, made on first use. */
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

  /** Holds every instance because nobody knows what the server does: the event stream is down. */
  markUnknown(reason: string): void {
    this.#isStreamLive = false;
    this.#unknownHold = { kind: 'unknown', detail: reason, since: this.clock.now() };
  }

  /** Ends the hold of `markUnknown()` and begins a stream epoch: the event stream delivers. */
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
