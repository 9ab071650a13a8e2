import { fieldOf } from './body-rules.js';
import type { Listed } from './operations.js';

/** What tells the entries of a repository from those of others. */
export interface Owner {
  readonly directory: string;
  /** `undefined` when the list does not need it. */
  readonly projectID: string | undefined;
}

/** Leaves the entries of other repositories out of a list; every other answer stays as it is. */
export async function ownEntries(
  response: Response,
  lists: Listed | undefined,
  owner: Owner,
): Promise<Response> {
  if (lists === undefined || response.status !== 200) return response;
  const answer: unknown = await response.json();
  const entries = lists === 'located' ? fieldOf(answer, 'data') : answer;
  if (!Array.isArray(entries)) throw new TypeError(`Expected a list, got ${typeof entries}.`);
  const isOwn = (entry: unknown): boolean => {
    switch (lists) {
      case 'sessions':
        return fieldOf(entry, 'directory') === owner.directory;
      case 'located':
        return fieldOf(entry, 'location.directory') === owner.directory;
      case 'projects':
        return fieldOf(entry, 'id') === owner.projectID;
    }
  };
  const headers = new Headers(response.headers);
  // These headers describe the body that the server sent, not the shortened one.
  for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) headers.delete(name);
  const own = entries.filter(isOwn);
  return Response.json(lists === 'located' ? { ...(answer as object), data: own } : own, { headers });
}
