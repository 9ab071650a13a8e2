import { sendDisposeAll } from '../instances/api.js';
import { Http } from './http.js';
import type { FetchFunction } from './request-options.js';
import { RequestError } from '../../errors.js';
import { healthSchema, MAX_HEALTH_BYTES, openCode2InfoSchema, type Health } from '../schema/server.js';

/** One health request may take this long; one sent while the server starts may never be answered. */
const PROBE_TIMEOUT_MS = 1_000;

/** The calls to a server that need no client: before a client exists and after it is closed. */
export interface ServerApi {
  /** Asks for the health of the server, once. */
  health(signal: AbortSignal, timeoutMs?: number | false): Promise<Health>;
  /**
   * Says which other server it is whose answer about its health is none of OpenCode 1.x: a version of OpenCode 2, or that it may be one
   * behind another password; `undefined` for anything else. Never rejects but with the reason of the signal.
   *
   * OpenCode 2.0.14 answers `/global/health` with a web page, with or without a password, and 1.18.33 answers `/api/info` with one.
   */
  identify(signal: AbortSignal, timeoutMs?: number | false): Promise<string | undefined>;
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
    identify: async (signal, timeoutMs = PROBE_TIMEOUT_MS) => {
      try {
        const { version } = await http.send(
          { method: 'GET', path: '/api/info', schema: openCode2InfoSchema, maxBytes: MAX_HEALTH_BYTES },
          { signal, timeoutMs, retry: false },
        );
        return version;
      } catch (error) {
        signal.throwIfAborted();
        const isGuarded = error instanceof RequestError && error.status === 401;
        return isGuarded ? 'of another kind, maybe OpenCode 2 behind another password,' : undefined;
      }
    },
    disposeAll: (timeoutMs) => sendDisposeAll(http, { timeoutMs, retry: false }),
  };
}
