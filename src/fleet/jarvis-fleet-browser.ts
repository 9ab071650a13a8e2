import { JarvisOpenCode } from '../app/jarvis-opencode-browser.js';
import { browserPlatform } from '../app/platform/browser.js';
import { FleetClient } from './fleet-client.js';
import { planFleet, type FleetOptions } from './fleet-options.js';
import type { OpenProfile, UrlProfile } from './profiles.js';

/** How one member of a fleet is made in a browser: a server at a `url`, or what `open` gives. */
export type ServerProfile = UrlProfile | OpenProfile;

/**
 * Several OpenCode servers, one for each named profile, and the repositories behind them, in a browser: it connects to servers and starts
 * none.
 */
export class JarvisFleet<Name extends string = string> extends FleetClient<JarvisOpenCode, Name> {
  /**
   * Makes the members. Each is connected to when a request needs it; what `open` gives runs from the beginning where the profile says so.
   *
   * @throws {TypeError} {@link RangeError} for an invalid option, and for profiles that contradict each other.
   */
  static async start<const S extends Readonly<Record<string, ServerProfile>>>(
    options: FleetOptions<S>,
  ): Promise<JarvisFleet<keyof S & string>> {
    return startFleet<keyof S & string>({ ...options }, false);
  }

  /** @internal Makes a fleet of mocks: their directories are those of one machine. */
  static ofMocks<Name extends string>(
    options: FleetOptions<Record<string, object>>,
  ): Promise<JarvisFleet<Name>> {
    return startFleet<Name>(options, true);
  }
}

function startFleet<Name extends string>(
  options: FleetOptions<Readonly<Record<string, object>>>,
  sharesDirectories: boolean,
): Promise<JarvisFleet<Name>> {
  const plans = planFleet(options, (_profile, _defaults, { path }) => {
    throw new TypeError(`Expected ${path} to have url or open: a browser starts no process.`);
  });
  const { route, restore, signal, logger, maxServers, maxServersWaitMs } = options;
  const fleet = new JarvisFleet<Name>({
    plans,
    makeClient: (server, clientOptions) => new JarvisOpenCode(server, clientOptions),
    platform: browserPlatform,
    route,
    restore,
    logger,
    maxServers,
    maxServersWaitMs,
    sharesDirectories,
  });
  return fleet.begin(signal);
}
