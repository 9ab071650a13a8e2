import { SessionDirectoryError } from '../../errors.js';
import { pathAnywhere, type RepoTransport } from '../http/repo-transport.js';
import type { RequestOptions } from '../http/request-options.js';
import { route } from '../http/route.js';
import { sessionListSchema, sessionSchema, type SessionInfo } from '../schema/session.js';

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
  options?: RequestOptions,
): Promise<void> {
  const expected = transport.directory;
  let found = known.directoryOf(sessionID);
  if (found === undefined) {
    const path = pathAnywhere(sessionID);
    const info = await transport.send({ method: 'GET', path, schema: sessionSchema }, options);
    if (info.directory === expected) known.learn(info);
    found = info.directory;
  }
  if (found !== expected) throw new SessionDirectoryError({ sessionID, expected, found });
}

/**
 * Makes sure that all children of a session of the repository, at any depth, are of the repository too: OpenCode 1.18.33
 * deletes them with it, in whichever directory they are.
 *
 * @throws {SessionDirectoryError} for one that is not.
 */
export async function assertOwnChildren(
  transport: RepoTransport,
  sessionID: string,
  options?: RequestOptions,
): Promise<void> {
  const expected = transport.directory;
  // What a server says of children may lead round in a circle.
  const parents = new Set([sessionID]);
  for (const parentID of parents) {
    const path = route`/session/${parentID}/children`;
    const children = await transport.send({ method: 'GET', path, schema: sessionListSchema }, options);
    for (const { id, directory: found } of children) {
      if (found !== expected) throw new SessionDirectoryError({ sessionID: id, expected, found });
      parents.add(id);
    }
  }
}
