import type { DirectoryChange } from '../client/schema/event.js';
import type { InstanceEntry } from '../registry/instance-entry.js';

/** What the server does in a directory, as far as subscribers are told of it after a gap: ids of sessions and of asks. */
export interface DirectoryState {
  readonly busy: readonly string[];
  readonly asks: readonly string[];
}

/** What is known of an instance now. */
export function stateOf(entry: Pick<InstanceEntry, 'activityIDs'>): DirectoryState {
  return {
    busy: entry.activityIDs('session-busy'),
    asks: [...entry.activityIDs('permission'), ...entry.activityIDs('question')],
  };
}

/** How the state of a directory differs from an earlier one; without an earlier one, everything has begun. */
export function changeOf(
  directory: string,
  before: DirectoryState | undefined,
  after: DirectoryState,
): DirectoryChange {
  const { busy, asks } = before ?? { busy: [], asks: [] };
  return {
    directory,
    busy: without(after.busy, busy),
    idle: without(busy, after.busy),
    asked: without(after.asks, asks),
    answered: without(asks, after.asks),
  };
}

export function isEmptyChange({ busy, idle, asked, answered }: DirectoryChange): boolean {
  return [busy, idle, asked, answered].every((ids) => ids.length === 0);
}

function without(ids: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return ids.filter((id) => !known.has(id));
}
