import type { JarvisClient } from '../app/jarvis-client.js';
import { attachServer, parseOrigin } from '../app/attach.js';
import type { JarvisOptions } from '../app/options.js';
import { assertOptions, pickOptions, shown } from '../core/checks.js';
import { withData } from '../core/logger.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';
import { RestartBudget, parseRestartPolicy, type RestartPolicy } from '../lifecycle/server/restart-budget.js';
import {
  memberOptionChecks,
  openProfileChecks,
  urlProfileChecks,
  type Lifetime,
  type OpenProfile,
  type UrlProfile,
} from './profiles.js';

/** Milliseconds a member that is not the first one stays without a use. */
const STOP_AFTER_IDLE_MS = 900_000;
const OPEN_TIMEOUT_MS = 60_000;

/** What a member shares with no other. */
export interface ServerResources {
  /** Origin of a server of somebody else. */
  readonly url?: string | undefined;
  /** Host and fixed port of a server of our own. */
  readonly address?: string | undefined;
  readonly dataDirectory?: string | undefined;
  /** What must be the same for members that share a data directory. */
  readonly trust?: string | undefined;
}

/** How one member is made. */
export interface MemberPlan {
  /** Makes a handle that is ready. */
  readonly open: (signal: AbortSignal) => Promise<ServerHandle>;
  readonly isOwned: boolean;
  readonly paths: 'local' | 'remote';
  readonly options: Omit<JarvisOptions, 'restore'>;
  readonly nextAttempt: () => number | undefined;
  readonly startsNow: boolean;
  /** The plan of the server of one repository, when each has its own; this plan is of none then. */
  readonly ofRepository?: ((repository: string) => MemberPlan) | undefined;
  readonly stopAfterIdleMs?: number | undefined;
  readonly reopens?: boolean | undefined;
  readonly openTimeoutMs?: number | undefined;
  readonly dataDirectory?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  readonly hasDataFile?: ((path: string) => boolean) | undefined;
  readonly checkDirectory?: ((directory: string) => void) | undefined;
  readonly resources: ServerResources;
  /** Called with the handle of each start, and the client of the member. */
  readonly opened?: ((handle: ServerHandle, client: JarvisClient) => void) | undefined;
}

/** A profile with the options that the fleet gives to all, and what depends on its place. */
export interface ProfileContext {
  readonly name: string;
  /** As messages name it: `servers.heavy`. */
  readonly path: string;
  readonly isFirst: boolean;
  /** Called with the hostname of a server before anything is sent to it. */
  readonly beforeRequests?: ((hostname: string) => void) | undefined;
}

/** Plans a member from a profile that every platform has; `undefined` for another. @throws {TypeError} {@link RangeError} */
export function planProfile(
  profile: Readonly<Record<string, unknown>>,
  defaults: JarvisOptions,
  context: ProfileContext,
): MemberPlan | undefined {
  if (profile['url'] !== undefined && profile['open'] !== undefined) {
    throw new TypeError(`Expected ${context.path} to have url or open, got both.`);
  }
  if (profile['url'] !== undefined) return planUrl(profile, defaults, context);
  if (profile['open'] !== undefined) return planOpen(profile, defaults, context);
  return undefined;
}

/** The options of a member: those of its profile, else those of the fleet, with a logger that names the member. */
export function mergedOptions<T extends JarvisOptions>(
  profile: object,
  defaults: JarvisOptions,
  { name }: ProfileContext,
): T {
  const given = Object.entries(profile).filter(([, value]) => value !== undefined);
  const options = { ...defaults, ...Object.fromEntries(given) } as T;
  const { logger } = options;
  return logger === undefined ? options : { ...options, logger: withData(logger, { server: name }) };
}

function planUrl(profile: object, defaults: JarvisOptions, context: ProfileContext): MemberPlan {
  const { path, beforeRequests } = context;
  assertOptions(path, urlProfileChecks, profile, `${path}.`);
  const options = mergedOptions<UrlProfile>(profile, defaults, context);
  const url = parseOrigin(options.url);
  return {
    open: (signal) => attachServer({ ...options, health: options.health ?? {}, signal }, beforeRequests),
    isOwned: false,
    paths: options.paths ?? 'remote',
    options: pickOptions(memberOptionChecks, options),
    // It may come back at any time, and a request that waits for it has a time limit.
    nextAttempt: () => 0,
    startsNow: false,
    resources: { url },
  };
}

function planOpen(profile: object, defaults: JarvisOptions, context: ProfileContext): MemberPlan {
  const { path, isFirst } = context;
  assertOptions(path, openProfileChecks, profile, `${path}.`);
  const options = mergedOptions<OpenProfile>(profile, defaults, context);
  const { open, startTimeoutMs = OPEN_TIMEOUT_MS, perRepo = false } = options;
  assertLifetime(options, path);
  const used = new WeakSet<ServerHandle>();
  const plan = (repository?: string): MemberPlan => ({
    open: async (signal) => {
      const handle: unknown = await open(signal, repository);
      assertHandle(handle);
      if (used.has(handle)) throw new TypeError('open() gave the handle of an earlier start again');
      used.add(handle);
      return handle;
    },
    isOwned: true,
    paths: options.paths ?? 'remote',
    options: pickOptions(memberOptionChecks, options),
    nextAttempt: attempts(undefined),
    ...lifetimeOf(options, isFirst),
    reopens: true,
    openTimeoutMs: startTimeoutMs,
    resources: {},
  });
  return perRepo ? { ...plan(), ofRepository: plan } : plan();
}

/** @throws {TypeError} for servers of repositories that nobody knows yet and that are to start. */
export function assertLifetime({ start, perRepo }: Lifetime, path: string): void {
  if (perRepo === true && start === 'now')
    throw new TypeError(`Expected ${path} to have start: 'on-demand' with perRepo, got 'now'.`);
}

/** When a member starts and stops. */
export function lifetimeOf(
  { start, stopAfterIdleMs, perRepo = false }: Lifetime,
  isFirst: boolean,
): Pick<MemberPlan, 'startsNow' | 'stopAfterIdleMs'> {
  const isDefault = isFirst && !perRepo;
  const idleMs = stopAfterIdleMs ?? (isDefault ? false : STOP_AFTER_IDLE_MS);
  return {
    startsNow: (start ?? (isDefault ? 'now' : 'on-demand')) === 'now',
    stopAfterIdleMs: idleMs === false ? undefined : idleMs,
  };
}

/** Counts the starts that failed, by a restart policy. */
export function attempts(policy: RestartPolicy | false | undefined): () => number | undefined {
  const parsed = parseRestartPolicy(policy);
  if (parsed === undefined) return () => undefined;
  const budget = new RestartBudget(parsed);
  return () => budget.take();
}

function assertHandle(handle: unknown): asserts handle is ServerHandle {
  const given = (typeof handle === 'object' && handle !== null ? handle : {}) as Partial<ServerHandle>;
  const isHandle =
    typeof given.url === 'string' && typeof given.on === 'function' && typeof given.stop === 'function';
  if (!isHandle || given.closed === undefined)
    throw new TypeError(`Expected open() to give a server handle, got ${shown(handle)}`);
  const origin = URL.canParse(given.url ?? '') ? new URL(given.url ?? '').origin : undefined;
  if (origin === undefined || origin === 'null' || origin !== given.url)
    throw new TypeError(
      `Expected the url of the handle of open() to be an origin such as http://127.0.0.1:4096, got ${shown(given.url)}`,
    );
}
