import { channel } from 'node:diagnostics_channel';
import { WebSocket } from 'ws';
import type { FetchFunction } from '../client/http/request-options.js';
import type { WebSocketConstructor } from '../client/pty/connection.js';
import { serverApi } from '../client/http/server-calls.js';
import { assertOptions, pickOptions, type OptionChecks } from '../core/checks.js';
import type { InstanceDecision } from '../core/instance.js';
import { JarvisClient } from './jarvis-client.js';
import { jarvisOptionChecks, type JarvisOptions } from './options.js';
import { canonicalPath } from '../lifecycle/paths/canonical-path.js';
import { configLine } from '../lifecycle/server/config-line.js';
import { usageOf, type TreeUsage } from '../lifecycle/process/usage.js';
import { OwnedServer } from '../lifecycle/server/owned-server.js';
import { assertNoPlugins } from '../lifecycle/paths/project-plugins.js';
import { DirectoryTraps } from '../lifecycle/paths/directory-traps.js';
import { parseServerOptions, serverOptionChecks, type ServerOptions } from '../lifecycle/server/options.js';
import type { ServerCalls } from '../lifecycle/server/server-process.js';
import { silentLogger } from '../core/logger.js';

/** Every decision about an instance, for whoever subscribes to it by its name. */
const instanceChannel = channel('jarvis-opencode:instance');

/** How to start a server and use it. */
export interface StartOptions extends ServerOptions, JarvisOptions {}

const startOptionChecks: OptionChecks<StartOptions> = { ...serverOptionChecks, ...jarvisOptionChecks };

/** OpenCode 1.18.33 keeps 2 Mi UTF-16 code units of output and sends them in one message: 6 MiB of UTF-8 at most. */
const MAX_TERMINAL_MESSAGE_BYTES = 16 * 1024 * 1024;

class BoundedWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { maxPayload: MAX_TERMINAL_MESSAGE_BYTES });
  }
}

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
  #trustsProjects = true;
  #traps: DirectoryTraps | undefined;

  /**
   * Starts `opencode serve` on a free loopback port with a random password, and owns it: `close()` stops it with all it runs, and so
   * does the end of this process, whatever ends it.
   *
   * @throws {ServerStartError} when there is no binary, its port is taken, it exits, or it is not healthy within `startTimeoutMs`.
   * @throws {UnsupportedServerError} when it is not a version this library can talk to.
   * @throws {TypeError} {@link RangeError} for an invalid option.
   */
  static async start(options: StartOptions = {}): Promise<JarvisOpenCode> {
    // All of it, before anything is started.
    assertOptions('JarvisOpenCode.start()', startOptionChecks, options);
    const serverOptions = pickOptions(serverOptionChecks, options);
    const server = await OwnedServer.start(serverOptions, serverCalls(options.fetch));
    try {
      const jarvis = new JarvisOpenCode(server, pickOptions(jarvisOptionChecks, options));
      jarvis.#trustsProjects = options.trustProjectConfig ?? true;
      jarvis.#traps = directoryTraps(serverOptions, server.pid);
      return jarvis;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  protected override defaultWebSocket(): WebSocketConstructor {
    return BoundedWebSocket;
  }

  protected override serverUsage(): TreeUsage | undefined {
    const { pid } = this.server;
    return pid === undefined ? undefined : usageOf(pid);
  }

  protected override configLine(body: unknown): number | undefined {
    return configLine(body);
  }

  protected override publish(decision: InstanceDecision): void {
    if (instanceChannel.hasSubscribers) instanceChannel.publish(decision);
  }

  protected override checkTraps(canonical: string): void {
    if (this.paths === 'local') this.#traps?.check(canonical);
  }

  protected override canonicalDirectory(directory: string): string {
    const canonical = this.paths === 'local' ? canonicalPath(directory) : super.canonicalDirectory(directory);
    if (!this.#trustsProjects) assertNoPlugins(canonical);
    return canonical;
  }
}

function directoryTraps(options: ServerOptions, pid: number): DirectoryTraps {
  const { env, cwd } = parseServerOptions(options);
  return new DirectoryTraps({
    env,
    cwd,
    pid,
    ownsData: options.dataDir !== undefined,
    snapshot: options.config?.['snapshot'] as boolean | undefined,
    trustsProjects: options.trustProjectConfig ?? true,
    logger: options.logger ?? silentLogger,
  });
}

function serverCalls(fetch: FetchFunction | undefined): ServerCalls {
  return {
    probe: (url, authorization) => (signal, timeoutMs) =>
      serverApi(url, authorization, fetch).health(signal, timeoutMs),
    disposeAll: (url, authorization, timeoutMs) => serverApi(url, authorization, fetch).disposeAll(timeoutMs),
  };
}
