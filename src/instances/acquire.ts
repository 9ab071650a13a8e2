import type { AcquireInstance } from '../client/http/repo-transport.js';
import type { ServerLink } from '../client/http/server-link.js';
import type { HoldKind } from '../core/instance.js';
import { ClosedError } from '../errors.js';
import type { InstanceEntry } from '../registry/instance-entry.js';

/** What must run in a repository so that it takes another turn or request while the client is draining. */
const GOES_ON: Readonly<Record<'turn' | 'request', ReadonlySet<HoldKind>>> = {
  turn: new Set(['use']),
  request: new Set(['use', 'turn', 'session-busy']),
};

/**
 * Makes what a request calls before it is sent: it waits for a server, passes the gate of the instance, takes a hold and loads the
 * instance if need be. Nothing is loaded, or held, while there is no server.
 *
 * @param onAcquired - called each time a hold was taken.
 * @param isDraining - whether only what belongs to running work is taken.
 */
export function acquireThrough(
  link: ServerLink,
  entry: InstanceEntry,
  onAcquired?: () => void,
  isDraining: () => boolean = () => false,
): AcquireInstance {
  const always = new AbortController().signal;
  return async (kind, detail, signal = always, suspend) => {
    for (;;) {
      if (isDraining() && !entry.isHeldBy(GOES_ON[kind]))
        throw new ClosedError(undefined, { isDraining: true });
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
