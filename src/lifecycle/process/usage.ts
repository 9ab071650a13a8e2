import { readFileSync, readlinkSync } from 'node:fs';
import type { ProcessUsage, TreeUsage } from '../../core/instance.js';
import { descendantsOf } from './process-table.js';

/**
 * Reads what a process and all below it use; `undefined` where the platform does not tell, or when it has ended.
 *
 * @param server - the server, where `pid` is a wrapper that started it. Only what is below the server counts for a directory.
 */
export function usageOf(pid: number, server = pid): TreeUsage | undefined {
  if (process.platform !== 'linux') return undefined;
  const own = rssBytesOf(pid);
  if (own === undefined) return undefined;
  const children = new Set(descendantsOf(server).map((entry) => entry.pid));
  const others = new Set([...descendantsOf(pid).map((entry) => entry.pid), server, ...children]);
  others.delete(pid);
  let total: ProcessUsage = { count: 1, rssBytes: own };
  const byDirectory = new Map<string, ProcessUsage>();
  for (const other of others) {
    const rssBytes = rssBytesOf(other);
    if (rssBytes === undefined) continue;
    total = add(total, rssBytes);
    const directory = children.has(other) ? workingDirectoryOf(other) : undefined;
    if (directory !== undefined) byDirectory.set(directory, add(byDirectory.get(directory), rssBytes));
  }
  return { total, byDirectory };
}

function add(usage: ProcessUsage | undefined, rssBytes: number): ProcessUsage {
  return { count: (usage?.count ?? 0) + 1, rssBytes: (usage?.rssBytes ?? 0) + rssBytes };
}

function rssBytesOf(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    // A zombie has no memory.
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return undefined;
  }
}

function workingDirectoryOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}
