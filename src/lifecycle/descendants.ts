import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** One process, told from a later one with the same pid by its start time where the platform gives it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly startTime: string | undefined;
}

/**
 * The processes below `pid`, children before grandchildren, read at once so that it also works while this process exits.
 * Running tools of the server are among them: they have process groups of their own, which no signal to its group reaches.
 * Empty where the platform does not tell.
 */
export function descendantsOf(pid: number): ProcessEntry[] {
  const table = processTable();
  const found: ProcessEntry[] = [];
  let parents = new Set([pid]);
  while (parents.size > 0) {
    const level = table.filter((entry) => parents.has(entry.parent));
    found.push(...level);
    parents = new Set(level.map((entry) => entry.pid));
  }
  return found;
}

/** Kills the process, unless its pid belongs to another one by now. */
export function killProcess(entry: ProcessEntry): void {
  if (entry.startTime !== undefined && readStat(entry.pid)?.startTime !== entry.startTime) return;
  try {
    process.kill(entry.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function processTable(): ProcessEntry[] {
  if (process.platform === 'linux' && existsSync('/proc/self')) {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map((name) => readStat(Number(name))).filter((entry) => entry !== undefined);
  }
  if (process.platform === 'darwin') {
    const { stdout } = spawnSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' });
    return [...stdout.matchAll(/(\d+)\s+(\d+)/g)].map(([, pid, parent]) => ({
      pid: Number(pid),
      parent: Number(parent),
      startTime: undefined,
    }));
  }
  return [];
}

/** Reads `/proc/<pid>/stat`: "pid (name) state ppid …", where the name may contain anything. */
function readStat(pid: number): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(fields[1]), startTime: fields[19] };
  } catch {
    return undefined;
  }
}
