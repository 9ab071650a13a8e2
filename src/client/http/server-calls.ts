import { sendDisposeAll } from '../instances/api.js';
import { Http } from './http.js';
import type { FetchFunction } from './request-options.js';
import { healthSchema, MAX_HEALTH_BYTES, type Health } from '../schema/server.js';

/** One health request may take this long; one sent while the server starts may never be answered. */
const PROBE_TIMEOUT_MS = 1_000;

/** The calls to a server that need no client: before a client exists and after it is closed. */
export interface ServerApi {
  /** Asks for the health of the server, once. */
  health(signal: AbortSignal, timeoutMs?: number | false): Promise<Health>;
  /** Ends all its instances with everything they run; resolves when that is done. */
  disposeAll(timeoutMs: number): Promise<void>;
}

/** Makes the {@link ServerApi} of the server at `url`. */
export function serverApi(
  url: string,
  authorization: string | undefined,
  fetch: FetchFunction | undefined,
): ServerApi {
  const http = new Http({
    endpoint: () => ({ url, authorization }),
    signal: new AbortController().signal,
    fetch,
  });
  return {
    health: (signal, timeoutMs = PROBE_TIMEOUT_MS) =>
      http.send(
        { method: 'GET', path: '/global/health', schema: healthSchema, maxBytes: MAX_HEALTH_BYTES },
        { signal, timeoutMs, retry: false },
      ),
    disposeAll: (timeoutMs) => sendDisposeAll(http, { timeoutMs, retry: false }),
  };
}
