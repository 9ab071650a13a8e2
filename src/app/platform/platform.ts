import type { Logger } from '../../core/logger.js';
import type { EventFetch } from '../../client/http/http.js';
import type { WebSocketConstructor } from '../../client/pty/connection.js';
import type { ServerHandle } from '../../lifecycle/server/handle.js';
import type { Tracing } from '../../core/tracing.js';
import type { AsyncContext } from '../../core/async-context.js';
import type { Finding } from '../../core/diagnosis.js';
import type { InstanceDecision, TreeUsage } from '../../core/instance.js';

/** What differs between Node and a browser. */
export interface Platform {
  /**
   * Loads the WebSocket that connects to terminals, unless the client's options name another; `undefined` where there is
   * none. Called when a terminal is opened.
   */
  loadWebSocket(): Promise<WebSocketConstructor | undefined>;
  /**
   * The one spelling of a directory on this machine.
   *
   * @throws {RepoPathError} when it is not absolute, does not exist, is not a directory, or cannot be read.
   * @throws {TypeError} where there is no file system.
   */
  canonicalize(directory: string): string;
  /** What tells the working trees of one git repository on this machine from those of others; `undefined` for other directories. */
  repositoryOf(directory: string): string | undefined;
  /** The line of a configuration file on this machine that the body of an error complains about. */
  configLine(body: unknown): number | undefined;
  /**
   * What a process and all its descendants use now; `undefined` where that cannot be read.
   *
   * @param server - the server itself, where the process is a wrapper that started it.
   */
  usage(pid: number, server?: number): TreeUsage | undefined;
  /** Makes a context of asynchronous work; `undefined` where the runtime has none. */
  asyncContext<T>(): AsyncContext<T> | undefined;
  /**
   * Sends the request for the event stream, instead of `fetch`, unless the client's options name another `fetch`.
   *
   * @default `fetch`
   */
  readonly openEvents?: EventFetch | undefined;
  /**
   * Keeps the process alive until the returned function is called, which may be called once.
   *
   * @default the connection to the server does that
   */
  readonly keepAlive?: (() => () => void) | undefined;
  /** The logger of a client whose options name none. @default silence */
  logger?(): Logger | undefined;
  /** Looks at this machine, for `diagnose()`; nothing where the runtime shows none of it. */
  diagnose?(server: ServerHandle): Promise<Finding[]>;
  /** Publishes the begin and the end of what the client does. @default nobody can listen */
  readonly tracing?: Tracing | undefined;
  /** Publishes a decision about an instance to whoever diagnoses this process. */
  publish(decision: InstanceDecision): void;
}
