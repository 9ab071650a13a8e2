import { JarvisOpenCode } from '../app/jarvis-opencode.js';
import { debugLogger } from '../app/platform/debug-logger.js';
import { nodePlatform } from '../app/platform/node.js';
import { recordStart } from '../app/platform/start-places.js';
import type { Logger } from '../core/logger.js';
import { exemptLoopback, isLoopback } from '../lifecycle/server/launch/loopback.js';
import { FleetClient } from './fleet-client.js';
import { planFleet, type FleetOptions } from './fleet-options.js';
import { planOwn, type OwnProfile } from './own-profile.js';
import type { OpenProfile, UrlProfile } from './profiles.js';

/** How one member of a fleet is made: a process of its own, a server at a `url`, or what `open` gives. */
export type ServerProfile = OwnProfile | UrlProfile | OpenProfile;

/**
 * Several OpenCode servers, one for each named profile, and the repositories behind them. Each member is an ordinary
 * {@link JarvisOpenCode}; the trouble of one changes nothing for another.
 *
 * @example
 * ```ts
 * await using fleet = await JarvisFleet.start({
 *   servers: { main: {}, heavy: { dataDir: '/var/lib/app/heavy' } },
 *   route: (directory) => (directory.startsWith('/srv/monorepo') ? 'heavy' : undefined),
 * });
 * const { text } = await fleet.forRepo('/srv/monorepo').prompt('What does this project do?');
 * ```
 */
export class JarvisFleet<Name extends string = string> extends FleetClient<JarvisOpenCode, Name> {
  /**
   * Makes the members, and starts those that run from the beginning: by default the first one. The others start when a request needs
   * them.
   *
   * @throws {TypeError} {@link RangeError} for an invalid option, and for profiles that contradict each other.
   * @throws {ServerStartError} {@link UnsupportedServerError} when a member that runs from the beginning does not start; nothing is left running.
   */
  static async start<const S extends Readonly<Record<string, ServerProfile>>>(
    options: FleetOptions<S>,
  ): Promise<JarvisFleet<keyof S & string>> {
    return startFleet<keyof S & string>({ ...options }, false);
  }

  /** @internal Makes a fleet of mocks: their directories are those of one machine, without a disk. */
  static ofMocks<Name extends string>(
    options: FleetOptions<Record<string, object>>,
  ): Promise<JarvisFleet<Name>> {
    return startFleet<Name>(options, true);
  }
}

async function startFleet<Name extends string>(
  options: FleetOptions<Readonly<Record<string, object>>>,
  sharesDirectories: boolean,
): Promise<JarvisFleet<Name>> {
  const logger = options.logger ?? debugLogger();
  const plans = planFleet({ ...options, logger }, planOwn, (hostname) => {
    if (isLoopback(hostname)) exemptLoopback(hostname);
  });
  const { route, restore, signal, maxServers, maxServersWaitMs } = options;
  const fleet = new JarvisFleet<Name>({
    plans,
    makeClient: (server, clientOptions) => new JarvisOpenCode(server, clientOptions),
    platform: nodePlatform,
    route,
    restore,
    logger,
    maxServers,
    maxServersWaitMs,
    sharesDirectories,
  });
  return fleet.begin(signal, recordOwnStart(logger, Object.keys(options.servers)));
}

/** Stands outside of the class: a bundler renames a class that names itself. */
function recordOwnStart(logger: Logger | undefined, servers: readonly string[]): () => void {
  return recordStart(JarvisFleet, { logger, servers });
}
