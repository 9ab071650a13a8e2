import type { Http } from '../client/http/http.js';
import { readLoaded } from '../client/instances/api.js';
import type { Logger } from '../core/logger.js';
import type { InstanceEntry } from '../registry/instance-entry.js';
import type { InstanceRegistry } from '../registry/instance-registry.js';

/** What the comparison needs from the client around it. */
export interface LoadedSyncInit {
  readonly http: Http;
  readonly registry: InstanceRegistry;
  /** Whether every instance of the server is this client's. */
  readonly ownsServer: boolean;
  /** Called for an instance that is gone. */
  readonly gone: (entry: InstanceEntry) => void;
  readonly closed: AbortSignal;
  readonly logger: Logger;
}

/**
 * Makes what is known of the instances agree with the server's own list, where it has one: others may have loaded some, and the server
 * unloads idle ones by its own clock (OpenCode 2.0.14: after an hour). Never rejects.
 */
export async function syncLoaded(init: LoadedSyncInit): Promise<void> {
  const { http, registry, ownsServer, gone, closed, logger } = init;
  const before = new Set(registry.loadedEntries());
  try {
    const loaded = await readLoaded(http, closed);
    if (loaded === undefined) return;
    for (const directory of loaded)
      (ownsServer ? registry.entry(directory) : registry.find(directory))?.notice();
    const listed = new Set(loaded);
    for (const entry of before) {
      if (entry.loaded && !entry.isDisposing && !entry.isLoading && !listed.has(entry.directory)) gone(entry);
    }
  } catch (error) {
    if (!closed.aborted) logger.warn('could not read which instances are loaded', { error: String(error) });
  }
}
