import { SessionDirectoryError } from '../../errors.js';
import { pathAnywhere, type RepoTransport } from '../http/repo-transport.js';
import { sessionSchema, type SessionInfo } from '../schema/session.js';

/** What is known of sessions. */
export interface KnownSessions {
  directoryOf(sessionID: string): string | undefined;
  learn(info: SessionInfo): void;
}

/**
 * Makes sure that a session is of the repository. When nobody knows, the server is asked in a way that loads no instance of
 * another one.
 *
 * @throws {SessionDirectoryError} when it is not.
 * @throws {RequestError} with status 404 when there is none.
 */
export async function assertOwnSession(
  transport: RepoTransport,
  known: KnownSessions,
  sessionID: string,
  signal: AbortSignal,
): Promise<void> {
  const expected = transport.directory;
  let found = known.directoryOf(sessionID);
  if (found === undefined) {
    const path = pathAnywhere(sessionID);
    const info = await transport.send({ method: 'GET', path, schema: sessionSchema }, { signal });
    if (info.directory === expected) known.learn(info);
    found = info.directory;
  }
  if (found !== expected) throw new SessionDirectoryError({ sessionID, expected, found });
}
