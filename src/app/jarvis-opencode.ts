import { anObject, assertOptions, pickOptions, shown, someMs, type OptionChecks } from '../core/checks.js';
import { HOST_SIGNAL_GRACE_MS, type ServerHandle } from '../lifecycle/server/handle.js';
import { serverOptionChecks, type ServerOptions } from '../lifecycle/server/options.js';
import { exemptLoopback, isLoopback } from '../lifecycle/server/launch/loopback.js';
import { OwnedServer } from '../lifecycle/server/owned-server.js';
import { comparableOptions } from './comparable-options.js';
import { JarvisClient } from './jarvis-client.js';
import { connectAs, type ClientClass } from './attach.js';
import { jarvisOptionChecks, type ConnectOptions, type JarvisOptions } from './options.js';
import type { OnlyOpenCode2, OpenCode2Client } from './opencode2-client.js';
import { nodePlatform } from './platform/node.js';
import { unrefPlatform } from './platform/unref.js';
import { sharedClient } from './shared-clients.js';
import { startServer } from './start-server.js';
import { recordStart } from './platform/start-places.js';

/** What a signal to end this process does. */
export interface SignalPolicy {
  /** Milliseconds that running work may take to end before the server is stopped, as in `close({ drainMs })`. */
  readonly drainMs: number;
}

/** How to start a server and use it. */
export interface StartOptions extends ServerOptions, JarvisOptions {
  /**
   * Lets running work end when SIGINT, SIGTERM or SIGHUP ends this process: the client drains, the server stops, then the process ends
   * by that signal. A second signal ends everything at once. A process that listens for the signal itself decides itself: call
   * `close({ drainMs })` there.
   *
   * @default the server stops at once
   */
  readonly onSignal?: SignalPolicy | undefined;
}

/** How to start a server that every copy of a module uses. */
export type SharedOptions = Omit<StartOptions, 'signal'>;

const signalPolicyChecks: OptionChecks<SignalPolicy> = { drainMs: someMs };
/** The check of each option. */
export const startOptionChecks: OptionChecks<StartOptions> = {
  ...serverOptionChecks,
  ...jarvisOptionChecks,
  onSignal: (name, value) => {
    anObject(name, value);
    someMs(`${name}.drainMs`, (value as Partial<SignalPolicy>).drainMs);
    assertOptions(name, signalPolicyChecks, value, `${name}.`);
  },
};
const { signal: _, ...sharedOptionChecks } = startOptionChecks;

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
    super(server, options, server instanceof OwnedServer && server.isUnref ? unrefPlatform() : nodePlatform);
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
  static async start(options: StartOptions & OnlyOpenCode2): Promise<OpenCode2Client<JarvisOpenCode>>;
  static async start(options?: StartOptions): Promise<JarvisOpenCode>;
  static async start(options: StartOptions = {}): Promise<JarvisOpenCode> {
    // Checks all options before it starts anything.
    assertOptions('JarvisOpenCode.start()', startOptionChecks, options);
    const ended = recordOwnStart(options);
    try {
      const jarvis = await startClient(options);
      void jarvis.server.closed.then(ended);
      return jarvis;
    } catch (error) {
      ended();
      throw error;
    }
  }

  static override async connect<T extends JarvisClient>(
    this: ClientClass<T>,
    options: ConnectOptions & OnlyOpenCode2,
  ): Promise<OpenCode2Client<T>>;
  static override async connect<T extends JarvisClient>(
    this: ClientClass<T>,
    options: ConnectOptions,
  ): Promise<T>;
  static override async connect<T extends JarvisClient>(
    this: ClientClass<T>,
    options: ConnectOptions,
  ): Promise<T> {
    return connectAs(this, options, (hostname) => {
      if (isLoopback(hostname)) exemptLoopback(hostname);
    });
  }

  /**
   * The client of `key` in this process: the first call starts a server as {@link JarvisOpenCode.start} does, every further
   * one gives the same client, also to another copy of a module or of this library. For development servers (Vite, Next.js),
   * which evaluate a module again after each edit.
   *
   * It lives until somebody calls its `close()`, which ends it for all, until its server is `failed` for good, or until the
   * process ends. The next call then starts a new one, after the end of the last. Callers at the same time share one start; a
   * start that failed is not kept, so the next call tries again.
   *
   * Options are compared by value, functions among them as equal. Those of the call that starts count; `logger`, `clock`,
   * `fetch`, `webSocket` and `restore` are not compared. There is no `signal`: it would end the start of all.
   *
   * @example
   * ```ts
   * const jarvis = await JarvisOpenCode.shared('main', { dataDir: '/var/lib/app/opencode' });
   * ```
   * @param key - a name of your choice, one for each server.
   * @throws {TypeError} when the client of `key` was started with other options, which it names, or by another version of
   *   this library; also for a key that is no text, or an invalid option.
   * @throws {RangeError} for an option out of bounds.
   * @throws {ServerStartError} {@link UnsupportedServerError} as `start()`.
   */
  static async shared(
    key: string,
    options: SharedOptions & OnlyOpenCode2,
  ): Promise<OpenCode2Client<JarvisOpenCode>>;
  static async shared(key: string, options?: SharedOptions): Promise<JarvisOpenCode>;
  static async shared(key: string, options: SharedOptions = {}): Promise<JarvisOpenCode> {
    if (typeof key !== 'string' || key === '') {
      throw new TypeError(`Expected the key of JarvisOpenCode.shared() to be a text, got ${shown(key)}.`);
    }
    assertOptions('JarvisOpenCode.shared()', sharedOptionChecks, options);
    return sharedClient(key, comparableOptions(options), () => startClient(options));
  }
}

/** Starts a server and makes its client, from options that were checked. */
async function startClient(options: StartOptions): Promise<JarvisOpenCode> {
  const server = await startServer(options, options.signal);
  try {
    const jarvis = new JarvisOpenCode(server, pickOptions(jarvisOptionChecks, options));
    if (options.onSignal !== undefined) {
      const { drainMs } = options.onSignal;
      server.onHostSignal(() => jarvis.close({ drainMs, graceMs: HOST_SIGNAL_GRACE_MS }));
    }
    return jarvis;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Stands outside of the class: a bundler renames a class that names itself. */
function recordOwnStart(options: StartOptions): () => void {
  return recordStart(JarvisOpenCode, options);
}
