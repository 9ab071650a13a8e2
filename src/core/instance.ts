/**
 * Why an instance must stay loaded.
 *
 * - `request`: a request of ours is waiting or in flight, or what it has begun was accepted and not seen at work yet.
 * - `turn`: a turn of ours has not ended, or the session of a `repo.prompt()` is not deleted yet.
 * - `use`: a function given to `use()` runs, or is about to.
 * - `subscription`: somebody listens with `events({ hold: true })`.
 * - `session-busy`: the server reports a session of the directory, or a child of one, as working; whoever started it.
 * - `permission`, `question`: a working session waits for an answer.
 * - `pty`: a pseudo terminal of the directory is running.
 * - `lease`: somebody called `hold()`.
 * - `unknown`: what the server does there is not known now: the event stream is down, or reading its state failed.
 */
export type HoldKind = 'request' | 'turn' | 'use' | 'subscription' | ActivityKind | 'lease' | 'unknown';

/** The holds that come from the server: its events add and remove them, and a resync corrects them. */
export type ActivityKind = 'session-busy' | 'permission' | 'question' | 'pty';

/** One reason why an instance stays loaded. */
export interface Hold {
  readonly kind: HoldKind;
  /**
   * What exactly: a path, the id of a session, request or terminal, a call, or the reason given to `hold()`. Of each kind that the server
   * tells of, 1,000 at most are holds of their own; one more stands for the rest.
   */
  readonly detail: string;
  /** Since when, epoch milliseconds. */
  readonly since: number;
}

/**
 * Why an instance was disposed.
 *
 * - `idle`: nothing used it for `idleTimeoutMs`.
 * - `cap`: more than `maxLoaded` were loaded, or the server used more than `maxServerRssBytes`, and it was the least
 *   recently used one.
 * - `explicit`: `repo.dispose()`.
 * - `forced`: `repo.dispose({ force: true })`, whatever held it.
 * - `server`: a call that disposes every instance, or this one, on its way: a change of the configuration, `global.dispose()`.
 * - `external`: somebody else did it: another client, or the server itself.
 */
export type DisposeReason = 'idle' | 'cap' | 'explicit' | 'forced' | 'server' | 'external';

/** What processes use. */
export interface ProcessUsage {
  /** How many there are. */
  readonly count: number;
  /** Their resident memory together, in bytes; pages they share count for each. */
  readonly rssBytes: number;
}

/** What the processes of a server use. */
export interface TreeUsage {
  /** The server itself with all below it. */
  readonly total: ProcessUsage;
  /** What runs below it, by working directory: MCP and LSP servers, tools and terminals start in that of their instance. */
  readonly byDirectory: ReadonlyMap<string, ProcessUsage>;
}

/** How many calls of `use()` a repository has. */
export interface UseCounts {
  /** How many functions run. */
  readonly running: number;
  /** How many wait for a place. */
  readonly waiting: number;
}

/** What is known of one repository's instance at this moment. */
export interface RepoStats {
  readonly directory: string;
  /** Whether the server has an instance of it loaded, as far as we know. */
  readonly loaded: boolean;
  /**
   * `broken` when the server could not load it the last time, for `error`; `disposing` while a disposal is under way; `busy`
   * while anything holds it; `idle` when it could be disposed.
   */
  readonly state: 'unloaded' | 'idle' | 'busy' | 'disposing' | 'broken';
  /**
   * Why the server could not load it, e.g. a {@link RequestError} that names the broken configuration file; `undefined` when it
   * could. With OpenCode 1.18.33 a repaired file counts after `server.restart()`, not after `repo.reload()`.
   */
  readonly error: Error | undefined;
  /** When it was last used, epoch milliseconds; `undefined` when it never was. */
  readonly lastUsedAt: number | undefined;
  /**
   * When it will be disposed if nothing uses it, epoch milliseconds; `undefined` when it is not loaded, held, kept by `keepForeign`,
   * or never.
   */
  readonly idleDeadline: number | undefined;
  readonly holds: readonly Hold[];
  /** The calls of `use()`. */
  readonly uses: UseCounts;
  /**
   * What the server reported of plugins that failed to load in the present instance: at most 20 texts, each cut to 500 characters.
   * Turns go on without those plugins. OpenCode 1.18.33 reports nothing of a plugin whose own function throws.
   */
  readonly pluginErrors: readonly string[];
  /** How often it was loaded, as far as we know. */
  readonly boots: number;
  /** How often it was disposed, by reason. */
  readonly disposals: Readonly<Record<DisposeReason, number>>;
}

/** What a status page shows of one repository. */
export interface RepoOverview extends RepoStats {
  /**
   * The children of our server that work in this directory: MCP and LSP servers, tools, terminals. `undefined` for a server
   * we only connected to, and on other platforms than Linux.
   */
  readonly processes: ProcessUsage | undefined;
}

/** What became of a call to dispose an instance. */
export interface DisposeResult {
  readonly directory: string;
  /** `false` when no instance was loaded, so that nothing had to be done. */
  readonly disposed: boolean;
  /** The sessions whose work was aborted for it, `ses_…`; only `force: true` aborts any. */
  readonly aborted: readonly string[];
}

/** One decision about an instance, as it is published for diagnosis. */
export interface InstanceDecision {
  readonly directory: string;
  /** The member of the fleet that has the instance, in a {@link JarvisFleet}. */
  readonly server?: string | undefined;
  /**
   * - `loaded`: it was found or made loaded.
   * - `broken`: the server cannot load it, for `error`.
   * - `kept`: a disposal was due or asked for and refused, because of `holds`.
   * - `disposed`: it is gone, for `reason`.
   * - `failed`: the disposal did not end as it should; the instance counts as loaded.
   */
  readonly decision: 'loaded' | 'broken' | 'kept' | 'disposed' | 'failed';
  /** Why it is gone, or was to go. */
  readonly reason?: DisposeReason | undefined;
  /** What kept it. */
  readonly holds?: readonly Hold[] | undefined;
  /** What failed. */
  readonly error?: unknown;
  /** The decision in words, e.g. `kept: turn ses_1 for 31 s`. */
  readonly text: string;
}

/** Describes holds in words: `turn ses_1 for 31 s, lease a tab for 2 s`. */
export function describeHolds(holds: readonly Hold[], now: number): string {
  return holds
    .map(
      ({ kind, detail, since }) => `${kind} ${detail} for ${Math.max(0, Math.round((now - since) / 1000))} s`,
    )
    .join(', ');
}
