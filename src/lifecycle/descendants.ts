import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * The processes below `pid`, children before grandchildren, read at once so that it also works while this process exits.
 * Running tools of the server are among them: they have process groups of their own, which no signal to its group reaches.
 * Empty where the platform does not tell.
 */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const [child, parent] of processTable()) {
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const found: number[] = [];
  for (
    let next = children.get(pid) ?? [];
    next.length > 0;
    next = next.flatMap((id) => children.get(id) ?? [])
  ) {
    found.push(...next);
  }
  return found;
}

/** Every process with its parent. */
function processTable(): [number, number][] {
  if (process.platform === 'linux') return linuxTable();
  if (process.platform === 'darwin') return psTable();
  return [];
}

function linuxTable(): [number, number][] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): [number, number][] => {
      try {
        // "pid (name) state ppid …", where the name may contain anything.
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]];
      } catch {
        return [];
      }
    });
}

function psTable(): [number, number][] {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' });
  return stdout.split('\n').flatMap((line): [number, number][] => {
    const [pid, parent] = line.trim().split(/\s+/).map(Number);
    return pid === undefined || parent === undefined ? [] : [[pid, parent]];
  });
}
