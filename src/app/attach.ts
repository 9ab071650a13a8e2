import { serverApi } from '../client/http/server-calls.js';
import { assertOptions, pickOptions } from '../core/checks.js';
import { AttachedServer } from '../lifecycle/server/attached-server.js';
import { basicAuthorization } from '../lifecycle/server/launch/credentials.js';
import type { ServerHandle } from '../lifecycle/server/handle.js';
import { assertServer } from '../lifecycle/server/launch/ready.js';
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
  const url = parseOrigin(options.url);
  const { username = 'opencode', password, timeoutMs = CONNECT_TIMEOUT_MS } = options;
  const authorization = password === undefined ? undefined : basicAuthorization(username, password);
  beforeRequests?.(new URL(url).hostname);
  const api = serverApi(url, authorization, options.fetch);
  const signal = options.signal ?? new AbortController().signal;
  const version = await assertServer((probe) => api.health(probe, timeoutMs), signal);
  const server = new AttachedServer({ url, version, authorization });
  return new client(server, pickOptions(jarvisOptionChecks, options));
}

function parseOrigin(url: unknown): string {
  if ((typeof url === 'string' || url instanceof URL) && URL.canParse(url)) {
    const { protocol, origin } = new URL(url);
    if (protocol === 'http:' || protocol === 'https:') return origin;
  }
  throw new TypeError('Expected url to be an http URL such as http://127.0.0.1:4096.');
}
