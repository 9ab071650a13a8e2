import { Paged } from '../http/paged.js';
import { route } from '../http/route.js';
import type { RepoTransport } from '../http/repo-transport.js';
import type { Page } from '../http/request.js';
import type { RequestOptions } from '../http/request-options.js';
import { entryListSchema, type SessionEntry } from './wire.js';

/** The entries to list. */
export interface EntryWindow {
  readonly sessionID: string;
  readonly limit: number | undefined;
  /** The cursor of an earlier page. */
  readonly before: string | undefined;
  /** Makes sure that the session belongs to the repository. */
  readonly verify: () => Promise<void>;
}

/** The route of a session's history. */
export function entriesPath(sessionID: string): string {
  return route`/api/session/${sessionID}/message`;
}

/** Lists the history of a session, a page from oldest to newest; iterated from the newest entry on. */
export function pagedEntries(
  transport: RepoTransport,
  { sessionID, limit, before, verify }: EntryWindow,
  options: RequestOptions | undefined,
): Paged<SessionEntry> {
  const path = entriesPath(sessionID);
  const read = async (cursor: string | undefined): Promise<Page<SessionEntry>> => {
    await verify();
    const query = { limit, cursor: cursor ?? before };
    const request = { method: 'GET', path, query, schema: entryListSchema } as const;
    const { items, next } = await transport.sendPage(request, options);
    return { items: items.toReversed(), next };
  };
  return new Paged(read, (items) => items.toReversed());
}
