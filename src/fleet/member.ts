import type { JarvisClient } from '../app/jarvis-client.js';
import type { InstanceCounts, Membership, MemberView } from '../app/membership.js';
import { setMembership } from '../app/membership.js';
import type { DisposeOptions, RepoClient } from '../client/repo/repo-client.js';
import type { EventSource } from '../client/events/event-stream.js';
import type { HubListener } from '../client/events/hub-listeners.js';
import type { ProcessUsage } from '../core/instance.js';
import { loggerOfUser, withData } from '../core/logger.js';
import type { JarvisOptions } from '../app/options.js';
import type { ServerHandle, ServerState } from '../lifecycle/server/handle.js';
import { LazyServer } from '../lifecycle/server/lazy/lazy-server.js';
import type { SessionMap, SessionRegistry } from '../registry/session-registry.js';
import type { JarvisSnapshot } from '../registry/snapshot.js';
import type { MemberPlan } from './member-plan.js';
import type { ServerSlots } from './server-slots.js';

/** The states in which a server can be asked something without starting it. */
const AWAKE: ReadonlySet<ServerState> = new Set(['ready', 'unhealthy', 'restarting']);

/** What one member of a fleet shows of itself. */
export interface ServerOverview<Name extends string = string> {
  readonly name: Name;
  /** The repository that it is for, with `perRepo`: the directory of its main working tree. Several servers have one name then. */
  readonly repository: string | undefined;
  readonly state: ServerState;
  /** Where it is; `undefined` until it was started or connected to. */
  readonly url: string | undefined;
  /** Its version; `undefined` until it was started or connected to. */
  readonly version: string | undefined;
  /** Its process on this machine, while it runs. */
  readonly pid: number | undefined;
  /** What it uses with all it started; `undefined` where that is not known. */
  readonly usage: ProcessUsage | undefined;
  /** How many instances are loaded. */
  readonly loaded: number;
  /** How many of them something holds. */
  readonly held: number;
  /** How often it was started or connected to, tries that failed included. */
  readonly starts: number;
  /** When one of its instances was last used, epoch milliseconds. */
  readonly lastUsedAt: number | undefined;
  /** When it is stopped if nothing uses it, epoch milliseconds; `undefined` while something does, and for one that is not stopped. */
  readonly stopDeadline: number | undefined;
}

/** What a member is made of. */
export interface MemberInit<Client extends JarvisClient, Name extends string> {
  /** Tells it from the others, also of one profile. */
  readonly id: string;
  readonly name: Name;
  /** The one repository that it is for. @default it is for any */
  readonly repository: string | undefined;
  readonly plan: MemberPlan;
  readonly makeClient: (server: ServerHandle, options: JarvisOptions) => Client;
  readonly membership: Omit<Membership, 'name' | 'join'>;
  readonly restore: JarvisSnapshot;
  /** Lets it run. @default it may at any time */
  readonly slots: ServerSlots | undefined;
}

/** One server of a fleet with its client. */
export class Member<Client extends JarvisClient, Name extends string> {
  readonly id: string;
  readonly name: Name;
  readonly repository: string | undefined;
  readonly client: Client;
  readonly server: LazyServer;
  /** Whether it is started with the fleet. */
  readonly startsNow: boolean;
  #view!: MemberView;

  constructor(init: MemberInit<Client, Name>) {
    const { id, name, repository, plan, makeClient, membership, restore, slots } = init;
    const {
      open,
      opened,
      options: given,
      paths,
      startsNow,
      resources: _,
      ofRepository: __,
      ...server
    } = plan;
    const forAll = loggerOfUser(given.logger);
    const logger = repository === undefined ? forAll : withData(forAll, { repository });
    const options = { ...given, logger };
    this.id = id;
    this.name = name;
    this.repository = repository;
    this.startsNow = startsNow;
    this.server = new LazyServer({
      ...server,
      label: `the server ${JSON.stringify(name)}${repository === undefined ? '' : ` of ${JSON.stringify(repository)}`}`,
      admit: plan.isOwned && slots !== undefined ? (self, signal) => slots.take(self, signal) : undefined,
      open: async (signal) => {
        const handle = await open(signal);
        opened?.(handle, this.client);
        return handle;
      },
      clock: options.clock,
      logger,
    });
    setMembership(this.server, {
      ...membership,
      name,
      join: (view) => {
        this.#view = view;
      },
    });
    this.client = makeClient(this.server, { ...options, paths, restore });
  }

  get bindings(): SessionRegistry {
    return this.#view.bindings;
  }

  get sessions(): SessionMap {
    return this.client.sessions;
  }

  get isAwake(): boolean {
    return AWAKE.has(this.server.state);
  }

  get maxLoaded(): number {
    return this.#view.maxLoaded;
  }

  get dataDirectory(): string | undefined {
    return this.server.dataDirectory;
  }

  resolve(directory: string): string {
    return this.#view.resolve(directory);
  }

  forRepo(directory: string): RepoClient {
    return this.client.forRepo(directory);
  }

  leave(directories: readonly string[], commit: () => void, options?: DisposeOptions): Promise<string[]> {
    return this.#view.leave(directories, commit, options);
  }

  readonly listen = (listener: HubListener): EventSource => this.#view.listen(listener);

  overview(): ServerOverview<Name> {
    const { state, url, version, pid, starts, stopDeadline } = this.server;
    const counts: InstanceCounts = this.#view.counts();
    const usage = this.#view.usage();
    const known = (text: string): string | undefined => (text === '' ? undefined : text);
    return {
      name: this.name,
      repository: this.repository,
      ...{ state, url: known(url), version: known(version), pid, usage },
      ...counts,
      starts,
      stopDeadline,
    };
  }
}
