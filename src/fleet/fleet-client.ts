import type { JarvisClient } from '../app/jarvis-client.js';
import type { DrainedOptions } from '../app/jarvis-client.js';
import { mapDirectories, type MapFunction, type MapOptions, type MapResult } from '../app/map.js';
import type { JarvisOptions } from '../app/options.js';
import type { Platform } from '../app/platform/platform.js';
import type { EventOptions } from '../client/events/event-stream.js';
import { disposeOptionChecks, type DisposeOptions, type RepoClient } from '../client/repo/repo-client.js';
import type { EventType } from '../client/schema/event.js';
import type { Session } from '../client/sessions/session.js';
import { aString, assertOptions, type OptionChecks } from '../core/checks.js';
import type { RepoOverview } from '../core/instance.js';
import { loggerOfUser, type Logger } from '../core/logger.js';
import { ClosedError, SessionNotBoundError } from '../errors.js';
import { assertCloseOptions, type CloseOptions, type ServerHandle } from '../lifecycle/server/handle.js';
import { fleetEvents, type FleetEventStream } from './fleet-events.js';
import { FleetSessions, type FleetSessionMap } from './fleet-sessions.js';
import { takeFleetSnapshot, type FleetSnapshot } from './fleet-snapshot.js';
import type { Member, ServerOverview } from './member.js';
import type { MemberPlan } from './member-plan.js';
import { Members } from './members.js';
import { Mover, type PlaceResult } from './mover.js';
import { Placements } from './placements.js';
import { restoreFleet } from './restore.js';
import { ServerSlots } from './server-slots.js';

/** Which member of a fleet a directory goes to. */
export interface PlaceOptions<Name extends string> {
  /** The member that is to have it. @default the one that has it, else what `route` says, else the first member */
  readonly server?: Name | undefined;
}

/** What a fleet is made of, from options that were checked. */
export interface FleetInit<Client extends JarvisClient> {
  readonly plans: ReadonlyMap<string, MemberPlan>;
  readonly makeClient: (server: ServerHandle, options: JarvisOptions) => Client;
  readonly platform: Platform;
  readonly route: ((directory: string) => unknown) | undefined;
  readonly restore: unknown;
  /** Whether the paths of all members are those of one machine, also where they are `remote`. @default false */
  readonly sharesDirectories?: boolean | undefined;
  readonly logger: Logger | undefined;
  /** @default no limit */
  readonly maxServers: number | undefined;
  readonly maxServersWaitMs: number | false | undefined;
}

/** How long a start waits for another server to end: less than the time limit of a request, whose error would not say why. */
const MAX_SERVERS_WAIT_MS = 30_000;

const placeChecks: OptionChecks<PlaceOptions<string>> = { server: aString };

/** Several servers and the repositories behind them, on any platform. */
export class FleetClient<Client extends JarvisClient, Name extends string> implements AsyncDisposable {
  /** Which OpenCode session, of which server and repository, serves each jarvis session. */
  readonly sessions: FleetSessionMap<Name>;
  readonly #members: Members<Client, Name>;
  readonly #placements: Placements;
  readonly #mover: Mover<Name>;
  readonly #logger: Logger;
  #ended: (() => void) | undefined;
  readonly #maxServers: number;
  /** Aborts when all members are closed. */
  readonly #over = new AbortController();
  #isClosed = false;

  /** @internal */
  constructor({
    plans,
    makeClient,
    platform,
    route,
    restore,
    logger,
    maxServers,
    maxServersWaitMs = MAX_SERVERS_WAIT_MS,
    sharesDirectories = false,
  }: FleetInit<Client>) {
    const names = [...plans.keys()];
    const isLocal = (name: string): boolean => sharesDirectories || plans.get(name)?.paths !== 'remote';
    const hasLocal = !sharesDirectories && names.some(isLocal);
    for (const [name, { ofRepository }] of plans)
      if (ofRepository !== undefined && !isLocal(name))
        throw new TypeError(
          `Expected paths: 'local' in servers.${name} with perRepo: of another machine nobody knows what is one repository.`,
        );
    this.#logger = loggerOfUser(logger);
    this.#maxServers = maxServers ?? Number.POSITIVE_INFINITY;
    this.#placements = new Placements({
      names,
      isLocal,
      route,
      canonicalize: (directory) => (hasLocal ? canonicalOf(platform, directory) : undefined),
      repositoryOf: (directory) => (hasLocal ? platform.repositoryOf(directory) : undefined),
    });
    const stored = restoreFleet(restore, this.#placements, names);
    this.#members = new Members({
      plans,
      makeClient,
      platform,
      placements: this.#placements,
      sessions: () => sessions,
      slots:
        maxServers === undefined ? undefined : new ServerSlots({ max: maxServers, waitMs: maxServersWaitMs }),
    });
    const sessions = new FleetSessions<Name>({
      members: () => this.#members.all(),
      strangers: stored.strangers as never,
      place: (directory, server) => {
        const member = this.#memberFor(directory, server);
        member.forRepo(directory);
        return member;
      },
    });
    this.#members.begin(stored.byServer);
    this.sessions = sessions;
    this.#mover = new Mover({
      placements: this.#placements,
      memberOf: (name, directory) => this.#members.for(name, directory),
      strangers: {
        list: () => sessions.strangers,
        unbind: (jarvisSessionID) => void sessions.unbind(jarvisSessionID),
      },
      assertOpen: () => this.#assertOpen(),
    });
  }

  /**
   * @internal Starts the members that run from the beginning. On any failure nothing is left running.
   *
   * @param ended - called once, when all members are closed.
   */
  async begin(signal: AbortSignal | undefined, ended?: () => void): Promise<this> {
    this.#ended = ended;
    const stop = (): void => void this.close().catch(() => undefined);
    const starting = this.#members.all().filter(({ startsNow }) => startsNow);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      signal?.throwIfAborted();
      const results = await Promise.allSettled(starting.map(async ({ server }) => server.wake()));
      signal?.throwIfAborted();
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return this;
    } catch (error) {
      await this.close().catch(() => undefined);
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** @internal Stops a member until it is needed again, unless something holds it. */
  async putToSleep(name: string): Promise<void> {
    this.#placements.assertKnown(name);
    await Promise.all(this.#members.of(name).map(({ server }) => server.sleep()));
  }

  /**
   * The client of one repository; the same object for every spelling of its path. It starts no server: the first request does.
   *
   * @param options - `server` is the member that is to have it, where that is not decided yet.
   * @throws {RepoPlacedError} when another member has the directory, or another working tree of its git repository.
   * @throws {RepoPathError} as that of `JarvisOpenCode`.
   * @throws {RangeError} for a name that is none of this fleet, also from `route` or a restored placement.
   * @throws {ClosedError} after `close()`.
   */
  forRepo(directory: string, options?: PlaceOptions<Name>): RepoClient {
    assertOptions('forRepo()', placeChecks, options);
    this.#assertOpen();
    return this.#memberFor(directory, options?.server).forRepo(directory);
  }

  /**
   * Gives a repository, with all working trees of it that were used, to another member: disposes its instances where they are, and keeps the new
   * place in {@link snapshot}. Its requests wait meanwhile; afterwards the `RepoClient` and `Session` objects of the old member reject with
   * `RepoPlacedError`, and their subscriptions end with it. Moves of one repository run one after the other. A repository that no member has
   * is placed, and one that is there already stays.
   *
   * Sessions stay in the data directory where they are. When both members have the same one, the bindings go along; else the call is refused
   * while a jarvis session is bound in the repository.
   *
   * @param options - `force` moves it whatever holds it, as `repo.dispose({ force: true })`, and removes the bindings that cannot go along.
   * @throws {DisposeRefusedError} when something holds it and `force` is not set; nothing was moved then, nor in the other cases.
   * @throws {RepoBoundError} when sessions are bound there that the other member does not have, and `force` is not set.
   * @throws {TimeoutError} {@link RequestError} {@link ConnectionError} when the old member does not dispose.
   * @throws {RepoPathError} if the other member cannot work there.
   * @throws {RangeError} for a name that is none of this fleet.
   * @throws {TypeError} for a member on another machine: what it has by the path is another directory.
   * @throws {ClosedError} after `close()`.
   */
  async place(directory: string, server: Name, options?: DisposeOptions): Promise<PlaceResult<Name>> {
    assertOptions('place()', disposeOptionChecks, options);
    this.#assertOpen();
    return this.#mover.move(directory, server, options);
  }

  /**
   * The session a jarvis session is bound to, on its server.
   *
   * @throws {SessionNotBoundError} when it is bound to none.
   * @throws {RangeError} when its server is none of this fleet.
   * @throws {ClosedError} after `close()`.
   */
  forSession(jarvisSessionID: string): Session {
    this.#assertOpen();
    const binding = this.sessions.get(jarvisSessionID);
    if (binding === undefined) throw new SessionNotBoundError(jarvisSessionID);
    return this.server(binding.server, binding.directory).forSession(jarvisSessionID);
  }

  /**
   * The client of one member: its `global`, its `server`, and what else concerns it alone. Its `forRepo` refuses what another member has.
   *
   * @param directory - of the repository, for a member with `perRepo`; another one is the same for all.
   * @throws {RangeError} for a name that is none of this fleet.
   * @throws {TypeError} for a member with `perRepo` when no directory is given.
   * @throws {RepoPlacedError} {@link RepoPathError} for a member with `perRepo`, as {@link forRepo}.
   */
  server(name: Name, directory?: string): Client {
    this.#placements.assertKnown(name);
    return this.#memberOf(name, directory).client;
  }

  /**
   * The events of every repository of every member, each with its `server`. It starts no server.
   *
   * @throws {ClosedError} after `close()`.
   */
  events<T extends EventType>(options?: Omit<EventOptions<T>, 'hold'>): FleetEventStream<T, Name> {
    this.#assertOpen();
    return fleetEvents<T, Name>(this.#members, this.#logger, this.#over.signal, options);
  }

  /** What is known of every repository's instance at this moment; see `JarvisOpenCode.repos()`. It asks and starts no server. */
  repos(): (RepoOverview & { readonly server: Name })[] {
    return this.#members
      .all()
      .flatMap(({ name, client }) => client.repos().map((repo) => ({ ...repo, server: name })));
  }

  /**
   * What is known of every member at this moment, the first one first; with `perRepo`, of the server of each repository that the member has. It
   * asks and starts no server.
   */
  servers(): ServerOverview<Name>[] {
    return this.#members
      .all()
      .filter(
        ({ name, repository, isAwake }) =>
          repository === undefined || isAwake || this.#placements.hasRepository(name, repository),
      )
      .map((member) => member.overview());
  }

  /**
   * Works on many directories, each on its server; see {@link JarvisOpenCode.map}. By default on as many at a time as all members load, and on
   * no more than `maxServers`.
   */
  async map<T>(
    directories: Iterable<string>,
    work: MapFunction<T>,
    options?: MapOptions<T>,
  ): Promise<MapResult<T>[]> {
    this.#assertOpen();
    return mapDirectories(directories, work, options, {
      forRepo: (directory) => this.forRepo(directory),
      concurrency: this.#concurrency(),
    });
  }

  /** Resolves when nothing runs on any member; see {@link JarvisOpenCode.drained}. */
  async drained(options?: DrainedOptions): Promise<void> {
    await Promise.all(this.#members.all().map(({ client }) => client.drained(options)));
  }

  /** Placements and bindings as JSON: store it, and give it back as the option `restore` of the next fleet. */
  snapshot(): FleetSnapshot {
    return takeFleetSnapshot(this.#placements.list(), this.sessions.list());
  }

  /**
   * Ends everything, all members at the same time; see {@link JarvisOpenCode.close}. Idempotent.
   *
   * @throws {RangeError} for an invalid `graceMs` or `drainMs`; nothing was closed then.
   * @throws {AggregateError} when servers could not be stopped; the others are.
   */
  async close(options?: CloseOptions): Promise<void> {
    assertCloseOptions(options);
    this.#isClosed = true;
    const ends = await Promise.allSettled(this.#members.all().map(({ client }) => client.close(options)));
    this.#over.abort(new ClosedError('The fleet'));
    this.#ended?.();
    this.#ended = undefined;
    const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (errors.length > 0)
      throw new AggregateError(errors, `${errors.length} of the servers could not be closed.`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ClosedError('The fleet');
  }

  /** As many as all members load; one for each server that may run where there may be any number. */
  #concurrency(): number {
    if (this.#members.mayGrow) return this.#maxServers;
    const all = this.#members.all().reduce((sum, { maxLoaded }) => sum + maxLoaded, 0);
    return Math.min(all, this.#maxServers);
  }

  #memberFor(directory: string, server: Name | undefined): Member<Client, Name> {
    if (server !== undefined) this.#placements.assertKnown(server);
    return this.#memberOf(server ?? (this.#placements.choose(directory) as Name), directory);
  }

  /** A member that is known, and may have the directory. */
  #memberOf(name: Name, directory: string | undefined): Member<Client, Name> {
    return this.#members.for(name, directory, true) as Member<Client, Name>;
  }
}

function canonicalOf(platform: Platform, directory: string): string | undefined {
  try {
    return platform.canonicalize(directory);
  } catch {
    return undefined;
  }
}
