import {
  aBoolean,
  aNumber,
  policyOf,
  positiveInteger,
  positiveMs,
  type OptionChecks,
} from '../core/checks.js';

/** When instances are given back to the server. */
export interface IdlePolicy {
  /**
   * Milliseconds after its last use until an instance that nothing holds is disposed.
   *
   * @default 600_000
   */
  readonly idleTimeoutMs?: number | undefined;
  /**
   * How many instances may stay loaded; over it, the least recently used one that nothing holds is disposed.
   *
   * @default 8
   */
  readonly maxLoaded?: number | undefined;
  /**
   * Bytes of resident memory that the server may use together with its children; over it, the least recently used instance
   * that nothing holds is disposed, one after the other. Looked at every 10 s while there is one. The server keeps its own
   * heap for reuse (about 500 MB after a day's work are usual), so only its children's memory comes back: leave room for
   * it. For a server started by this library, on Linux.
   *
   * @default no limit
   */
  readonly maxServerRssBytes?: number | undefined;
  /**
   * Whether an instance that somebody else uses is left alone: neither its idle time nor `maxLoaded` nor `maxServerRssBytes` disposes
   * it, until it was disposed otherwise. It counts as used by somebody else when it was loaded without a call of this client, or
   * when a session that this client has sent nothing to was created or at work in it. On a server that this client only connected to,
   * nobody can tell who loaded an instance, so none is disposed by itself.
   *
   * Work of others holds an instance in any case, while it runs. This option is for those who only listen: OpenCode 1.18.33 gives no sign
   * of a client that reads `GET /event`. The disposal ends its stream, after a last `server.instance.disposed`. An attached TUI goes on
   * then; `opencode run --attach` ends at once, with code 0, when its stream ends before its prompt is at work.
   * A client that listens and has done nothing yet in an instance of yours is not seen even with this option: `hold()` the instance then.
   *
   * @default false
   */
  readonly keepForeign?: boolean | undefined;
}

const DEFAULT_IDLE_TIMEOUT_MS = 600_000;
/** How many instances stay loaded, and how many directories `map()` works on, when nothing else is said. */
export const DEFAULT_MAX_LOADED = 8;

/** {@link IdlePolicy}, checked and complete. */
export type ParsedIdlePolicy = { readonly [K in keyof IdlePolicy]-?: NonNullable<IdlePolicy[K]> };

const idleChecks: OptionChecks<IdlePolicy> = {
  idleTimeoutMs: positiveMs,
  maxLoaded: positiveInteger,
  maxServerRssBytes: aNumber('a positive number of bytes', (value) => value > 0),
  keepForeign: aBoolean,
};

/**
 * Checks an idle policy and fills in its defaults; `undefined` when it is switched off.
 *
 * @throws {TypeError} {@link RangeError} for an invalid one.
 */
export function parseIdlePolicy(policy: IdlePolicy | false | undefined): ParsedIdlePolicy | undefined {
  const given = policyOf('idle', idleChecks, policy);
  if (given === undefined) return undefined;
  const {
    idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS,
    maxLoaded = DEFAULT_MAX_LOADED,
    maxServerRssBytes = Number.POSITIVE_INFINITY,
    keepForeign = false,
  } = given;
  return { idleTimeoutMs, maxLoaded, maxServerRssBytes, keepForeign };
}
