import { accessSync, constants, statSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Finding } from '../../core/diagnosis.js';
import { statOf } from '../paths/stat-of.js';

const MIB = 1024 * 1024;
/** A database of this size costs seconds at each start of a slow disk, and says that nobody deletes sessions. */
const LARGE_BYTES = 2 * 1024 * MIB;
/** The files of OpenCode 1.18.33 in its data directory that hold conversations. */
const DATABASE_FILES = ['opencode.db', 'opencode.db-wal'];
const GROUP_OR_OTHERS_READ = 0o044;
const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;

/** Looks at the directory in which a server keeps its sessions and credentials. */
export function diagnoseDataDirectory(directory: string): Finding {
  const check = 'data-directory';
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const summary = `The server cannot write to its data directory ${directory} (${code}).`;
    return { level: 'error', check, summary, advice: 'Make it writable, or start with another dataDir.' };
  }
  const files = DATABASE_FILES.map((name) => join(directory, name));
  const bytes = files.reduce((sum, file) => sum + (statOf(file)?.size ?? 0), 0);
  const summary = `The data directory is ${directory}; its database has ${Math.ceil(bytes / MIB)} MiB.`;
  const readable = files.find((file) => isOpenToOthers(file));
  if (readable !== undefined) {
    const advice = `Take their rights away: chmod 700 ${directory}`;
    return { level: 'warn', check, summary: `Other users of this machine can read ${readable}.`, advice };
  }
  if (bytes < LARGE_BYTES) return { level: 'ok', check, summary };
  return { level: 'warn', check, summary, advice: 'Delete sessions that nobody needs: session.delete().' };
}

/** Whether users other than its owner reach and read a file. Where there are no such rights nobody does. */
function isOpenToOthers(file: string): boolean {
  const stats = statOf(file);
  if (process.platform === 'win32' || stats === undefined || (stats.mode & GROUP_OR_OTHERS_READ) === 0)
    return false;
  return (
    (stats.mode & OTHERS_READ) !== 0 && ancestorsOf(file).every(({ mode }) => (mode & OTHERS_ENTER) !== 0)
  );
}

function ancestorsOf(path: string): Stats[] {
  const parent = dirname(path);
  return parent === path ? [] : [statSync(parent), ...ancestorsOf(parent)];
}
