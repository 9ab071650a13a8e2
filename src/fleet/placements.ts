import { RepoPlacedError } from '../errors.js';
import { shown } from '../core/checks.js';
import { assertPathText, normalizePath } from '../registry/path.js';

/** Which server serves a directory. */
export interface Placement {
  readonly server: string;
  /** Canonical. */
  readonly directory: string;
}

/** What decides where a directory goes. */
export interface PlacementsInit {
  /** The members, the default one first. */
  readonly names: readonly string[];
  /** Whether the directories of a member are on this machine. Those of another member are a name space of their own. */
  readonly isLocal: (server: string) => boolean;
  /** The member for a directory that is in none yet; `undefined` for the default one. */
  readonly route?: ((directory: string) => unknown) | undefined;
  /** The one spelling of a directory of this machine; `undefined` when there is none. */
  readonly canonicalize: (directory: string) => string | undefined;
  /** What all working trees of one git repository have in common. */
  readonly repositoryOf: (directory: string) => string | undefined;
}

/**
 * Knows which member of a fleet serves a directory: decided once, and kept. A directory of this machine has one member, and so have the
 * working trees of one git repository together.
 */
export class Placements {
  readonly #init: PlacementsInit;
  /** The member of each directory of this machine, and what it has in common with the other working trees of its repository. */
  readonly #local = new Map<string, { readonly server: string; readonly repository: string }>();
  /** The member of each repository of this machine. A directory without git is a repository of its own. */
  readonly #repositories = new Map<string, string>();
  /** The members of each directory of other machines, in the order in which they came. */
  readonly #remote = new Map<string, Set<string>>();
  /** What was chosen for a path that is a directory here and elsewhere. */
  readonly #chosen = new Map<string, string>();

  constructor(init: PlacementsInit) {
    this.#init = init;
  }

  /** @throws {RangeError} unless it is the name of a member. */
  assertKnown(server: unknown): asserts server is string {
    const { names } = this.#init;
    if (names.includes(server as string)) return;
    const known = names.map((name) => JSON.stringify(name)).join(', ');
    throw new RangeError(`Expected server to be one of ${known}, got ${shown(server)}.`);
  }

  /**
   * The member for a directory that is asked for without naming one: the one that has it, else what `route` says, else the default one.
   * Places nothing.
   *
   * @throws {RepoPathError} for a path that is not absolute.
   * @throws {TypeError} {@link RangeError} when `route` gives no name of a member, or the member that has it is none of this fleet.
   * @throws what `route` throws.
   */
  choose(directory: unknown): string {
    assertPathText(directory);
    const text = normalizePath(directory);
    const server = this.#ownerOfText(text) ?? this.#routed(text);
    this.assertKnown(server);
    return server;
  }

  /**
   * Places a directory, unless it is there already.
   *
   * @param directory - canonical.
   * @param of - a working tree of the same repository, when it was made through that one.
   * @throws {RepoPlacedError} when another member has it.
   */
  admit(server: string, directory: string, of?: string): void {
    if (!this.#init.isLocal(server)) {
      const servers = this.#remote.get(directory) ?? new Set();
      this.#remote.set(directory, servers.add(server));
      return;
    }
    this.check(server, directory);
    if (this.#local.has(directory)) return;
    this.#put(server, directory, this.repositoryOf(of ?? directory));
  }

  /** As {@link admit}, for a directory in any spelling. */
  admitSpelled(server: string, directory: string): void {
    const text = normalizePath(directory);
    this.admit(server, this.#init.isLocal(server) ? (this.#init.canonicalize(text) ?? text) : text);
  }

  /**
   * Gives a directory of this machine, and all working trees of its repository, another member.
   *
   * @param directory - canonical.
   */
  move(server: string, directory: string): void {
    const from = this.ownerHere(directory);
    const repository = this.repositoryOf(directory);
    const moved = new Set([...this.workingTrees(directory), directory]);
    for (const tree of moved) this.#put(server, tree, repository);
    for (const [text, chosen] of this.#chosen)
      if (chosen === from && moved.has(this.#init.canonicalize(text) ?? text)) this.#chosen.set(text, server);
  }

  /** The directories that were placed of the repository of a directory of this machine. */
  workingTrees(directory: string): string[] {
    const repository = this.repositoryOf(directory);
    return [...this.#local].flatMap(([tree, place]) => (place.repository === repository ? [tree] : []));
  }

  /** What the working trees of the repository of a directory of this machine have in common: the main one, as a rule. */
  repositoryOf(directory: string): string {
    const known = this.#local.get(directory)?.repository;
    if (known !== undefined) return known;
    // So it stays the same when a directory becomes a git repository.
    return this.#init.repositoryOf(directory)?.replace(/[\\/]\.git$/, '') ?? directory;
  }

  /** Whether the directories of a member are on this machine. */
  isLocal(server: string): boolean {
    return this.#init.isLocal(server);
  }

  /** Whether a directory, which is canonical, was placed on a member. */
  has(server: string, directory: string): boolean {
    if (!this.#init.isLocal(server)) return this.#remote.get(directory)?.has(server) === true;
    return this.#local.get(directory)?.server === server;
  }

  /** Whether a member has a repository of this machine. */
  hasRepository(server: string, repository: string): boolean {
    return this.#repositories.get(repository) === server;
  }

  /** Whether a directory was placed on another member. It does not look at the disk. */
  isElsewhere(server: string, directory: string): boolean {
    const owner = this.#local.get(directory)?.server;
    return owner !== undefined && owner !== server && this.#init.isLocal(server);
  }

  /** @throws {RepoPlacedError} when another member has the directory, which is canonical. */
  check(server: string, directory: string): void {
    if (!this.#init.isLocal(server)) return;
    const owner = this.ownerHere(directory);
    if (owner === undefined || owner === server) return;
    throw new RepoPlacedError({ directory, server: owner, requested: server });
  }

  /** The member that has a directory of this machine or, alone, one of another. */
  ownerOf(directory: string): string | undefined {
    return this.#ownerOfText(normalizePath(directory));
  }

  /** The member that has a directory of this machine, which is canonical, or another working tree of its repository. */
  ownerHere(canonical: string): string | undefined {
    const owner = this.#local.get(canonical)?.server;
    if (owner !== undefined || this.#repositories.size === 0) return owner;
    return this.#repositories.get(this.repositoryOf(canonical));
  }

  /** Every placement, those of this machine first. */
  list(): Placement[] {
    const local = [...this.#local].map(([directory, { server }]) => ({ server, directory }));
    const remote = [...this.#remote].flatMap(([directory, servers]) =>
      [...servers].map((server) => ({ server, directory })),
    );
    return [...local, ...remote];
  }

  #ownerOfText(text: string): string | undefined {
    const here = this.ownerHere(this.#init.canonicalize(text) ?? text);
    const elsewhere = [...(this.#remote.get(text) ?? [])];
    if (here === undefined && elsewhere.length < 2) return elsewhere[0];
    if (elsewhere.length === 0) return here;
    return this.#chosen.get(text) ?? here ?? elsewhere[0];
  }

  #put(server: string, directory: string, repository: string): void {
    this.#local.set(directory, { server, repository });
    this.#repositories.set(repository, server);
  }

  #routed(text: string): string {
    const { names, route } = this.#init;
    const routed = route?.(text) ?? names[0];
    if (typeof routed === 'object' && routed !== null && 'then' in routed) {
      // Whatever it becomes, nobody waits for it.
      void Promise.resolve(routed).catch(() => undefined);
      throw new TypeError('Expected route() to give the name of a server at once, got a promise.');
    }
    this.assertKnown(routed);
    this.#chosen.set(text, routed);
    return routed;
  }
}
