import { abortable } from '../abort.js';
import type { Clock } from '../clock.js';
import type { ActivityKind, DisposeReason, Hold, HoldKind, RepoStats } from '../instance.js';
import { Gate } from './gate.js';
import { HoldSet } from './holds.js';

/** What the registry tells when it changes. */
export interface RepoRegistryListener {
  /** An instance became loaded. */
  loaded(entry: RepoEntry): void;
  /** The last hold of a loaded instance is gone. */
  released(entry: RepoEntry): void;
  /** A gate was opened again: what was being disposed may be loaded still. */
  reopened(): void;
}

/** One directory and what the server has loaded for it. */
export class RepoEntry {
  readonly directory: string;
  lastUsedAt: number | undefined;
  boots = 0;
  readonly disposals: Record<DisposeReason, number> = {
    idle: 0,
    cap: 0,
    explicit: 0,
    server: 0,
    external: 0,
  };
  readonly #holds: HoldSet;
  readonly #activity: Record<ActivityKind, Map<string, () => void>> = {
    'session-busy': new Map(),
    pty: new Map(),
  };
  readonly #registry: RepoRegistry;
  #activityVersion = 0;
  #loaded = false;
  readonly #gate: Gate;

  /** @internal */
  constructor(directory: string, registry: RepoRegistry) {
    this.directory = directory;
    this.#registry = registry;
    this.#holds = new HoldSet(() => registry.released(this));
    this.#gate = new Gate(() => registry.reopened());
  }

  get loaded(): boolean {
    return this.#loaded;
  }

  get isDisposing(): boolean {
    return this.#currentGate !== undefined;
  }

  get isHeld(): boolean {
    return this.#holds.size > 0;
  }

  holds(): Hold[] {
    return this.#holds.list();
  }

  /** Keeps the instance from being disposed until the returned function is called. */
  hold(kind: HoldKind, detail: string): () => void {
    return this.#holds.add({ kind, detail, since: this.#registry.clock.now() });
  }

  /**
   * Takes a hold, waits for a disposal under way to end, and counts the instance as loaded: what follows will boot it.
   * The hold is taken first, so a disposal that has not been sent yet is called off.
   */
  async enter(kind: HoldKind, detail: string, signal?: AbortSignal): Promise<() => void> {
    const release = this.hold(kind, detail);
    try {
      for (let gate = this.#currentGate; gate !== undefined; gate = this.#currentGate) {
        await abortable(gate, signal);
      }
    } catch (error) {
      release();
      throw error;
    }
    this.use();
    return release;
  }

  /** Notes that the instance is in use now. */
  use(): void {
    this.lastUsedAt = this.#registry.clock.now();
    this.#registry.touch(this);
    if (this.#loaded) return;
    this.#loaded = true;
    this.boots += 1;
    this.#registry.loaded(this);
  }

  /** Notes a sign that the instance is loaded. It does not count as a use. */
  notice(): void {
    if (!this.#loaded) this.use();
  }

  /** Grows with every {@link setActive}: an answer read before it grew may be older than what an event has told. */
  get activityVersion(): number {
    return this.#activityVersion;
  }

  /** Notes that the server began or ended something that must not be cut off. */
  setActive(kind: ActivityKind, id: string, active: boolean): void {
    this.#activityVersion += 1;
    const releases = this.#activity[kind];
    if (active) {
      this.use();
      if (!releases.has(id)) releases.set(id, this.hold(kind, id));
      return;
    }
    const release = releases.get(id);
    releases.delete(id);
    release?.();
  }

  /** Replaces what is known of one kind of activity by what the server says now. */
  setAllActive(kind: ActivityKind, ids: Iterable<string>): void {
    const active = new Set(ids);
    for (const id of [...this.#activity[kind].keys()]) if (!active.has(id)) this.setActive(kind, id, false);
    for (const id of active) this.setActive(kind, id, true);
  }

  /** Closes the gate: whoever enters now waits until the returned function is called. */
  closeGate(): () => void {
    return this.#gate.close();
  }

  /** Notes that the instance is gone. */
  unload(reason: DisposeReason): void {
    if (!this.#loaded) return;
    this.#loaded = false;
    this.disposals[reason] += 1;
    this.#registry.untouch(this);
    this.setAllActive('session-busy', []);
    this.setAllActive('pty', []);
  }

  stats(idleDeadline: number | undefined): RepoStats {
    return {
      directory: this.directory,
      loaded: this.#loaded,
      state: this.#state(),
      lastUsedAt: this.lastUsedAt,
      idleDeadline,
      holds: this.holds(),
      boots: this.boots,
      disposals: { ...this.disposals },
    };
  }

  get #currentGate(): Promise<void> | undefined {
    return this.#gate.closed ?? this.#registry.gate;
  }

  #state(): RepoStats['state'] {
    if (!this.#loaded) return 'unloaded';
    if (this.isDisposing) return 'disposing';
    return this.isHeld ? 'busy' : 'idle';
  }
}

/** Every directory this process has to do with, and in which order their instances were last used. */
export class RepoRegistry {
  readonly clock: Clock;
  readonly #entries = new Map<string, RepoEntry>();
  /** Loaded instances, least recently used first. */
  readonly #loaded = new Set<RepoEntry>();
  readonly #listener: RepoRegistryListener;
  readonly #gate = new Gate(() => this.reopened());

  constructor(clock: Clock, listener: RepoRegistryListener) {
    this.clock = clock;
    this.#listener = listener;
  }

  /** The entry of a directory, made on first use. */
  entry(directory: string): RepoEntry {
    let entry = this.#entries.get(directory);
    if (entry === undefined) {
      entry = new RepoEntry(directory, this);
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
  loadedEntries(): Iterable<RepoEntry> {
    return this.#loaded;
  }

  /** Closes the gate of every directory, also of those that are not loaded, until the returned function is called. */
  closeGate(): () => void {
    return this.#gate.close();
  }

  /** @internal */
  get gate(): Promise<void> | undefined {
    return this.#gate.closed;
  }

  get loadedCount(): number {
    return this.#loaded.size;
  }

  /** @internal */
  touch(entry: RepoEntry): void {
    this.#loaded.delete(entry);
    this.#loaded.add(entry);
  }

  /** @internal */
  untouch(entry: RepoEntry): void {
    this.#loaded.delete(entry);
  }

  /** @internal */
  loaded(entry: RepoEntry): void {
    this.#listener.loaded(entry);
  }

  /** @internal */
  reopened(): void {
    this.#listener.reopened();
  }

  /** @internal A use ends when its last hold does. */
  released(entry: RepoEntry): void {
    if (!entry.loaded || entry.isHeld) return;
    entry.lastUsedAt = this.clock.now();
    this.touch(entry);
    this.#listener.released(entry);
  }
}
