import { RepoPlacedError } from '../errors.js';
import type { JarvisSnapshot } from '../registry/snapshot.js';
import type { FleetBinding } from './fleet-sessions.js';
import { parseFleetSnapshot } from './fleet-snapshot.js';
import type { Placements } from './placements.js';

/** The bindings of a snapshot. */
export interface RestoredBindings {
  readonly byServer: ReadonlyMap<string, JarvisSnapshot['bindings']>;
  /** Those of servers that the fleet does not have. */
  readonly strangers: readonly FleetBinding[];
}

/**
 * Places what a snapshot has, and sorts its bindings by server. The directories of a snapshot of one client are placed as new ones are.
 *
 * @throws {TypeError} for what is no snapshot, or one that has a directory on two servers.
 * @throws {RangeError} for a snapshot of a newer version, and for a `route` that gives an unknown name.
 */
export function restoreFleet(
  stored: unknown,
  placements: Placements,
  names: readonly string[],
): RestoredBindings {
  const byServer = new Map<string, JarvisSnapshot['bindings'][number][]>();
  const strangers: FleetBinding[] = [];
  if (stored === undefined) return { byServer, strangers };
  const fleet = parseFleetSnapshot(stored);
  for (const { server, directory } of fleet.placements) admit(placements, server, directory);
  for (const { server: known, ...binding } of fleet.bindings) {
    const server = known ?? placements.choose(binding.directory);
    admit(placements, server, binding.directory);
    if (!names.includes(server)) strangers.push({ ...binding, server });
    else byServer.set(server, [...(byServer.get(server) ?? []), binding]);
  }
  return { byServer, strangers };
}

function admit(placements: Placements, server: string, directory: string): void {
  try {
    placements.admit(server, directory);
  } catch (cause) {
    if (!(cause instanceof RepoPlacedError)) throw cause;
    throw new TypeError(`Expected a snapshot to have a directory on one server: ${cause.message}`, { cause });
  }
}
