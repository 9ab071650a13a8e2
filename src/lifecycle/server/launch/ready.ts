import { delay } from '../../../core/abort.js';
import {
  ConnectionError,
  isPermanent,
  RequestError,
  ResponseShapeError,
  UnsupportedServerError,
} from '../../../errors.js';
import type { Logger } from '../../../core/logger.js';
import { acceptedInWords, isMeasuredVersion, majorOf, type AcceptedVersions } from '../../../core/version.js';

/** Asks a server for its health; rejects when it does not answer in time: by default within a second. */
export type Probe = (
  signal: AbortSignal,
  timeoutMs?: false,
) => Promise<{ readonly healthy: boolean; readonly version: string }>;

const POLL_MS = 50;
/** How often a server is probed in vain: what broke may have been a kept connection to an earlier server on that port. */
const MAX_ASKED = 3;

/** How to find out that probes do not reach a server that is healthy. */
export interface DirectCheck {
  /** Whether the server is healthy when it is asked over a connection that no proxy can take. Never rejects. */
  readonly answers: (signal: AbortSignal) => Promise<boolean>;
  /** The error to throw then. */
  readonly failure: (cause: unknown) => Error;
}

/**
 * Polls until the server is healthy, and returns its version. A request sent while the server starts may never be
 * answered, so the probe must have a time limit of its own. Gives up when the server answers, but not the probe.
 *
 * @throws {UnsupportedServerError} when it is not an OpenCode server this library can talk to.
 */
export async function waitUntilHealthy(
  probe: Probe,
  signal: AbortSignal,
  direct?: DirectCheck,
  accepted?: AcceptedVersions,
): Promise<string> {
  let failed = 0;
  let unreached = 0;
  for (;;) {
    try {
      const health = await probe(signal);
      if (health.healthy) return assertSupported(health.version, accepted);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof UnsupportedServerError) throw error;
      const isFinal = isPermanent(error);
      failed += 1;
      // A server that has just begun to listen may let its first requests wait.
      if (direct !== undefined && (isFinal || failed > MAX_ASKED)) {
        unreached = (await direct.answers(signal)) ? unreached + 1 : 0;
        signal.throwIfAborted();
        if (unreached === MAX_ASKED || (isFinal && unreached > 0)) throw direct.failure(error);
      }
      if (isFinal) throw isOtherKind(error) ? asUnsupported(error, accepted) : error;
    }
    await delay(POLL_MS, signal);
  }
}

/**
 * Asks a server that runs already, and returns its version.
 *
 * @param identify - says what a server is whose answer is that of another kind, if it can be said: its version, when it is OpenCode 2.
 * @param accepted - the versions that are taken. @default every 1.x that is supported
 * @throws {UnsupportedServerError} when it is not an OpenCode server this library can talk to, or whatever the probe throws.
 */
export async function assertServer(
  probe: Probe,
  signal: AbortSignal,
  identify: (signal: AbortSignal) => Promise<string | undefined>,
  accepted?: AcceptedVersions,
): Promise<string> {
  for (let asked = 1; ; asked += 1) {
    try {
      const version = assertSupported((await probe(signal)).version, accepted);
      if (asked > 1) await shedStaleConnections(probe, signal);
      return version;
    } catch (error) {
      signal.throwIfAborted();
      if (isOtherKind(error)) {
        const found = await identify(signal);
        if (found !== undefined && majorOf(found, accepted) === 2) return found;
        throw asUnsupported(error, accepted, found);
      }
      const isLost = error instanceof ConnectionError && !isPermanent(error);
      if (!isLost || asked === MAX_ASKED) throw error;
    }
  }
}

/**
 * Node's fetch connects again when a running request is aborted, and does not notice when the server of that idle
 * connection ends. A later server on the same port (4096, if it is free) would meet it with its first request, which
 * then fails with ECONNRESET, and a POST is not repeated. As many requests at once find all such connections.
 */
export async function shedStaleConnections(probe: Probe, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    const probes = await Promise.allSettled(Array.from({ length: 8 }, () => probe(signal)));
    signal.throwIfAborted();
    if (probes.every(({ status }) => status === 'fulfilled')) return;
  }
}

/** Says that nobody has measured a server of this version, if so. */
export function warnOfNewer(version: string, logger: Logger): void {
  if (!isMeasuredVersion(version)) logger.warn('server is newer than what was measured', { version });
}

function assertSupported(version: string, accepted: AcceptedVersions | undefined): string {
  if (majorOf(version, accepted) === undefined) {
    throw new UnsupportedServerError(version, acceptedInWords(accepted));
  }
  return version;
}

/** Whether the answer to a probe is no health report: it comes from something that is not OpenCode 1.x. */
function isOtherKind(error: unknown): boolean {
  return (
    error instanceof ResponseShapeError ||
    (error instanceof RequestError && [200, 404].includes(error.status))
  );
}

function asUnsupported(
  cause: unknown,
  accepted: AcceptedVersions | undefined,
  found = 'of another kind',
): UnsupportedServerError {
  return new UnsupportedServerError(found, acceptedInWords(accepted), { cause });
}
