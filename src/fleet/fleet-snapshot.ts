import * as z from 'zod';
import { lazy } from '../core/lazy.js';
import {
  FLEET_SNAPSHOT,
  isCanonical,
  notASnapshot,
  parseSnapshot,
  type JarvisSnapshot,
} from '../registry/snapshot.js';
import type { Placement } from './placements.js';

const FLEET_VERSION = 1;

const directory = z.string().refine(isCanonical, { error: 'expected an absolute path' });
const placementSchema = lazy(() => z.strictObject({ server: z.string().min(1), directory }));
const bindingSchema = lazy(() =>
  z.strictObject({
    jarvisSessionID: z.string().min(1),
    sessionID: z.string().min(1),
    directory,
    server: z.string().min(1),
  }),
);
const fleetSnapshotSchema = lazy(() =>
  z.strictObject({
    type: z.literal(FLEET_SNAPSHOT),
    version: z.literal(FLEET_VERSION),
    placements: z.array(placementSchema()),
    bindings: z.array(bindingSchema()),
  }),
);

/** What `fleet.snapshot()` gives, as JSON: which server has which directory, and which jarvis session is bound to which session. */
export interface FleetSnapshot {
  readonly type: typeof FLEET_SNAPSHOT;
  readonly version: typeof FLEET_VERSION;
  readonly placements: readonly { readonly server: string; readonly directory: string }[];
  readonly bindings: readonly {
    readonly jarvisSessionID: string;
    readonly sessionID: string;
    readonly directory: string;
    readonly server: string;
  }[];
}

/** A binding that was stored; the snapshot of one client names no server. */
export type StoredBinding = JarvisSnapshot['bindings'][number] & { readonly server?: string | undefined };

/** What is to be restored. */
export interface StoredFleet {
  readonly placements: readonly Placement[];
  readonly bindings: readonly StoredBinding[];
}

/** Makes a snapshot. */
export function takeFleetSnapshot(
  placements: readonly Placement[],
  bindings: FleetSnapshot['bindings'],
): FleetSnapshot {
  return {
    type: FLEET_SNAPSHOT,
    version: FLEET_VERSION,
    placements: placements.map(({ server, directory: of }) => ({ server, directory: of })),
    bindings: bindings.map(({ jarvisSessionID, sessionID, directory: of, server }) => ({
      jarvisSessionID,
      sessionID,
      directory: of,
      server,
    })),
  };
}

/**
 * Checks what was stored: the snapshot of a fleet, or that of one client.
 *
 * @throws {RangeError} for a snapshot of a newer version of this library.
 * @throws {TypeError} for anything else that is not a snapshot, or one that binds or places something twice.
 */
export function parseFleetSnapshot(stored: unknown): StoredFleet {
  const head = z.object({ type: z.literal(FLEET_SNAPSHOT), version: z.number() }).safeParse(stored).data;
  if (head === undefined) return { placements: [], bindings: parseSnapshot(stored).bindings };
  if (head.version > FLEET_VERSION) {
    throw new RangeError(
      `Expected the snapshot of a fleet of version ${FLEET_VERSION}, got ${head.version}: it was made by a newer version of this library.`,
    );
  }
  const parsed = fleetSnapshotSchema().safeParse(stored);
  if (!parsed.success) throw notASnapshot(parsed.error, []);
  const { placements, bindings } = parsed.data;
  assertOnce(bindings, ({ jarvisSessionID }) => jarvisSessionID);
  // A member with perRepo has a server, with session ids of its own, for each repository.
  assertOnce(bindings, ({ server, sessionID, directory: of }) => `${sessionID} on ${server} in ${of}`);
  assertOnce(placements, ({ server, directory: of }) => `${of} on ${server}`);
  return { placements, bindings };
}

/** How much of a stored value an error message shows, in UTF-16 code units. */
const MAX_SHOWN = 200;

function assertOnce<T>(items: readonly T[], keyOf: (item: T) => string): void {
  const seen = new Set<string>();
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key))
      throw new TypeError(`Expected a snapshot to name each once, got ${key.slice(0, MAX_SHOWN)} twice.`);
    seen.add(key);
  }
}
