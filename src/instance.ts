/**
 * Why an instance must stay loaded.
 *
 * - `request`: a request of ours is waiting or in flight.
 * - `turn`: a turn of ours has not ended.
 * - `session-busy`: the server reports a session of the directory, or a child of one, as working.
 * - `pty`: a pseudo terminal of the directory is running.
 * - `lease`: somebody called `hold()`.
 */
export type HoldKind = 'request' | 'turn' | ActivityKind | 'lease';

/** The holds that the server tells of: they come and go with its events and are corrected by what it answers. */
export type ActivityKind = 'session-busy' | 'pty';

/** One reason why an instance stays loaded. */
export interface Hold {
  readonly kind: HoldKind;
  /** What exactly: a path, a session id, or the reason given to `hold()`. */
  readonly detail: string;
  /** Since when, epoch milliseconds. */
  readonly since: number;
}

/**
 * Why an instance was disposed.
 *
 * - `idle`: nothing used it for `idleTimeoutMs`.
 * - `cap`: more than `maxLoaded` were loaded and it was the least recently used one.
 * - `explicit`: `repo.dispose()`.
 * - `server`: a call that disposes every instance, or this one, on its way: a change of the configuration, `global.dispose()`.
 * - `external`: somebody else did it: another client, or the server itself.
 */
export type DisposeReason = 'idle' | 'cap' | 'explicit' | 'server' | 'external';

/** What is known of one repository's instance; a picture of this moment. */
export interface RepoStats {
  readonly directory: string;
  /** Whether the server has an instance of it loaded, as far as we know. */
  readonly loaded: boolean;
  /** `disposing` while a disposal is under way; `busy` while anything holds it; `idle` when it could be disposed. */
  readonly state: 'unloaded' | 'idle' | 'busy' | 'disposing';
  /** When it was last used, epoch milliseconds; `undefined` when it never was. */
  readonly lastUsedAt: number | undefined;
  /** When it will be disposed if nothing uses it, epoch milliseconds; `undefined` when it is not loaded, held, or never. */
  readonly idleDeadline: number | undefined;
  readonly holds: readonly Hold[];
  /** How often it was loaded, as far as we know. */
  readonly boots: number;
  /** How often it was disposed, by reason. */
  readonly disposals: Readonly<Record<DisposeReason, number>>;
}

/** What became of a call to dispose an instance. */
export interface DisposeResult {
  readonly directory: string;
  /** `false` when no instance was loaded, so that nothing had to be done. */
  readonly disposed: boolean;
}
