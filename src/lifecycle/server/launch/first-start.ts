import { createHash, randomUUID } from 'node:crypto';
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { lazy } from '../../../core/lazy.js';
import { delay } from '../../../core/abort.js';
import { dataDirectory } from '../../paths/directory-traps.js';
import { makeDirectory } from '../../paths/make-directory.js';
import { statOf } from '../../paths/stat-of.js';
import { pidNamespace, recordDirectory } from '../../guards/orphans.js';
import { findProcess, isAlive } from '../../process/process-table.js';

const POLL_MS = 50;
/** How old a lock may be whose holder cannot be found: longer than a first start takes. */
const MAX_AGE_MS = 60_000;

const holderSchema = lazy(() =>
  z.object({
    namespace: z.string(),
    pid: z.number().int().positive(),
    /** Empty where the platform does not tell. */
    startTime: z.string(),
    token: z.string(),
  }),
);

type Holder = z.infer<ReturnType<typeof holderSchema>>;

/**
 * Waits for the turn of a server on a data directory without a database. OpenCode 1.18.33 makes its database without a lock:
 * of several servers that begin at once, most exit. One after the other starts until the database is there, also across
 * processes: a lock file beside the database, or for a server of another user in a directory of this one, names its holder. A start that has waited too long goes ahead.
 *
 * @returns what to call when the server is ready or has ended.
 */
export async function firstStart(
  server: { readonly env: NodeJS.ProcessEnv; readonly cwd: string; readonly user?: object | undefined },
  maxWaitMs: number,
  signal: AbortSignal,
): Promise<() => void> {
  const nothing = (): void => undefined;
  const database = databaseOf(server.env, server.cwd);
  if (database === undefined) return nothing;
  // In a directory of another user, that user could lead this process elsewhere by a link.
  const lock =
    server.user === undefined
      ? join(dirname(database), 'jarvis-opencode-start.lock')
      : join(recordDirectory(), `start-${createHash('sha256').update(database).digest('hex')}.lock`);
  const deadline = performance.now() + maxWaitMs;
  let isInherited = false;
  while (performance.now() < deadline) {
    if (!isInherited && existsSync(database) && !existsSync(lock)) return nothing;
    const taken = take(lock);
    if (taken === 'unusable') return nothing;
    if (taken !== 'held') {
      // A lock that an ended process has left behind may mean a database that is half made.
      if (isInherited || !existsSync(database)) return taken;
      taken();
      return nothing;
    }
    const holder = read(lock);
    if (isAbandoned(lock, holder)) {
      isInherited = true;
      rmSync(lock, { force: true });
      continue;
    }
    await delay(POLL_MS, signal);
  }
  return nothing;
}

/** The file of the database; `undefined` when there is none. */
function databaseOf(env: NodeJS.ProcessEnv, cwd: string): string | undefined {
  const name = env.OPENCODE_DB || 'opencode.db';
  return name === ':memory:' ? undefined : resolve(dataDirectory(env, cwd), name);
}

/** Makes the lock file, with all its content at once. `unusable` where no such file can be made: the server itself says why, if it matters. */
function take(lock: string): 'held' | 'unusable' | (() => void) {
  const token = randomUUID();
  const { pid, startTime = '' } = findProcess(process.pid) ?? { pid: process.pid };
  const holder: Holder = { namespace: pidNamespace(), pid, startTime, token };
  const draft = `${lock}.${token}`;
  try {
    makeDirectory(dirname(lock));
    writeFileSync(draft, JSON.stringify(holder), { flag: 'wx', mode: 0o600 });
  } catch {
    return 'unusable';
  }
  try {
    linkSync(draft, lock);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EEXIST' ? 'held' : 'unusable';
  } finally {
    rmSync(draft, { force: true });
  }
  return () => {
    if (read(lock)?.token === token) rmSync(lock, { force: true });
  };
}

function read(lock: string): Holder | undefined {
  try {
    return holderSchema().parse(JSON.parse(readFileSync(lock, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Whether nobody will remove the lock. A process of another pid namespace cannot be found. */
function isAbandoned(lock: string, holder: Holder | undefined): boolean {
  const isKnown = holder !== undefined && holder.startTime !== '' && holder.namespace === pidNamespace();
  if (isKnown) return !isAlive(holder);
  const stat = statOf(lock);
  return stat !== undefined && Date.now() - stat.mtimeMs > MAX_AGE_MS;
}
