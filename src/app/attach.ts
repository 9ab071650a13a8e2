import { serverApi } from '../client/http/server-calls.js';
import { assertOptions, pickOptions } from '../core/checks.js';
import { parseAcceptedVersions } from '../core/accepted-versions.js';
import { loggerOfUser } from '../core/logger.js';
import { acceptedInWords, majorOf } from '../core/version.js';
import { AttachedServer } from '../lifecycle/server/attached-server.js';
import { basicAuthorization } from '../lifecycle/server/launch/credentials.js';
import { parseHealthPolicy } from '../lifecycle/server/health.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';
import { assertServer, warnOfNewer } from '../lifecycle/server/launch/ready.js';
import {
  connectOptionChecks,
  jarvisOptionChecks,
  type ConnectOptions,
  type JarvisOptions,
} from './options.js';

const CONNECT_TIMEOUT_MS = 10_000;

/** The class of a client of type `T`. */
export type ClientClass<T> = new (server: ServerHandle, options?: JarvisOptions) => T;

/**
 * Connects to a running server, makes sure that this library supports its version, and makes a client of it.
 *
 * @param beforeRequests - called with the hostname of the server before anything is sent to it.
 */
export async function connectAs<T>(
  client: ClientClass<T>,
  options: ConnectOptions,
  beforeRequests?: (hostname: string) => void,
): Promise<T> {
  assertOptions('JarvisOpenCode.connect()', connectOptionChecks, options);
  const server = await attachServer(options, beforeRequests);
  return new client(server, pickOptions(jarvisOptionChecks, options));
}

/**
 * Makes a handle of a running server that this library supports.
 *
 * @param options - already checked, but for the url.
 * @throws {TypeError} if `url` is not an http URL.
 */
export async function attachServer(
  options: ConnectOptions,
  beforeRequests?: (hostname: string) => void,
): Promise<AttachedServer> {
  const url = parseOrigin(options.url);
  const { username = 'opencode', password, timeoutMs = CONNECT_TIMEOUT_MS } = options;
  const authorization = password === undefined ? undefined : basicAuthorization(username, password);
  beforeRequests?.(new URL(url).hostname);
  const accepted = parseAcceptedVersions(options);
  const called = { url, authorization, fetch: options.fetch };
  const asked = serverApi(called);
  const signal = options.signal ?? new AbortController().signal;
  const version = await assertServer(
    (probe) => asked.health(probe, timeoutMs),
    signal,
    (asking) => asked.identify(asking, timeoutMs),
    accepted,
  );
  const opencode = majorOf(version, accepted);
  if (opencode === 2) await asked.assertOperations(version, acceptedInWords(accepted), signal);
  const logger = loggerOfUser(options.logger);
  warnOfNewer(version, logger);
  // Watching costs a request each time that the server is silent, so whoever connects asks for it.
  const api = serverApi({ ...called, opencode });
  const policy = parseHealthPolicy(options.health ?? false);
  const health = policy && {
    policy,
    probe: (probing: AbortSignal, probeMs?: false) => api.health(probing, probeMs),
    logger,
    clock: options.clock,
  };
  return new AttachedServer({ url, version, opencode, authorization, health });
}

/** @throws {TypeError} unless it is an http URL. */
export function parseOrigin(url: unknown): string {
  if ((typeof url === 'string' || url instanceof URL) && URL.canParse(url)) {
    const { protocol, origin } = new URL(url);
    if (protocol === 'http:' || protocol === 'https:') return origin;
  }
  throw new TypeError('Expected url to be an http URL such as http://127.0.0.1:4096.');
}
