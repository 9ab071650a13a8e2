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

/** Whether another turn or request of a repository belongs to what runs there. */
export function goesOn(entry: InstanceEntry, kind: 'turn' | 'request'): boolean {
  return entry.isHeldBy(GOES_ON[kind]);
}

/** @throws {ClosedError} unless another turn or request of a repository belongs to what runs there; for a client that is draining. */
export function assertGoesOn(entry: InstanceEntry, kind: 'turn' | 'request'): void {
  if (!goesOn(entry, kind)) throw new ClosedError(undefined, { isDraining: true });
}

/** What else happens when a request takes a hold. */
export interface AcquireHooks {
  /** Called each time a hold was taken. */
  readonly onAcquired?: (() => void) | undefined;
  /** Keeps the process alive, from before a hold is taken until it is released. */
  readonly keepAlive?: (() => () => void) | undefined;
  /** Whether only what belongs to running work is taken. */
  readonly isDraining?: (() => boolean) | undefined;
}

/**
 * Makes what a request calls before it is sent: it waits for a server, passes the gate of the instance, takes a hold and loads the
 * instance if need be. Nothing is loaded, or held, while there is no server.
 */
export function acquireThrough(
  link: ServerLink,
  entry: InstanceEntry,
  { onAcquired, keepAlive, isDraining }: AcquireHooks = {},
): AcquireInstance {
  const always = new AbortController().signal;
  const acquire: AcquireInstance = async (kind, detail, signal = always, suspend) => {
    for (;;) {
      if (isDraining?.() === true) assertGoesOn(entry, kind);
      if (!link.isReady) await link.untilUp(signal);
      const release = await entry.acquire(kind, detail, signal, suspend);
      if (link.isReady) {
        onAcquired?.();
        return release;
      }
      release();
    }
  };
  if (keepAlive === undefined) return acquire;
  return async (...request) => {
    const letEnd = keepAlive();
    try {
      const release = await acquire(...request);
      let isReleased = false;
      return () => {
        if (isReleased) return;
        isReleased = true;
        release();
        letEnd();
      };
    } catch (error) {
      letEnd();
      throw error;
    }
  };
}
