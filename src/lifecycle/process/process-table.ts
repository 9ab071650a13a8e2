import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** One process, told from a later one with the same pid by its start time. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Id of its process group. */
  readonly group: number;
  /** Opaque; equal for the same process only. On macOS it is exact to a second. */
  readonly startTime: string;
}

/** Every living process of this machine; empty where the platform does not tell. */
export function processTable(): ProcessEntry[] {
  if (hasProc()) return pidsInProc().flatMap((pid) => readStat(pid) ?? []);
  return process.platform === 'darwin' ? psTable(['-axo']) : [];
}

/** The living processes below `pid`, children before grandchildren; empty where the platform does not tell. */
export function descendantsOf(pid: number): ProcessEntry[] {
  const table = processTable();
  const found: ProcessEntry[] = [];
  for (let parents = new Set([pid]); parents.size > 0;) {
    const level = table.filter((entry) => parents.has(entry.parent));
    found.push(...level);
    parents = new Set(level.map((entry) => entry.pid));
  }
  return found;
}

/** One living process; `undefined` when there is none, or where the platform does not tell. */
export function findProcess(pid: number): ProcessEntry | undefined {
  if (hasProc()) return readStat(pid);
  return process.platform === 'darwin' ? psTable(['-p', String(pid), '-o'])[0] : undefined;
}

/** The command line of a process, blanks between its arguments; empty when it is gone or not told. */
export function commandLineOf(pid: number): string {
  if (hasProc()) return readProc(pid, 'cmdline').replaceAll('\0', ' ').trim();
  return process.platform === 'darwin' ? ps(['-p', String(pid), '-o', 'command=']).trim() : '';
}

/**
 * The processes whose environment, as they were started with it, holds `text`. Children inherit the environment, so a unique
 * text in that of a server leads to all it started, also to what left its group and session and lost its parent.
 * Empty where there is no `/proc`.
 */
export function processesWithEnv(text: string): ProcessEntry[] {
  if (!hasProc()) return [];
  return pidsInProc().flatMap((pid) =>
    readProc(pid, 'environ').includes(text) ? (readStat(pid) ?? []) : [],
  );
}

/** The names of the variables that a process was started with; empty when it is gone or not told. */
export function variablesOf(pid: number): ReadonlySet<string> {
  if (!hasProc()) return new Set();
  const entries = readProc(pid, 'environ').split('\0');
  return new Set(
    entries.flatMap((entry) => (entry.includes('=') ? [entry.slice(0, entry.indexOf('='))] : [])),
  );
}

/** Whether this very process is alive, not a later one with its pid. */
export function isAlive(entry: Pick<ProcessEntry, 'pid' | 'startTime'>): boolean {
  return findProcess(entry.pid)?.startTime === entry.startTime;
}

/** Whether this platform tells its processes. */
export function hasProcessTable(): boolean {
  return hasProc() || process.platform === 'darwin';
}

function hasProc(): boolean {
  return process.platform === 'linux' && existsSync('/proc/self/stat');
}

/** Empty when it cannot be read, for want of file descriptors: who looks again later finds it. */
function pidsInProc(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** Empty for a process that is gone or of somebody else. */
function readProc(pid: number, file: 'stat' | 'environ' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** Reads "pid (name) state ppid pgrp …", where the name may contain anything. A zombie has ended. */
function readStat(pid: number): ProcessEntry | undefined {
  const stat = readProc(pid, 'stat');
  const [state, parent, group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = rest[16];
  if (startTime === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, parent: Number(parent), group: Number(group), startTime };
}

function psTable(select: readonly string[]): ProcessEntry[] {
  const rows = ps([...select, 'pid=,ppid=,pgid=,stat=,lstart=']).matchAll(
    /^\s*(\d+)\s+(\d+)\s+(\d+)\s+([^Z\s]\S*)\s+(\S.*?)\s*$/gm,
  );
  return [...rows].map(([, pid, parent, group, , startTime = '']) => ({
    pid: Number(pid),
    parent: Number(parent),
    group: Number(group),
    startTime,
  }));
}

function ps(args: readonly string[]): string {
  const env = { PATH: '/bin:/usr/bin', LC_ALL: 'C' };
  return spawnSync('ps', args, { encoding: 'utf8', env, windowsHide: true, maxBuffer: 2 ** 26 }).stdout ?? '';
}
