import type { AcquireInstance } from '../client/http/repo-transport.js';
import type { ServerLink } from '../client/http/server-link.js';
import type { InstanceEntry } from '../registry/instance-entry.js';

/**
 * Makes what a request calls before it is sent: it waits for a server, passes the gate of the instance, takes a hold and loads the
 * instance if need be. Nothing is loaded, or held, while there is no server.
 *
 * @param onAcquired - called each time a hold was taken.
 */
export function acquireThrough(
  link: ServerLink,
  entry: InstanceEntry,
  onAcquired?: () => void,
): AcquireInstance {
  const always = new AbortController().signal;
  return async (kind, detail, signal = always, suspend) => {
    for (;;) {
      if (!link.isReady) await link.whenReady(signal);
      const release = await entry.acquire(kind, detail, signal, suspend);
      if (link.isReady) {
        onAcquired?.();
        return release;
      }
      release();
    }
  };
}
