import * as z from 'zod';
import { lazy } from '../core/lazy.js';
import { RepoPathError } from '../errors.js';
import { normalizePath } from './path.js';

const SNAPSHOT_VERSION = 1;
/** The `type` of a snapshot of a fleet. */
export const FLEET_SNAPSHOT = 'fleet';

const bindingSchema = lazy(() =>
  z.strictObject({
    jarvisSessionID: z.string().min(1),
    sessionID: z.string().min(1),
    directory: z.string().refine(isCanonical, { error: 'expected an absolute path' }),
  }),
);

/** The shape of a {@link JarvisSnapshot}, e.g. to check one where it is read from a file. */
export const jarvisSnapshotSchema = z.strictObject({
  version: z.literal(SNAPSHOT_VERSION),
  bindings: z.array(bindingSchema()),
});

/**
 * The same schema with unchecked bindings. `parseSnapshot()` checks them one by one and stops at the first wrong one.
 */
const uncheckedSnapshotSchema = lazy(() => jarvisSnapshotSchema.extend({ bindings: z.array(z.unknown()) }));

/** How much of a stored value an error message shows, in UTF-16 code units. */
const MAX_SHOWN = 200;

/** What `jarvis.snapshot()` gives, as JSON: which jarvis session is bound to which session of which repository. */
export interface JarvisSnapshot {
  readonly version: typeof SNAPSHOT_VERSION;
  readonly bindings: readonly {
    readonly jarvisSessionID: string;
    readonly sessionID: string;
    readonly directory: string;
  }[];
}

/** Makes a snapshot of the bindings. */
export function takeSnapshot(bindings: JarvisSnapshot['bindings']): JarvisSnapshot {
  const copy = bindings.map(({ jarvisSessionID, sessionID, directory }) => ({
    jarvisSessionID,
    sessionID,
    directory,
  }));
  return { version: SNAPSHOT_VERSION, bindings: copy };
}

/**
 * Checks what was stored.
 *
 * @throws {RangeError} for a snapshot of a newer version of this library.
 * @throws {TypeError} for anything else that is not a snapshot, or one that binds something twice.
 */
export function parseSnapshot(stored: unknown): JarvisSnapshot {
  const parsed = uncheckedSnapshotSchema().safeParse(stored);
  if (!parsed.success) {
    const { type, version } =
      z.object({ type: z.unknown().optional(), version: z.number() }).safeParse(stored).data ?? {};
    if (type === FLEET_SNAPSHOT)
      throw new TypeError(
        'Expected what snapshot() of one client gave, got the snapshot of a fleet: give it to JarvisFleet.start({ restore }).',
      );
    if (version !== undefined && version > SNAPSHOT_VERSION) {
      throw new RangeError(
        `Expected a snapshot of version ${SNAPSHOT_VERSION}, got ${version}: it was made by a newer version of this library.`,
      );
    }
    throw notASnapshot(parsed.error, []);
  }
  const { version } = parsed.data;
  const bindings = parsed.data.bindings.map((stored, index) => {
    const binding = bindingSchema().safeParse(stored);
    if (!binding.success) throw notASnapshot(binding.error, ['bindings', index]);
    return binding.data;
  });
  for (const key of ['jarvisSessionID', 'sessionID'] as const) {
    const seen = new Set<string>();
    for (const binding of bindings) {
      if (seen.has(binding[key])) {
        const twice = binding[key].slice(0, MAX_SHOWN);
        throw new TypeError(`Expected a snapshot to bind each session once, got ${twice} twice.`);
      }
      seen.add(binding[key]);
    }
  }
  return { version, bindings };
}

/** The error for what is no snapshot. */
export function notASnapshot({ issues }: z.ZodError, at: readonly PropertyKey[]): TypeError {
  const texts = issues.slice(0, 3).map(({ path, message }) => {
    const where = [...at, ...path].join('.') || 'snapshot';
    return `${where}: ${message}`.slice(0, MAX_SHOWN);
  });
  return new TypeError(`Expected what snapshot() gave, got something else: ${texts.join('; ')}.`);
}

/** Whether a text is an absolute path in its one spelling. */
export function isCanonical(directory: string): boolean {
  try {
    return normalizePath(directory) === directory;
  } catch (error) {
    if (error instanceof RepoPathError) return false;
    throw error;
  }
}
