import type { Logger } from '../../core/logger.js';

/** How many servers of this process use each data directory. */
const users = new Map<string, number>();
/** The data directories of which the log has spoken. */
const told = new Set<string>();

/**
 * Records that a server of this process uses a data directory, and warns once of each directory that has several.
 *
 * @returns what to call when the server has ended for good.
 */
export function useData(dataDirectory: string, logger: Logger): () => void {
  const before = users.get(dataDirectory) ?? 0;
  users.set(dataDirectory, before + 1);
  if (before > 0 && !told.has(dataDirectory)) {
    told.add(dataDirectory);
    logger.warn(
      'several servers share a data directory: none sees the turns and events of another on the same session, a busy database can fail ' +
        'prompts, and they can end the renewed logins (OAuth) of each other. Give each a dataDir of its own',
      { dataDirectory },
    );
  }
  return () => {
    const left = (users.get(dataDirectory) ?? 1) - 1;
    if (left > 0) users.set(dataDirectory, left);
    else users.delete(dataDirectory);
  };
}
