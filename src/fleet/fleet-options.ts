import type { JarvisOptions } from '../app/options.js';
import {
  aFunction,
  anObject,
  aSignal,
  assertOptions,
  positiveInteger,
  positiveMsOrFalse,
  type OptionChecks,
} from '../core/checks.js';
import type { JarvisSnapshot } from '../registry/snapshot.js';
import type { FleetSnapshot } from './fleet-snapshot.js';
import { planProfile, type MemberPlan, type ProfileContext } from './member-plan.js';
import { memberOptionChecks, type MemberDefaults } from './profiles.js';

/** How a fleet is made. What a single client takes counts for each member, unless its profile has another value. */
export interface FleetOptions<S> extends MemberDefaults {
  /** The members by name, the default one first. A name that begins with a digit would not stay in its place, so it is refused. */
  readonly servers: S;
  /**
   * The member for a directory that none has yet; `undefined` for the default one. It gets the path as it was given, normalised as text, and
   * answers at once. The placement is kept, so it is asked once.
   *
   * @default the default member
   */
  readonly route?: ((directory: string) => (keyof S & string) | undefined) | undefined;
  /**
   * How many servers that the fleet starts run at a time. For one more, the least recently used one is stopped that nothing holds and no
   * request uses, whatever its `stopAfterIdleMs`; when there is none, its requests wait. Servers at a `url` do not count.
   *
   * @default no limit
   */
  readonly maxServers?: number | undefined;
  /**
   * Milliseconds a start may wait for one of `maxServers`; its requests then reject with a `TimeoutError` in phase `server`. The time limit of a
   * request goes on meanwhile.
   *
   * @default 30_000
   */
  readonly maxServersWaitMs?: number | false | undefined;
  /**
   * The result of `snapshot()` of an earlier fleet, or of a client of one server, whose directories are then placed by `route`. It asks
   * and starts no server.
   */
  readonly restore?: FleetSnapshot | JarvisSnapshot | undefined;
  /** Aborts the start; it then rejects with the signal's own reason, with nothing left running. */
  readonly signal?: AbortSignal | undefined;
}

/** Plans a member from a profile. */
export type PlanProfile = (
  profile: Readonly<Record<string, unknown>>,
  defaults: JarvisOptions,
  context: ProfileContext,
) => MemberPlan;

const { paths: _, ...defaultChecks } = memberOptionChecks;
const fleetOptionChecks: OptionChecks<FleetOptions<object>> = {
  ...defaultChecks,
  servers: anObject,
  route: aFunction,
  maxServers: positiveInteger,
  maxServersWaitMs: positiveMsOrFalse,
  restore: anObject,
  signal: aSignal,
};

/**
 * Checks the options of a fleet and plans its members; nothing is started.
 *
 * @param planOther - plans a profile that has neither `url` nor `open`.
 * @throws {TypeError} {@link RangeError} for the first mistake.
 */
export function planFleet(
  options: FleetOptions<Readonly<Record<string, object>>>,
  planOther: PlanProfile,
  beforeRequests?: (hostname: string) => void,
): Map<string, MemberPlan> {
  anObject('the options of JarvisFleet.start()', options);
  assertOptions('JarvisFleet.start()', fleetOptionChecks, options);
  anObject('servers', options.servers);
  const { servers } = options;
  const {
    servers: _s,
    route: _r,
    restore: _t,
    signal: _a,
    maxServers,
    maxServersWaitMs: _w,
    ...defaults
  } = options;
  const profiles = Object.entries(servers);
  if (profiles.length === 0) throw new TypeError('Expected servers to have a profile, got none.');
  const plans = new Map<string, MemberPlan>();
  for (const [name, profile] of profiles) {
    assertName(name);
    const path = `servers.${name}`;
    anObject(path, profile);
    const context = { name, path, isFirst: plans.size === 0, beforeRequests };
    const given = profile as Readonly<Record<string, unknown>>;
    plans.set(name, planProfile(given, defaults, context) ?? planOther(given, defaults, context));
  }
  assertApart(plans);
  assertEnough(maxServers, plans);
  return plans;
}

function assertName(name: string): void {
  if (name === '') throw new TypeError('Expected the names of servers to be no empty text.');
  if (/^(0|[1-9]\d*)$/.test(name))
    throw new TypeError(
      `Expected the names of servers to be no numbers, got ${name}: JavaScript sorts them first, and the first one is the default.`,
    );
}

/** Refuses a limit that the members of the beginning exceed, and servers without number. */
function assertEnough(maxServers: number | undefined, plans: ReadonlyMap<string, MemberPlan>): void {
  const starting = [...plans].filter(([, { startsNow }]) => startsNow).map(([name]) => name);
  if (maxServers !== undefined && starting.length > maxServers)
    throw new RangeError(
      `Expected maxServers to be at least ${starting.length}, got ${maxServers}: ${starting.join(', ')} start with the fleet.`,
    );
  for (const [name, { ofRepository }] of plans)
    if (ofRepository !== undefined && maxServers === undefined)
      throw new TypeError(
        `Expected maxServers beside servers.${name}.perRepo: each repository has a process of 500 MB and more.`,
      );
}

/** Refuses members that would be one server, or that trust differently what they share. */
function assertApart(plans: ReadonlyMap<string, MemberPlan>): void {
  const seen = {
    url: new Map<string, string>(),
    address: new Map<string, string>(),
    data: new Map<string, string>(),
  };
  for (const [name, { resources }] of plans) {
    const { url, address, dataDirectory, trust } = resources;
    assertFree(seen.url, url, name, 'url');
    assertFree(seen.address, address, name, 'port');
    if (dataDirectory === undefined) continue;
    const other = seen.data.get(dataDirectory);
    if (other === undefined) seen.data.set(dataDirectory, name);
    else {
      const theirs = plans.get(other)?.resources.trust;
      if (trust !== theirs)
        throw new TypeError(
          `Expected servers.${name} to have a dataDir of its own, because it differs from servers.${other} in trust (${trust} and ${theirs}): ` +
            'servers on one data directory share credentials and sessions.',
        );
    }
  }
}

function assertFree(
  seen: Map<string, string>,
  value: string | undefined,
  name: string,
  option: string,
): void {
  if (value === undefined) return;
  const other = seen.get(value);
  if (other !== undefined)
    throw new TypeError(
      `Expected ${option} of servers.${name} to be its own, got that of servers.${other}: ${value}.`,
    );
  seen.set(value, name);
}
