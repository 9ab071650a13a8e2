import { Directories } from '../app/directories.js';
import type { JarvisClient } from '../app/jarvis-client.js';
import type { JarvisOptions } from '../app/options.js';
import type { Platform } from '../app/platform/platform.js';
import type { UseNesting } from '../instances/admission.js';
import { RepoPlacedError } from '../errors.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';
import type { JarvisSnapshot } from '../registry/snapshot.js';
import type { FleetSessions } from './fleet-sessions.js';
import { Member } from './member.js';
import type { MemberPlan } from './member-plan.js';
import type { Placements } from './placements.js';
import type { ServerSlots } from './server-slots.js';

/** What the members of a fleet are made of. */
export interface MembersInit<Client extends JarvisClient, Name extends string> {
  readonly plans: ReadonlyMap<string, MemberPlan>;
  readonly makeClient: (server: ServerHandle, options: JarvisOptions) => Client;
  readonly platform: Platform;
  readonly placements: Placements;
  readonly sessions: () => FleetSessions<Name>;
  readonly slots: ServerSlots | undefined;
}

/** The servers of a fleet: one of each profile or, where a profile says so, one of each repository. */
export class Members<Client extends JarvisClient, Name extends string> {
  readonly #init: MembersInit<Client, Name>;
  readonly #all: Member<Client, Name>[] = [];
  readonly #useNesting: UseNesting;
  readonly #listeners = new Set<(member: Member<Client, Name>) => void>();

  constructor(init: MembersInit<Client, Name>) {
    this.#init = init;
    this.#useNesting = { context: init.platform.asyncContext(), admissions: new Set() };
  }

  /** Makes those that there are from the beginning, with the bindings of each; it starts nothing. */
  begin(bindings: ReadonlyMap<string, JarvisSnapshot['bindings']>): void {
    const { plans, placements } = this.#init;
    for (const [name, plan] of plans) {
      const own = bindings.get(name) ?? [];
      if (plan.ofRepository === undefined) this.#make(name, plan, undefined, own);
      else {
        const byRepository = new Map<string, JarvisSnapshot['bindings'][number][]>();
        for (const binding of own) {
          const repository = placements.repositoryOf(binding.directory);
          byRepository.set(repository, [...(byRepository.get(repository) ?? []), binding]);
        }
        for (const [repository, of] of byRepository)
          this.#make(name, plan.ofRepository(repository), repository, of);
      }
    }
  }

  /** Every server there is, by profile. */
  all(): readonly Member<Client, Name>[] {
    return this.#all;
  }

  /** Those of one profile. */
  of(name: string): readonly Member<Client, Name>[] {
    return this.#all.filter((member) => member.name === name);
  }

  /** Whether there may be more later. */
  get mayGrow(): boolean {
    return [...this.#init.plans.values()].some(({ ofRepository }) => ofRepository !== undefined);
  }

  /** Calls the listener for each that is made from now on; the returned function ends that. */
  onMade(listener: (member: Member<Client, Name>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The one of a profile that a directory goes to; `undefined` when the fleet does not have the profile.
   *
   * @param mustMatch - whether a directory of another profile is refused, before a server is made for it.
   * @throws {RepoPlacedError}
   * @throws {RepoPathError} {@link TypeError} when a server of its own would be made for a directory where none could work.
   */
  for(name: string, directory: string | undefined, mustMatch = false): Member<Client, Name> | undefined {
    const { plans, placements, platform } = this.#init;
    const plan = plans.get(name);
    if (plan?.ofRepository === undefined) return this.#all.find((member) => member.name === name);
    if (directory === undefined)
      throw new TypeError(
        `Expected the directory of a repository: ${JSON.stringify(name)} has a server for each (perRepo).`,
      );
    const canonical = new Directories(plan.paths, platform).canonicalize(directory);
    if (mustMatch) placements.check(name, canonical);
    const repository = placements.repositoryOf(canonical);
    const known = this.#all.find((member) => member.name === name && member.repository === repository);
    if (known !== undefined) return known;
    const own = plan.ofRepository(repository);
    own.checkDirectory?.(canonical);
    return this.#make(name, own, repository, []);
  }

  #make(
    name: string,
    plan: MemberPlan,
    repository: string | undefined,
    bindings: JarvisSnapshot['bindings'],
  ): Member<Client, Name> {
    const { plans, makeClient, placements, sessions, slots } = this.#init;
    const id = repository === undefined ? name : `${name} of ${repository}`;
    /** One server of several of a profile has one repository only. */
    const assertOwn = (directory: string, of = directory): void => {
      if (repository === undefined || placements.repositoryOf(of) === repository) return;
      throw new RepoPlacedError({ directory, server: name, requested: id });
    };
    const member = new Member<Client, Name>({
      id,
      name: name as Name,
      repository,
      plan,
      makeClient,
      restore: { version: 1, bindings },
      slots,
      membership: {
        useNesting: this.#useNesting,
        admit: (directory, of) => {
          assertOwn(directory, of);
          placements.admit(name, directory, of);
        },
        place: (directory) => {
          assertOwn(directory);
          placements.admitSpelled(name, directory);
        },
        check: (directory) => {
          placements.check(name, directory);
          assertOwn(directory);
        },
        isElsewhere: (directory) => placements.isElsewhere(name, directory),
        boundElsewhere: (jarvisSessionID) => sessions().boundElsewhere(jarvisSessionID, id),
      },
    });
    const order = [...plans.keys()];
    const next = this.#all.findIndex((other) => order.indexOf(other.name) > order.indexOf(name));
    this.#all.splice(next === -1 ? this.#all.length : next, 0, member);
    for (const listener of this.#listeners) listener(member);
    return member;
  }
}
