import { sendDisposeAll } from '../instances/api.js';
import { dialectsOf } from '../dialect/dialects.js';
import { openCode1 } from '../dialect/opencode1.js';
import { oneDialect, type OpenCodeMajor } from '../dialect/dialect.js';
import { Http } from './http.js';
import type { FetchFunction } from './request-options.js';
import { RequestError, ResponseShapeError, UnsupportedServerError } from '../../errors.js';
import { healthSchema, MAX_HEALTH_BYTES, openCode2InfoSchema, type Health } from '../schema/server.js';

/** One health request may take this long; one sent while the server starts may never be answered. */
const PROBE_TIMEOUT_MS = 1_000;
/** How long the description of an API may be, and its answer may take; OpenCode 2.0.14 sends 250 kB. */
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;
const DOCUMENT_TIMEOUT_MS = 30_000;

/** The server that is called. */
export interface CalledServer {
  readonly url: string;
  readonly authorization?: string | undefined;
  readonly fetch?: FetchFunction | undefined;
  /** @default 1 */
  readonly opencode?: OpenCodeMajor | undefined;
}

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
  /**
   * Makes sure that a server of OpenCode 2 has every operation that this library needs, by its own description of its API.
   *
   * @throws {UnsupportedServerError} naming what is missing.
   */
  assertOperations(version: string, supported: string, signal: AbortSignal): Promise<void>;
  /** Ends all its instances with everything they run; resolves when that is done. */
  disposeAll(timeoutMs: number): Promise<void>;
}

/** Makes the {@link ServerApi} of a server. */
export function serverApi({ url, authorization, fetch, opencode = 1 }: CalledServer): ServerApi {
  const { signal: never } = new AbortController();
  const init = { endpoint: () => ({ url, authorization }), signal: never, fetch };
  const http = new Http({ ...init, dialects: dialectsOf({ opencode }, () => undefined) });
  /** Takes every path as it is. */
  const plain = new Http({ ...init, dialects: oneDialect({ ...openCode1, operation: () => undefined }) });
  return {
    health: (signal, timeoutMs = PROBE_TIMEOUT_MS) =>
      http.send(
        { method: 'GET', path: '/global/health', schema: healthSchema, maxBytes: MAX_HEALTH_BYTES },
        { signal, timeoutMs, retry: false },
      ),
    identify: async (signal, timeoutMs = PROBE_TIMEOUT_MS) => {
      try {
        const { version } = await plain.send(
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
    assertOperations: async (version, supported, signal) => {
      const { apiDocumentSchema, missingOperations } = await import('../opencode2/required-operations.js');
      const path = '/openapi.json';
      const request = {
        method: 'GET',
        path,
        schema: apiDocumentSchema,
        maxBytes: MAX_DOCUMENT_BYTES,
      } as const;
      const missing = await plain
        .send(request, { signal, timeoutMs: DOCUMENT_TIMEOUT_MS })
        .then(missingOperations)
        .catch((error: unknown) => {
          // A web page, or nothing of the kind.
          const isNone = error instanceof RequestError || error instanceof ResponseShapeError;
          if (isNone && !signal.aborted) return [`GET ${path}`];
          throw error;
        });
      if (missing.length > 0) throw new UnsupportedServerError(version, supported, { missing });
    },
    disposeAll: (timeoutMs) => sendDisposeAll(http, { timeoutMs, retry: false }),
  };
}
