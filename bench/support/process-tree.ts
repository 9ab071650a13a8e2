import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What a process and all below it take of the machine. */
export interface ProcessTree {
  /** Processes below it. */
  readonly children: number;
  /** Resident memory of them all and of itself. Pages that several of them share count for each. */
  readonly rssBytes: number;
}

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly rssBytes: number;
  /** The program it runs, where the platform tells. */
  readonly program?: string | undefined;
}

/** Measures the tree of a process, from `/proc`, else from `ps`. */
export function processTree(pid: number): ProcessTree {
  const rows = new Map(
    (existsSync('/proc/self/status') ? fromProc() : fromPs()).map((row) => [row.pid, row]),
  );
  const root = rows.get(pid);
  let rssBytes = root?.rssBytes ?? 0;
  let children = 0;
  for (let parents = new Set([pid]); parents.size > 0;) {
    const level = [...rows.values()].filter((row) => parents.has(row.parent) && !isForkOf(root, row));
    children += level.length;
    rssBytes += level.reduce((sum, row) => sum + row.rssBytes, 0);
    parents = new Set(level.map((row) => row.pid));
  }
  return { children, rssBytes };
}

/** Between its fork and its own program a child still shows all the memory of the server, which is the server's. */
function isForkOf(server: ProcessRow | undefined, { program }: ProcessRow): boolean {
  return program !== undefined && program === server?.program;
}

function fromProc(): ProcessRow[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const status = readStatus(pid);
    // One that has ended waits for nothing but to be noticed.
    if (status === '' || /^State:\s+[ZX]/m.test(status)) return [];
    const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return [{ pid: Number(pid), parent, rssBytes: kilobytes * 1024, program: readProgram(pid) }];
  });
}

function readProgram(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

/** Empty for a process that has gone meanwhile. */
function readStatus(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

function fromPs(): ProcessRow[] {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,ppid=,rss='], { encoding: 'utf8' });
  return [...stdout.matchAll(/^\s*(\d+)\s+(\d+)\s+(\d+)\s*$/gm)].map(([, pid, parent, kilobytes]) => ({
    pid: Number(pid),
    parent: Number(parent),
    rssBytes: Number(kilobytes) * 1024,
  }));
}
