import * as z from 'zod';
import { RepoPathError } from '../errors.js';
import { normalizePath } from './path.js';

const SNAPSHOT_VERSION = 1;

const bindingSchema = z.strictObject({
  jarvisSessionID: z.string().min(1),
  sessionID: z.string().min(1),
  directory: z.string().refine(isCanonical, { error: 'expected an absolute path' }),
});

/** The shape of a {@link JarvisSnapshot}, e.g. to check one where it is read from a file. */
export const jarvisSnapshotSchema = z.strictObject({
  version: z.literal(SNAPSHOT_VERSION),
  bindings: z.array(bindingSchema),
});

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
  const parsed = jarvisSnapshotSchema.safeParse(stored);
  if (!parsed.success) {
    const version = z.object({ version: z.number() }).safeParse(stored).data?.version;
    if (version !== undefined && version > SNAPSHOT_VERSION) {
      throw new RangeError(
        `Expected a snapshot of version ${SNAPSHOT_VERSION}, got ${version}: it was made by a newer version of this library.`,
      );
    }
    const issues = parsed.error.issues.slice(0, 3);
    const text = issues.map(({ path, message }) => `${path.join('.') || 'snapshot'}: ${message}`).join('; ');
    throw new TypeError(`Expected what snapshot() gave, got something else: ${text}.`);
  }
  const { bindings } = parsed.data;
  for (const key of ['jarvisSessionID', 'sessionID'] as const) {
    const seen = new Set<string>();
    for (const binding of bindings) {
      if (seen.has(binding[key])) {
        throw new TypeError(`Expected a snapshot to bind each session once, got ${binding[key]} twice.`);
      }
      seen.add(binding[key]);
    }
  }
  return parsed.data;
}

function isCanonical(directory: string): boolean {
  try {
    return normalizePath(directory) === directory;
  } catch (error) {
    if (error instanceof RepoPathError) return false;
    throw error;
  }
}
