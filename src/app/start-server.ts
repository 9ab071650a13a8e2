import { serverApi } from '../client/http/server-calls.js';
import type { FetchFunction } from '../client/http/request-options.js';
import { pickOptions } from '../core/checks.js';
import type { ServerCalls } from '../lifecycle/server/launch/launch.js';
import { serverOptionChecks, type ServerOptions } from '../lifecycle/server/options.js';
import { OwnedServer } from '../lifecycle/server/owned-server.js';
import type { JarvisOptions } from './options.js';
import { debugLogger } from './platform/debug-logger.js';

/** Starts a server, from options that were checked. Those of a client may be among them. */
export function startServer(
  options: ServerOptions & Pick<JarvisOptions, 'fetch' | 'clock'>,
  signal: AbortSignal | undefined,
): Promise<OwnedServer> {
  return OwnedServer.start(
    { ...pickOptions(serverOptionChecks, options), logger: options.logger ?? debugLogger(), signal },
    serverCalls(options.fetch),
    undefined,
    options.clock,
  );
}

/** The requests of a launch. @param fetch - sends them. @default globalThis.fetch */
export function serverCalls(fetch?: FetchFunction): ServerCalls {
  return {
    probe: (url, authorization, opencode) => {
      const api = serverApi({ url, authorization, fetch, opencode });
      return (signal, timeoutMs) => api.health(signal, timeoutMs);
    },
    assertOperations: ({ version, ...server }, supported, signal) =>
      serverApi({ ...server, fetch }).assertOperations(version, supported, signal),
    disposeAll: (url, authorization, timeoutMs) =>
      serverApi({ url, authorization, fetch }).disposeAll(timeoutMs),
  };
}
