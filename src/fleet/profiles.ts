import {
  jarvisOptionChecks,
  connectOptionChecks,
  type ConnectOptions,
  type JarvisOptions,
} from '../app/options.js';
import {
  aBoolean,
  aFunction,
  oneOf,
  positiveMs,
  positiveMsOrFalse,
  type OptionChecks,
} from '../core/checks.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';

/** When a member of a fleet runs. */
export interface Lifetime {
  /**
   * `now`: it is started with the fleet, which does not start without it; `on-demand`: the first request that needs it starts it.
   *
   * @default 'now' for the first member, 'on-demand' for the others
   */
  readonly start?: 'now' | 'on-demand' | undefined;
  /**
   * Milliseconds after which a server is stopped that nothing has used and nothing holds. It is `asleep` then, and the next request
   * starts it again; all objects stay valid. `false` for never.
   *
   * @default false for the first member, 900_000 for the others
   */
  readonly stopAfterIdleMs?: number | false | undefined;
  /**
   * A server for each repository that the member has, started with its first request; all working trees of a git repository have one. It needs
   * `maxServers`, and paths of this machine. With `dataDir` each has a directory of its own in there, named after the repository, so with
   * sessions and credentials of its own; without, all share the user's. It takes no `port`, and does not start with the fleet.
   *
   * @default false
   */
  readonly perRepo?: boolean | undefined;
}

/** What one client of a fleet takes, and all of them may. */
export type MemberDefaults = Omit<JarvisOptions, 'restore' | 'paths'>;

/** A member that somebody else runs: it is connected to when it is first needed, and never stopped. */
export type UrlProfile = Omit<ConnectOptions, 'restore' | 'signal'>;

/** A member that your function starts, in a container or on another machine. It is the fleet's own: it stops the handle. */
export interface OpenProfile extends Omit<JarvisOptions, 'restore'>, Lifetime {
  /**
   * Makes the handle of a server that is ready. Called for each start, so also after a sleep and after the handle has ended by itself.
   * Rejects when `signal` aborts, with nothing left running.
   *
   * @param repository - with `perRepo`, the repository that the server is for: the directory of its main working tree.
   */
  readonly open: (signal: AbortSignal, repository?: string) => Promise<ServerHandle>;
  /** Milliseconds `open` may take. @default 60_000 */
  readonly startTimeoutMs?: number | undefined;
}

const { restore: _restore, ...memberChecks } = jarvisOptionChecks;
const { restore: _ofUrl, signal: _signal, ...urlChecks } = connectOptionChecks;

/** The checks of {@link Lifetime}. */
export const lifetimeChecks: OptionChecks<Lifetime> = {
  start: oneOf('now', 'on-demand'),
  stopAfterIdleMs: positiveMsOrFalse,
  perRepo: aBoolean,
};

export const memberOptionChecks: OptionChecks<Omit<JarvisOptions, 'restore'>> = memberChecks;
export const urlProfileChecks: OptionChecks<UrlProfile> = urlChecks;
export const openProfileChecks: OptionChecks<OpenProfile> = {
  ...memberChecks,
  ...lifetimeChecks,
  open: aFunction,
  startTimeoutMs: positiveMs,
};
