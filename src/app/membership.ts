import type { HubListener } from '../client/events/hub-listeners.js';
import type { DisposeOptions } from '../client/repo/repo-client.js';
import type { EventSource } from '../client/events/event-stream.js';
import type { UseNesting } from '../instances/admission.js';
import type { ProcessUsage } from '../core/instance.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';
import type { SessionBinding, SessionRegistry } from '../registry/session-registry.js';

/** What a fleet reads of one of its members. */
export interface MemberView {
  readonly bindings: SessionRegistry;
  /** How many instances may be loaded at a time. */
  readonly maxLoaded: number;
  /** Subscribes to the events of every directory. */
  listen(listener: HubListener): EventSource;
  /** What is known of the instances. */
  counts(): InstanceCounts;
  /** What the processes of the server use now; `undefined` where that is not known. */
  usage(): ProcessUsage | undefined;
  /**
   * The one spelling of a directory, whichever member has it.
   *
   * @throws {RepoPathError} if the server cannot work in it.
   */
  resolve(directory: string): string;
  /**
   * Disposes the instances of directories, and calls `commit` while nobody uses them: their requests wait until it has returned.
   * Returns the ids of the sessions whose work was aborted.
   *
   * @throws {DisposeRefusedError} when something holds one of them and `force` is not set; `commit` was not called then.
   * @throws {TimeoutError} {@link RequestError} {@link ConnectionError} when the server does not dispose; nor was it then.
   */
  leave(directories: readonly string[], commit: () => void, options?: DisposeOptions): Promise<string[]>;
}

/** How many instances a server has. */
export interface InstanceCounts {
  readonly loaded: number;
  /** How many of them something holds. */
  readonly held: number;
  /** When one was last used, epoch milliseconds; `undefined` when none was. */
  readonly lastUsedAt: number | undefined;
}

/** What the client of one server calls when it belongs to a fleet. */
export interface Membership {
  /** The name of the member. */
  readonly name: string;
  /**
   * Places a directory that is used through this member for the first time.
   *
   * @param directory - canonical.
   * @param of - the repository that it is a new working tree of.
   * @throws {RepoPlacedError} when it is used through another member.
   */
  admit(directory: string, of?: string): void;
  /** As {@link admit}, for a directory in any spelling: that of a session that is to be bound. */
  place(directory: string): void;
  /**
   * Refuses what {@link admit} would refuse, and places nothing.
   *
   * @throws {RepoPlacedError}
   */
  check(directory: string): void;
  /** Whether a directory was placed on another member. It does not look at the disk. */
  isElsewhere(directory: string): boolean;
  /** The binding of a jarvis session on another member. */
  boundElsewhere(jarvisSessionID: string): SessionBinding | undefined;
  /** What is known of uses inside uses, for all members. */
  readonly useNesting: UseNesting;
  /** Called once, when the client is made. */
  join(view: MemberView): void;
}

const memberships = new WeakMap<ServerHandle, Membership>();

/** Makes the client of a handle, which is made after this call, a member of a fleet. */
export function setMembership(server: ServerHandle, membership: Membership): void {
  memberships.set(server, membership);
}

/** The place in a fleet of the client of a handle; `undefined` for one that stands alone. */
export function membershipOf(server: ServerHandle): Membership | undefined {
  return memberships.get(server);
}
