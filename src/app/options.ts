import { askOptionChecks, type AskOptions } from '../client/asks/settings.js';
import { aByteLimit, type FetchFunction } from '../client/http/request-options.js';
import type { WebSocketConstructor } from '../client/pty/connection.js';
import { parseTurnLimits, type TurnLimits } from '../client/turns/engine.js';
import type { Clock } from '../core/clock.js';
import {
  aClock,
  aFunction,
  aLogger,
  aSignal,
  aString,
  oneOf,
  positiveMs,
  positiveMsOrFalse,
  type OptionChecks,
} from '../core/checks.js';
import { acceptedVersionChecks } from '../core/accepted-versions.js';
import type { Logger } from '../core/logger.js';
import type { AcceptedVersions } from '../core/version.js';
import { parseIdlePolicy, type IdlePolicy } from '../instances/idle-policy.js';
import { parseHealthPolicy, type HealthPolicy } from '../lifecycle/server/health.js';
import { parseSnapshot, type JarvisSnapshot } from '../registry/snapshot.js';

/** The options of every client, however you make it. */
export interface JarvisOptions extends AskOptions {
  /**
   * Whether the paths given to `forRepo` are on this machine (`local`: the client checks them and resolves links) or
   * may be on another (`remote`: it normalises them as text).
   *
   * @default 'local' for a server this process started: one of its own with a `pid`; else 'remote'
   */
  readonly paths?: 'local' | 'remote' | undefined;
  /** When the client disposes idle instances; `false` for never. */
  readonly idle?: IdlePolicy | false | undefined;
  /**
   * Milliseconds the server may take to load the instance of a repository, or `false` for no limit. The call that finds the
   * instance not loaded waits for it first; its own `timeoutMs` counts from then. A repository with a plugin installs packages
   * before OpenCode 1.18.33 answers (18 s to more than 60 s were measured), and waits for the plugins themselves.
   *
   * @default 300_000
   */
  readonly bootTimeoutMs?: number | false | undefined;
  /** Limits for the turns of the server. */
  readonly turns?: TurnLimits | undefined;
  /**
   * The result of `snapshot()` of an earlier client: the client binds its jarvis sessions again before anything else.
   * It does not ask the server about them; `sessions.reconcile()` does.
   */
  readonly restore?: JarvisSnapshot | undefined;
  /**
   * How long one answer of the server may be, in bytes after decompression, less than 512 MiB. A longer one rejects
   * with `ResponseTooLargeError`. Whatever the limit, the client reads at most 64 KiB of an answer about health, and 64
   * KiB of a refusal.
   *
   * @default 268_435_456 (256 MiB)
   */
  readonly maxResponseBytes?: number | undefined;
  /**
   * How long one event of the server may be, in bytes after decompression, less than 512 MiB. At a longer one the
   * client closes the event stream and opens it again: the logger gets a `ResponseTooLargeError`, subscribers get a
   * `jarvis.gap` with reason `reconnect`.
   *
   * @default 134_217_728 (128 MiB)
   */
  readonly maxEventBytes?: number | undefined;
  /** Gets what the library decides and what goes wrong, as sentences with data; `console` is one, see also `consoleLogger()`. @default silence, or stderr where `NODE_DEBUG` names `jarvis-opencode` */
  readonly logger?: Logger | undefined;
  /** Sends the requests. @default globalThis.fetch */
  readonly fetch?: FetchFunction | undefined;
  /**
   * Connects to terminals (`repo.pty.connect()`).
   *
   * @default `globalThis.WebSocket`, else (Node 20) the package `ws`, which is loaded when the first terminal is opened
   */
  readonly webSocket?: WebSocketConstructor | undefined;
  /** The time source of the idle timers, of `recycleRssBytes`, and of the health checks of a connected server. @default the system's */
  readonly clock?: Clock | undefined;
}

/** How to reach a server that is already running. */
export interface ConnectOptions extends JarvisOptions, AcceptedVersions {
  /** Its origin, e.g. `http://127.0.0.1:4096`. */
  readonly url: string | URL;
  /** The user name for Basic authentication. @default 'opencode' */
  readonly username?: string | undefined;
  /** Leave it out for a server without a password. */
  readonly password?: string | undefined;
  /**
   * How the server is watched: it is asked for its health whenever it shows no other activity (an answer, an event; an event stream that is
   * open has one every 10 s). The first failure makes the state of `jarvis.server` `unhealthy`, the next answer `ready`, and subscribers
   * get `jarvis.server` events. Nothing else follows: requests are sent all the same, and turns end or go on by what the server says
   * when it is back. `{}` watches with the defaults.
   *
   * @default false: a client that does nothing sends nothing, and a server that died counts as `ready`
   */
  readonly health?: HealthPolicy | false | undefined;
  /** Cancels connecting. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds the server may take to answer. @default 10_000 */
  readonly timeoutMs?: number | undefined;
}

/** The check of each option of a client. */
export const jarvisOptionChecks: OptionChecks<JarvisOptions> = {
  ...askOptionChecks,
  paths: oneOf('local', 'remote'),
  idle: (_name, value) => void parseIdlePolicy(value as IdlePolicy | false),
  bootTimeoutMs: positiveMsOrFalse,
  turns: (_name, value) => void parseTurnLimits(value as TurnLimits),
  restore: (_name, value) => void parseSnapshot(value),
  maxResponseBytes: aByteLimit,
  maxEventBytes: aByteLimit,
  logger: aLogger,
  fetch: aFunction,
  webSocket: aFunction,
  clock: aClock,
};

/** The check of each option of a connection; its `url` is checked where it is parsed. */
export const connectOptionChecks: OptionChecks<ConnectOptions> = {
  ...jarvisOptionChecks,
  url: () => undefined,
  health: (_name, value) => void parseHealthPolicy(value as HealthPolicy | false),
  username: aString,
  password: aString,
  signal: aSignal,
  timeoutMs: positiveMs,
  ...acceptedVersionChecks,
};
