import { abortable } from '../core/abort.js';
import type { DisposeOptions } from '../client/repo/repo-client.js';
import { RepoBoundError, SessionAlreadyBoundError, SessionDirectoryError } from '../errors.js';
import type { SessionBinding, SessionRegistry } from '../registry/session-registry.js';
import type { FleetBinding } from './fleet-sessions.js';
import type { Placements } from './placements.js';

/** What `fleet.place()` did. */
export interface PlaceResult<Name extends string = string> {
  /** Canonical. */
  readonly directory: string;
  /** The member that has it now. */
  readonly server: Name;
  /** The member that had it; `undefined` when none did. It may be one that this fleet does not have. */
  readonly from: string | undefined;
  /** The working trees that have another member now; empty when it was there already. */
  readonly moved: readonly string[];
  /** The bindings that went along. */
  readonly rebound: readonly FleetBinding<Name>[];
  /** The bindings that `force` removed, as they were: their sessions stay in the data directory of the other member. */
  readonly unbound: readonly FleetBinding[];
  /** The sessions whose work `force` aborted. */
  readonly aborted: readonly string[];
}

/** What a move needs of a member. */
export interface MoveMember {
  readonly name: string;
  readonly bindings: SessionRegistry;
  /** Where its sessions are; `undefined` where that is not known. */
  readonly dataDirectory: string | undefined;
  /** The one spelling of a directory. @throws {RepoPathError} if the server cannot work in it. */
  resolve(directory: string): string;
  /** Makes the client of a directory, which places it. */
  forRepo(directory: string): unknown;
  /** Disposes the instances of directories, and calls `commit` while nobody uses them. */
  leave(directories: readonly string[], commit: () => void, options?: DisposeOptions): Promise<string[]>;
}

/** What the moves of a fleet need. */
export interface MoverInit {
  readonly placements: Placements;
  /** The member that a directory is to go to, or that has it; `undefined` when the fleet does not have it. */
  readonly memberOf: (server: string, directory: string) => MoveMember | undefined;
  /** The bindings to servers that the fleet does not have. */
  readonly strangers: { list(): FleetBinding[]; unbind(jarvisSessionID: string): void };
  /** @throws {ClosedError} after the end of the fleet. */
  readonly assertOpen: () => void;
}

/** Gives repositories to other members, one move of each repository at a time. */
export class Mover<Name extends string> {
  readonly #init: MoverInit;
  /** Resolves, for each repository, when its last move has ended. */
  readonly #moves = new Map<string, Promise<unknown>>();

  constructor(init: MoverInit) {
    this.#init = init;
  }

  /** See {@link JarvisFleet.place}. */
  async move(directory: string, server: Name, options?: DisposeOptions): Promise<PlaceResult<Name>> {
    const { memberOf } = this.#init;
    const placements: Placements = this.#init.placements;
    placements.assertKnown(server);
    const canonical = (memberOf(server, directory) as MoveMember).resolve(directory);
    const repository = placements.repositoryOf(canonical);
    const last = this.#moves.get(repository) ?? Promise.resolve();
    const move = abortable(last, options?.signal).then(() => this.#move(canonical, server, options));
    const ended = Promise.allSettled([last, move]);
    this.#moves.set(repository, ended);
    try {
      return await move;
    } finally {
      if (this.#moves.get(repository) === ended) this.#moves.delete(repository);
    }
  }

  async #move(directory: string, server: Name, options?: DisposeOptions): Promise<PlaceResult<Name>> {
    const { placements, memberOf, assertOpen } = this.#init;
    assertOpen();
    const target = memberOf(server, directory) as MoveMember;
    const isThere = placements.has(server, directory);
    const from = isThere ? server : placements.ownerHere(directory);
    if (from !== undefined && from !== server) assertLocal(placements, server, directory, from);
    const result = { directory, server, from, moved: [], rebound: [], unbound: [], aborted: [] };
    if (from === undefined || from === server) {
      target.forRepo(directory);
      return from === undefined ? { ...result, moved: [directory] } : result;
    }
    const source = memberOf(from, directory);
    const moved = [...new Set([...placements.workingTrees(directory), directory])];
    const bound = (): FleetBinding[] => this.#boundIn(new Set(moved), from, source);
    const goAlong = source?.dataDirectory !== undefined && source.dataDirectory === target.dataDirectory;
    const assertMayGo = (): void => {
      assertOpen();
      const bindings = bound();
      if (goAlong || options?.force === true || bindings.length === 0) return;
      throw new RepoBoundError({ directory, server: from, requested: server, bindings });
    };
    assertMayGo();
    const rebound: FleetBinding<Name>[] = [];
    const unbound: FleetBinding[] = [];
    const commit = (): void => {
      assertMayGo();
      const bindings = bound();
      placements.move(server, directory);
      for (const binding of bindings) {
        (source?.bindings ?? this.#init.strangers).unbind(binding.jarvisSessionID);
        if (goAlong && bind(target, binding)) rebound.push({ ...binding, server });
        else unbound.push(binding);
      }
    };
    if (source === undefined) commit();
    const aborted = (await source?.leave(moved, commit, options)) ?? [];
    return { ...result, moved, rebound, unbound, aborted };
  }

  #boundIn(directories: ReadonlySet<string>, server: string, member: MoveMember | undefined): FleetBinding[] {
    const all: FleetBinding[] =
      member === undefined
        ? this.#init.strangers.list().filter((binding) => binding.server === server)
        : member.bindings.list().map((binding) => ({ ...binding, server }));
    return all.filter((binding) => directories.has(binding.directory));
  }
}

/** A directory of this machine is not what another machine has by that path. */
function assertLocal(placements: Placements, server: string, directory: string, from: string): void {
  if (placements.isLocal(server)) return;
  throw new TypeError(
    `Expected the server of place() to have the paths of this machine, got ${JSON.stringify(server)}: ${JSON.stringify(directory)} of ` +
      `${JSON.stringify(from)} is not there. Say paths: 'local' in its profile if it is.`,
  );
}

/** Binds a session to another member; `false` when that knows it as another one. */
function bind(target: MoveMember, { jarvisSessionID, sessionID, directory }: SessionBinding): boolean {
  try {
    target.bindings.bind(jarvisSessionID, { id: sessionID, directory });
    return true;
  } catch (error) {
    if (error instanceof SessionAlreadyBoundError || error instanceof SessionDirectoryError) return false;
    throw error;
  }
}
