import { SessionDirectoryError } from '../../errors.js';
import type { RepoTransport } from '../http/repo-transport.js';
import type { RequestOptions } from '../http/request-options.js';
import { route } from '../http/route.js';
import { sessionListSchema, type SessionInfo } from '../schema/session.js';
import { readSession } from './read-session.js';

/** What the client knows about sessions. */
export interface KnownSessions {
  directoryOf(sessionID: string): string | undefined;
  learn(info: SessionInfo): void;
}

/**
 * Makes sure that a session belongs to the expected directory.
 *
 * @throws {SessionDirectoryError} when it does not.
 */
export function assertOwner(sessionID: string, expected: string, found: string): void {
  if (found !== expected) throw new SessionDirectoryError({ sessionID, expected, found });
}

/**
 * Makes sure that a session belongs to the repository. When the client does not know, it asks the server in a way that
 * loads no instance of another repository.
 *
 * @throws {SessionDirectoryError} when it is not.
 * @throws {RequestError} with status 404 when there is none.
 */
export async function assertOwnSession(
  transport: RepoTransport,
  known: KnownSessions,
  sessionID: string,
  options?: RequestOptions,
): Promise<void> {
  const expected = transport.directory;
  let found = known.directoryOf(sessionID);
  if (found === undefined) {
    const info = await readSession(transport, sessionID, options);
    if (info.directory === expected) known.learn(info);
    found = info.directory;
  }
  assertOwner(sessionID, expected, found);
}

/**
 * Makes sure that all descendants of a session belong to the repository too: OpenCode 1.18.33 deletes them with the
 * session, in whichever directory they are.
 *
 * @throws {SessionDirectoryError} for one that is not.
 */
export async function assertOwnChildren(
  transport: RepoTransport,
  sessionID: string,
  options?: RequestOptions,
): Promise<void> {
  const expected = transport.directory;
  // The children that a server reports may form a circle.
  const parents = new Set([sessionID]);
  for (const parentID of parents) {
    const path = route`/session/${parentID}/children`;
    const children = await transport.send({ method: 'GET', path, schema: sessionListSchema }, options);
    for (const { id, directory: found } of children) {
      assertOwner(id, expected, found);
      parents.add(id);
    }
  }
}
