import { serverApi } from '../client/http/server-calls.js';
import type { ConnectOptions } from './options.js';
import { AttachedServer } from '../lifecycle/server/attached-server.js';
import { assertServer } from '../lifecycle/server/ready.js';
import { basicAuthorization } from '../lifecycle/server/credentials.js';

const CONNECT_TIMEOUT_MS = 10_000;

/** Connects to a running server and makes sure that this library supports its version. */
export async function attach(options: ConnectOptions): Promise<AttachedServer> {
  const url = parseOrigin(options.url);
  const { username = 'opencode', password, timeoutMs = CONNECT_TIMEOUT_MS } = options;
  const authorization = password === undefined ? undefined : basicAuthorization(username, password);
  const api = serverApi(url, authorization, options.fetch);
  const signal = options.signal ?? new AbortController().signal;
  const version = await assertServer((probe) => api.health(probe, timeoutMs), signal);
  return new AttachedServer({ url, version, authorization });
}

function parseOrigin(url: unknown): string {
  if ((typeof url === 'string' || url instanceof URL) && URL.canParse(url)) {
    const { protocol, origin } = new URL(url);
    if (protocol === 'http:' || protocol === 'https:') return origin;
  }
  throw new TypeError('Expected url to be an http URL such as http://127.0.0.1:4096.');
}
