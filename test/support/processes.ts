import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Pids of the living processes whose environment holds `marker`, found by reading `/proc/<pid>/environ`.
 *
 * Children inherit the environment, so one marker in a server's environment finds every descendant, also
 * after re-parenting and `setsid`. Always empty where there is no `/proc`.
 */
export function processesWith(marker: string): number[] {
  return allPids().filter((pid) => readProc(pid, 'environ').includes(marker));
}

/** Pids of all living descendants of `pid`, found by their parents. Always empty where there is no `/proc`. */
export function descendantsOf(pid: number): number[] {
  const all = allPids().map((each) => ({ pid: each, parent: statOf(each)?.parent }));
  const found: number[] = [];
  for (let frontier = [pid]; frontier.length > 0;) {
    frontier = all
      .filter(({ parent }) => parent !== undefined && frontier.includes(parent))
      .map((each) => each.pid);
    found.push(...frontier);
  }
  return found;
}

/** Pids of the living processes in the process group `pgid`. Always empty where there is no `/proc`. */
export function groupMembers(pgid: number): number[] {
  return allPids().filter((pid) => statOf(pid)?.group === pgid);
}

/** Whether `pid` is a process that still runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  if (process.platform === 'linux') return statOf(pid) !== undefined;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** @throws {Error} naming the command lines, if a process with `marker` is alive now. */
export function expectNoProcesses(marker: string): void {
  const left = processesWith(marker);
  if (left.length > 0) throw new Error(`still alive: ${left.map(describe).join('; ')}`);
}

/**
 * Resolves when no process with `marker` is left.
 *
 * @throws {Error} naming the command lines of those still alive after `timeoutMs` (default 5000).
 */
export async function waitForNone(
  marker: string,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + (options.timeoutMs ?? 5000);
  const watch = watchProcesses(marker);
  let left = watch();
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(25);
    left = watch();
  }
  if (left.length > 0) throw new Error(`still alive: ${left.map(describe).join('; ')}`);
}

/**
 * Kills, one by one, the processes with `marker` that do not end by themselves within `graceMs`.
 *
 * @returns what was killed, pid and command line.
 */
export async function endProcessesWith(
  marker: string,
  options: { readonly graceMs: number },
): Promise<string[]> {
  await waitForNone(marker, { timeoutMs: options.graceMs }).catch(() => {});
  const killed = new Map<number, string>();
  const watch = watchProcesses(marker);
  for (let left = watch(); left.length > 0; left = watch()) {
    for (const pid of left) {
      if (!killed.has(pid)) killed.set(pid, describe(pid));
      kill(pid);
    }
    await sleep(25);
  }
  return [...killed.values()];
}

/**
 * Lists the living processes with `marker`, at each call anew. A process that is just dying has lost its
 * environment but still holds its files and ports, so one seen before is listed until it is gone.
 */
function watchProcesses(marker: string): () => number[] {
  const seen = new Set<number>();
  return () => {
    for (const pid of processesWith(marker)) seen.add(pid);
    return [...seen].filter(isAlive);
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended meanwhile
  }
}

interface ProcStat {
  readonly parent: number;
  readonly group: number;
}

/** Undefined for a process that is gone or a zombie. */
function statOf(pid: number): ProcStat | undefined {
  const stat = readProc(pid, 'stat');
  // `pid (comm) state ppid pgrp …`, where comm may hold blanks and parentheses
  const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (stat === '' || state === 'Z' || state === 'X') return undefined;
  return { parent: Number(parent), group: Number(group) };
}

function allPids(): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && statOf(pid) !== undefined);
}

/** Empty for a process that has gone meanwhile. */
function readProc(pid: number, file: 'environ' | 'stat' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** The arguments of a process with blanks between them; empty for one that is gone. */
export function commandLineOf(pid: number): string {
  return readProc(pid, 'cmdline').replaceAll('\0', ' ').trim();
}

function describe(pid: number): string {
  return `${pid} ${commandLineOf(pid)}`;
}
