import { abortable, deferred, type Deferred } from '../core/abort.js';
import type { ActivityKind, DisposeReason, Hold, HoldKind, RepoStats } from '../core/instance.js';
import { Activities, type ActivityItem } from './activity.js';
import { ForeignUse } from './foreign-use.js';
import { Gate } from './gate.js';
import { HoldSet } from './holds.js';

/** The registry an entry belongs to, as the entry calls it. */
export interface EntryOwner {
  now(): number;
  /** The gate of all directories: resolves when it opens; `undefined` while it is open. */
  gate(): Promise<void> | undefined;
  /** The hold that every instance has while the client cannot know what the server does. */
  unknownHold(): Hold | undefined;
  /** The unbroken period of the event stream this is; `undefined` while the stream is down. */
  streamEpoch(): number | undefined;
  /** Refuses a directory that another server of the fleet has. @throws {RepoPlacedError} */
  admit(entry: InstanceEntry): void;
  /** Makes the server load the instance. Gives up when `abandoned` aborts; rejects when loading takes too long. */
  load(entry: InstanceEntry, abandoned: AbortSignal): Promise<LoadOutcome>;
  loading(entry: InstanceEntry): void;
  loaded(entry: InstanceEntry): void;
  broken(entry: InstanceEntry, error: Error): void;
  used(entry: InstanceEntry): void;
  unloaded(entry: InstanceEntry): void;
  held(entry: InstanceEntry, isHeld: boolean): void;
  holdEnded(): void;
  gated(isClosed: boolean): void;
}

/**
 * How loading an instance ended: the server loaded it, the server cannot load it (`error`), or the client does not
 * know, e.g. because the connection failed.
 */
export type LoadOutcome = 'loaded' | 'unknown' | { readonly error: Error };

const MAX_PLUGIN_ERRORS = 20;

/** Matches the id of the session that a request changes or starts work in, e.g. in `POST /session/ses_1/message`. */
const CHANGED_SESSION = /^(?!GET |HEAD )\S+ \/session\/(ses_[^/?]+)/;

/** One attempt to load an instance, and how many callers wait for it. */
interface Loading {
  readonly done: Promise<void>;
  readonly abandoned: AbortController;
  waiting: number;
}

/** One directory and what the server has loaded for it. */
export class InstanceEntry {
  readonly directory: string;
  /** Tracks whether anybody but this client uses the instance. */
  readonly foreign = new ForeignUse();
  lastUsedAt: number | undefined;
  boots = 0;
  #pluginErrors: readonly string[] = [];
  readonly disposals: Record<DisposeReason, number> = {
    idle: 0,
    cap: 0,
    explicit: 0,
    forced: 0,
    server: 0,
    external: 0,
  };
  readonly #owner: EntryOwner;
  readonly #holds: HoldSet;
  readonly #activities = new Activities((kind, id) => this.hold(kind, id));
  readonly #gate: Gate;
  readonly #turnGate: Gate;
  readonly #moveGate = new Gate(() => undefined);
  #activityVersion = 0;
  #phase: 'unloaded' | 'loading' | 'loaded' = 'unloaded';
  /** Whether the server has answered from the instance since it was loaded. */
  #isReady = false;
  /** The attempt to load the instance that is under way. */
  #load: Loading | undefined;
  /** Why the last attempt to load the instance failed. */
  #error: Error | undefined;
  #unknownHold: Hold | undefined;
  /** Stream epoch in which the list of terminals was last complete. */
  #ptysSyncedIn: number | undefined;
  /** How many requests and turns are past the gate. */
  #inside = 0;
  #turnsInside = 0;
  /** Resolves at the next change. */
  #changed: Deferred<void> | undefined;

  /** @internal */
  constructor(directory: string, owner: EntryOwner) {
    this.directory = directory;
    this.#owner = owner;
    this.#holds = new HoldSet(
      (isHeld) => owner.held(this, isHeld),
      () => owner.holdEnded(),
    );
    this.#gate = new Gate(() => owner.gated(false));
    this.#turnGate = new Gate(() => undefined);
  }

  /** Whether the server has loaded the instance, or is loading it. */
  get loaded(): boolean {
    return this.#phase !== 'unloaded';
  }

  get isLoading(): boolean {
    return this.#phase === 'loading';
  }

  get isDisposing(): boolean {
    return this.#currentGate !== undefined;
  }

  /** Whether a known hold needs the instance; `unknown` holds do not count. */
  get isHeld(): boolean {
    return this.#holds.size > 0;
  }

  /** Whether something holds the instance for one of these reasons. */
  isHeldBy(kinds: ReadonlySet<HoldKind>): boolean {
    return this.#holds.hasAny(kinds);
  }

  /** Everything that keeps the instance loaded, `unknown` holds included. */
  holds(): Hold[] {
    const holds = this.#holds.list();
    if (!this.loaded) return holds;
    return [...holds, ...[this.#unknownHold, this.#owner.unknownHold()].filter((hold) => hold !== undefined)];
  }

  /** Prevents a disposal of the instance until the caller calls the returned function. */
  hold(kind: HoldKind, detail: string): () => void {
    return this.#holds.add({ kind, detail, since: this.#owner.now() });
  }

  /** Holds the instance because the client cannot know what the server does there. */
  markUnknown(reason: string): void {
    this.#unknownHold = { kind: 'unknown', detail: reason, since: this.#owner.now() };
  }

  /** Ends the hold of `markUnknown()`: the client has read the state of the instance. */
  clearUnknown(): void {
    this.#unknownHold = undefined;
  }

  /**
   * Takes a hold, waits for a disposal under way to end, and makes the server load the instance if it has not. The hold
   * comes first: it calls off a disposal that has not been sent yet, unless that is forced.
   *
   * @param suspendLimit - suspends the caller's time limit while the server loads the instance.
   * @throws {TimeoutError} when loading takes too long.
   * @throws {RepoPlacedError} when another server of the fleet has the directory.
   */
  async acquire(
    kind: 'request' | 'turn',
    detail: string,
    signal?: AbortSignal,
    suspendLimit?: () => () => void,
  ): Promise<() => void> {
    const release = this.hold(kind, detail);
    try {
      for (let gate = this.#gateOf(kind); gate !== undefined; gate = this.#gateOf(kind)) {
        await abortable(gate, signal);
      }
      this.#owner.admit(this);
    } catch (error) {
      release();
      throw error;
    }
    const leave = this.#goInside(kind, release);
    const sessionID = kind === 'turn' ? detail : CHANGED_SESSION.exec(detail)?.[1];
    if (sessionID !== undefined) this.foreign.claim(sessionID);
    if (this.#isReady) {
      this.use();
      return leave;
    }
    const resumeLimit = suspendLimit?.();
    try {
      await this.#waitUntilLoaded(signal);
      return leave;
    } catch (error) {
      leave();
      throw error;
    } finally {
      resumeLimit?.();
    }
  }

  /** All callers share one attempt (single flight). It is abandoned when no caller waits any more. */
  async #waitUntilLoaded(signal: AbortSignal | undefined): Promise<void> {
    const load = (this.#load ??= this.#startLoading());
    load.waiting += 1;
    try {
      await abortable(load.done, signal);
    } finally {
      load.waiting -= 1;
      if (load.waiting === 0 && this.#load === load) {
        this.#load = undefined;
        load.abandoned.abort();
      }
    }
  }

  #startLoading(): Loading {
    const abandoned = new AbortController();
    return { done: this.#makeLoaded(abandoned.signal), abandoned, waiting: 0 };
  }

  #goInside(kind: 'request' | 'turn', release: () => void): () => void {
    this.#inside += 1;
    if (kind === 'turn') this.#turnsInside += 1;
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#inside -= 1;
      if (kind === 'turn') this.#turnsInside -= 1;
      release();
      this.#notifyChange();
    };
  }

  /** Records a use of the instance, which also shows that it is loaded. */
  use(): void {
    this.lastUsedAt = this.#owner.now();
    const isBoot = this.#phase === 'unloaded';
    if (isBoot) {
      this.#phase = 'loaded';
      this.foreign.loadedElsewhere();
    }
    this.#owner.used(this);
    if (isBoot) this.#countBoot();
  }

  /** Records that the instance is loaded. If the client knew that already, this does not count as a use. */
  notice(): void {
    if (!this.loaded) this.use();
  }

  /** Records that the server cannot load the instance, so none exists. */
  markBroken(error: Error): void {
    this.#error = error;
    if (this.loaded) this.#clear();
    this.#owner.broken(this, error);
  }

  /**
   * Grows with every change of the activity. If it grew while a request was under way, its answer may be older than an
   * event.
   */
  get activityVersion(): number {
    return this.#activityVersion;
  }

  /** Records that the server began an activity that no disposal may cut off. */
  begin(kind: ActivityKind, item: ActivityItem): void {
    this.#activityVersion += 1;
    this.use();
    if (kind === 'session-busy') this.foreign.saw(item.id);
    this.#activities.begin(kind, item);
  }

  /** Records that the server ended an activity. */
  end(kind: ActivityKind, id: string): void {
    this.#activityVersion += 1;
    this.#activities.end(kind, id);
    this.#notifyChange();
  }

  /** Replaces the known activities of one kind by those that the server reports now. */
  replaceActivity(kind: ActivityKind, items: readonly ActivityItem[]): void {
    this.#activityVersion += 1;
    if (kind === 'session-busy') for (const { id } of items) this.foreign.saw(id);
    this.#activities.replace(kind, items);
    this.#notifyChange();
  }

  /**
   * Whether the client knows every terminal of the instance: it missed no event since it last read the list of
   * terminals, or since the instance ended. To ask costs a fresh instance seconds (2 to 4 were seen with OpenCode
   * 1.18.33 on a busy machine).
   */
  get ptysSynced(): boolean {
    if (this.#activities.hasRest('pty')) return false;
    return this.#ptysSyncedIn !== undefined && this.#ptysSyncedIn === this.#owner.streamEpoch();
  }

  /** Records the stream epoch in which the client read the complete list of terminals. */
  markPtysSynced(epoch: number | undefined): void {
    this.#ptysSyncedIn = epoch;
  }

  /** The unbroken period of the event stream this is; `undefined` while the stream is down. */
  get streamEpoch(): number | undefined {
    return this.#owner.streamEpoch();
  }

  /** The ids of the activities of one kind. */
  activityIDs(kind: ActivityKind): string[] {
    return this.#activities.ids(kind);
  }

  /** Whether something is at work whose end the client may miss. If no event comes, it asks the server. */
  get isAtWork(): boolean {
    const isAsked = this.#activities.has('permission') || this.#activities.has('question');
    return this.#activities.has('session-busy') || isAsked || this.#activities.hasRest('pty');
  }

  /** Closes the gate: `acquire()` waits until the caller calls the returned function. */
  closeGate(): () => void {
    this.#owner.gated(true);
    return this.#gate.close();
  }

  /** Closes the gate for new turns only. Requests pass, so that running turns can end. */
  closeTurnGate(): () => void {
    return this.#turnGate.close();
  }

  /** Closes the gate while the directory goes to another server. It is no disposal: the instance is gone already. */
  closeMoveGate(): () => void {
    return this.#moveGate.close();
  }

  /** Resolves when no turn is past the gate and no session is at work. */
  turnsEnded(): Promise<void> {
    return this.#waitUntil(() => this.#turnsInside === 0 && !this.#activities.has('session-busy'));
  }

  /** Resolves when nothing is past the gate. */
  drained(): Promise<void> {
    return this.#waitUntil(() => this.#inside === 0);
  }

  /** Keeps the server's report of a plugin that it could not load for this instance. */
  notePluginError(text: string): void {
    if (this.#pluginErrors.length < MAX_PLUGIN_ERRORS) this.#pluginErrors = [...this.#pluginErrors, text];
  }

  /** Forgets why loading failed: another server may be able to load the instance. */
  clearError(): void {
    this.#error = undefined;
  }

  /** Records that the instance is gone. */
  unload(reason: DisposeReason): void {
    if (!this.loaded) return;
    // An instance that was still loading never was loaded, so its end is no disposal.
    if (!this.isLoading) this.disposals[reason] += 1;
    this.#clear();
  }

  #clear(): void {
    this.#phase = 'unloaded';
    this.#isReady = false;
    this.#unknownHold = undefined;
    this.foreign.clear();
    this.#pluginErrors = [];
    // A terminal that somebody opened during the disposal may already belong to the next instance.
    this.#ptysSyncedIn = this.#activities.ids('pty').length === 0 ? this.#owner.streamEpoch() : undefined;
    this.#activities.clear();
    this.#notifyChange();
    this.#owner.unloaded(this);
  }

  async #makeLoaded(abandoned: AbortSignal): Promise<void> {
    this.lastUsedAt = this.#owner.now();
    if (!this.loaded) {
      this.#phase = 'loading';
      this.#owner.loading(this);
    }
    this.#owner.used(this);
    let outcome: LoadOutcome = 'unknown';
    try {
      outcome = await this.#owner.load(this, abandoned);
    } finally {
      if (!abandoned.aborted) this.#load = undefined;
      if (typeof outcome === 'object') this.markBroken(outcome.error);
      else this.#endLoading(outcome === 'loaded');
    }
  }

  #endLoading(isReady: boolean): void {
    this.#isReady = isReady;
    if (this.isLoading) {
      this.#phase = 'loaded';
      this.#countBoot();
    } else this.use();
  }

  #countBoot(): void {
    this.#error = undefined;
    this.boots += 1;
    this.#owner.loaded(this);
  }

  stats(idleDeadline: number | undefined): Omit<RepoStats, 'uses'> {
    return {
      directory: this.directory,
      loaded: this.#phase === 'loaded',
      state: this.#state(),
      error: this.#error,
      lastUsedAt: this.lastUsedAt,
      idleDeadline,
      holds: this.holds(),
      pluginErrors: this.#pluginErrors,
      boots: this.boots,
      disposals: { ...this.disposals },
    };
  }

  async #waitUntil(predicate: () => boolean): Promise<void> {
    while (!predicate()) {
      this.#changed ??= deferred();
      await this.#changed.promise;
    }
  }

  #notifyChange(): void {
    const changed = this.#changed;
    this.#changed = undefined;
    changed?.resolve();
  }

  get #currentGate(): Promise<void> | undefined {
    return this.#gate.closed ?? this.#owner.gate();
  }

  #gateOf(kind: 'request' | 'turn'): Promise<void> | undefined {
    return (
      this.#currentGate ?? this.#moveGate.closed ?? (kind === 'turn' ? this.#turnGate.closed : undefined)
    );
  }

  #state(): RepoStats['state'] {
    if (!this.loaded) return this.#error === undefined ? 'unloaded' : 'broken';
    if (this.isDisposing) return 'disposing';
    return this.holds().length > 0 ? 'busy' : 'idle';
  }
}
