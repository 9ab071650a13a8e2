import { serverApi } from '../client/http/server-calls.js';
import type { FetchFunction } from '../client/http/request-options.js';
import { assertOptions, pickOptions, type OptionChecks } from '../core/checks.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';
import { serverOptionChecks, type ServerOptions } from '../lifecycle/server/options.js';
import { OwnedServer } from '../lifecycle/server/owned-server.js';
import type { ServerCalls } from '../lifecycle/server/launch.js';
import { JarvisClient } from './jarvis-client.js';
import { jarvisOptionChecks, type JarvisOptions } from './options.js';
import { nodePlatform } from './platform-node.js';

/** How to start a server and use it. */
export interface StartOptions extends ServerOptions, JarvisOptions {}

const startOptionChecks: OptionChecks<StartOptions> = { ...serverOptionChecks, ...jarvisOptionChecks };

/**
 * One OpenCode server and the repositories behind it.
 *
 * @example
 * ```ts
 * await using jarvis = await JarvisOpenCode.start();
 * const session = await jarvis.forRepo('/home/me/app').sessions.create();
 * const { text } = await session.prompt('What does this project do?');
 * ```
 */
export class JarvisOpenCode extends JarvisClient {
  /**
   * Makes a client of a server that you have a handle of.
   *
   * @throws {TypeError} for an option that is unknown or of the wrong type, and a `restore` that no `snapshot()` gave.
   * @throws {RangeError} for an option out of bounds.
   */
  constructor(server: ServerHandle, options?: JarvisOptions) {
    super(server, options, nodePlatform);
  }

  /**
   * Starts `opencode serve` on a free loopback port with a random password, and owns it: `close()` stops it with all it
   * runs, and so does the end of this process, however it ends.
   *
   * Where `process.env` has `HTTP_PROXY` or `ALL_PROXY`, it adds the loopback addresses to `NO_PROXY` there: runtimes that read these
   * variables (Node with `NODE_USE_ENV_PROXY`, Bun, Deno) would send requests for the server, and its password, to the proxy.
   *
   * @throws {ServerStartError} when there is no binary, its port is taken, it exits, or it is not healthy within `startTimeoutMs`.
   * @throws {UnsupportedServerError} when this library does not support the server's version.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   */
  static async start(options: StartOptions = {}): Promise<JarvisOpenCode> {
    // Checks all options before it starts anything.
    assertOptions('JarvisOpenCode.start()', startOptionChecks, options);
    const server = await OwnedServer.start(
      pickOptions(serverOptionChecks, options),
      serverCalls(options.fetch),
    );
    try {
      return wrap(server, pickOptions(jarvisOptionChecks, options));
    } catch (error) {
      await server.stop();
      throw error;
    }
  }
}

/** Stands outside of the class: a bundler renames a class that names itself. */
function wrap(server: ServerHandle, options: JarvisOptions): JarvisOpenCode {
  return new JarvisOpenCode(server, options);
}

function serverCalls(fetch: FetchFunction | undefined): ServerCalls {
  return {
    probe: (url, authorization) => (signal, timeoutMs) =>
      serverApi(url, authorization, fetch).health(signal, timeoutMs),
    disposeAll: (url, authorization, timeoutMs) => serverApi(url, authorization, fetch).disposeAll(timeoutMs),
  };
}
