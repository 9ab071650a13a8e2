import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { lazy } from '../../core/lazy.js';
import { makeDirectory } from '../paths/make-directory.js';
import { ProcessTree } from '../process/process-tree.js';
import { commandLineOf, findProcess, hasProcessTable, isAlive } from '../process/process-table.js';

const processSchema = lazy(() => z.object({ pid: z.number().int().positive(), startTime: z.string() }));

/** The record of a running server. It has no secret. */
const recordSchema = lazy(() =>
  z.object({
    /** Pids are valid only in the namespace they were recorded in: containers may share a directory. */
    namespace: z.string(),
    host: processSchema(),
    server: processSchema(),
    /** The command line of the server as the system reports it. */
    commandLine: z.string(),
    marker: z.string(),
  }),
);

type ServerRecord = z.infer<ReturnType<typeof recordSchema>>;

/** The directory of the records: private to this user, and emptied by the next boot, as pids are. */
export function recordDirectory(): string {
  return join(tmpdir(), `jarvis-opencode-${process.getuid?.() ?? 0}`);
}

/**
 * Records that this process runs a server, for {@link endOrphans} of a later start; returns the path of the record, which is to be
 * removed when the server has ended. `undefined` where there is no process table or no private directory.
 */
export function recordServer(
  tree: ProcessTree,
  marker: string,
  directory = recordDirectory(),
): string | undefined {
  const host = findProcess(process.pid);
  const server = tree.leader;
  if (host === undefined || server === undefined || !makePrivate(directory)) return undefined;
  const record: ServerRecord = {
    namespace: pidNamespace(),
    host: { pid: host.pid, startTime: host.startTime },
    server: { pid: server.pid, startTime: server.startTime },
    commandLine: commandLineOf(server.pid),
    marker,
  };
  const path = join(directory, `${marker}.json`);
  try {
    // By a rename, so that nobody reads a half of it.
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600, flag: 'wx' });
    renameSync(`${path}.new`, path);
    return path;
  } catch {
    return undefined;
  }
}

/** Removes a record, and the directory with the last of them. */
export function forgetServer(path: string): void {
  rmSync(path, { force: true });
  try {
    rmdirSync(join(path, '..'));
  } catch {
    // It has records of other servers.
  }
}

/**
 * Ends servers whose host has ended without them and whose other guards failed; returns their pids. A server is ended only
 * when its record is in a private directory of this user, its host is gone, and the process with its pid has the same start time and
 * the same command line. Whoever else carries its marker ends too.
 */
export function endOrphans(directory = recordDirectory()): number[] {
  if (!hasProcessTable() || !isPrivate(directory)) return [];
  const ended: number[] = [];
  for (const name of namesIn(directory)) {
    if (!name.endsWith('.json')) continue;
    const path = join(directory, name);
    const record = readRecord(path);
    if (record !== undefined && (record.namespace !== pidNamespace() || isAlive(record.host))) continue;
    if (record !== undefined && endOrphan(record)) ended.push(record.server.pid);
    forgetServer(path);
  }
  return ended;
}

/** The pids of servers that {@link endOrphans} would end. Changes nothing. */
export function findOrphans(directory = recordDirectory()): number[] {
  if (!hasProcessTable() || !isPrivate(directory)) return [];
  return namesIn(directory).flatMap((name) => {
    const record = name.endsWith('.json') ? readRecord(join(directory, name)) : undefined;
    if (record === undefined || record.namespace !== pidNamespace() || isAlive(record.host)) return [];
    return isTheServer(record) ? [record.server.pid] : [];
  });
}

function endOrphan(record: ServerRecord): boolean {
  // Without the server, or with another process in its place, only the marker says which processes belong to it.
  return new ProcessTree(isTheServer(record) ? record.server.pid : undefined, record.marker).kill();
}

/** Whether the process with the recorded pid is the recorded server. */
function isTheServer({ server, commandLine }: ServerRecord): boolean {
  return findProcess(server.pid)?.startTime === server.startTime && commandLineOf(server.pid) === commandLine;
}

/** Another start may have removed it meanwhile. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readRecord(path: string): ServerRecord | undefined {
  try {
    return recordSchema().parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** The namespace in which pids are valid; empty where there is none. */
export function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function makePrivate(directory: string): boolean {
  try {
    makeDirectory(directory);
    return isPrivate(directory);
  } catch {
    return false;
  }
}

/** Whether it is a directory, not a link, that nobody else can write to or read. */
function isPrivate(directory: string): boolean {
  try {
    const stat = lstatSync(directory);
    return stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
  } catch {
    return false;
  }
}
