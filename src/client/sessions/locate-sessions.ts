import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { ResponseShapeError } from '../../errors.js';
import { LOCATED_SESSIONS_PATH } from '../dialect/dialect.js';
import type { Http } from '../http/http.js';
import type { RequestOptions } from '../http/request-options.js';

const PAGE_SIZE = 500;
/** Enough for a million sessions. A list that goes on after that is taken for endless. */
const MAX_PAGES = 2_000;

const pageSchema = lazy(() =>
  z.looseObject({
    data: z.array(z.looseObject({ id: z.string(), location: z.looseObject({ directory: z.string() }) })),
    cursor: z.looseObject({ next: z.string().optional() }),
  }),
);

/** A session, and the directory where it is expected. */
export interface ExpectedSession {
  readonly sessionID: string;
  readonly directory: string;
}

/**
 * Reads the sessions of one directory or of all directories, newest first, page by page. `GET /api/session` is the one
 * listing that loads no instance (OpenCode 1.18.33; `GET /api/session/{id}` boots the services of the session's
 * directory).
 *
 * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
 */
export async function* locatedSessions(
  http: Pick<Http, 'send'>,
  directory: string | undefined,
  options?: RequestOptions,
): AsyncGenerator<ExpectedSession[], void, undefined> {
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    // The cursor contains the directory. With a long path, sending both would make the request too long.
    const query = { directory: cursor === undefined ? directory : undefined, limit: PAGE_SIZE, cursor };
    const page = await http.send(
      { method: 'GET', path: LOCATED_SESSIONS_PATH, query, schema: pageSchema },
      options,
    );
    yield page.data.map(({ id, location }) => ({ sessionID: id, directory: location.directory }));
    cursor = page.cursor.next;
    if (page.data.length < PAGE_SIZE || cursor === undefined) return;
  }
  const message = `expected an end of the list, got more than ${MAX_PAGES} pages`;
  throw new ResponseShapeError({ method: 'GET', path: LOCATED_SESSIONS_PATH }, [{ path: 'cursor', message }]);
}

/**
 * Finds the directory of each session; a session that is not in the answer does not exist any more. It loads no
 * instance. It reads the expected directories first, then all sessions, newest first, until it has found each one.
 *
 * @throws {RequestError} {@link ConnectionError} {@link TimeoutError} {@link ResponseShapeError}
 */
export async function locateSessions(
  http: Http,
  sessions: readonly ExpectedSession[],
  options?: RequestOptions,
): Promise<Map<string, string>> {
  const missing = new Set(sessions.map(({ sessionID }) => sessionID));
  const found = new Map<string, string>();
  const search = async (from: string | undefined, isDone: () => boolean): Promise<void> => {
    for await (const page of locatedSessions(http, from, options)) {
      for (const { sessionID, directory } of page)
        if (missing.delete(sessionID)) found.set(sessionID, directory);
      if (isDone()) return;
    }
  };
  for (const directory of new Set(sessions.map((session) => session.directory))) {
    const expected = sessions.filter((session) => session.directory === directory);
    await search(directory, () => expected.every(({ sessionID }) => !missing.has(sessionID)));
  }
  if (missing.size > 0) await search(undefined, () => missing.size === 0);
  return found;
}
