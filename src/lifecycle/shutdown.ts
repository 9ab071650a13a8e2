import { delay } from '../abort.js';
import { MAX_TIMER_MS } from '../clock.js';
import { descendantsOf, killProcess } from './descendants.js';
import type { ServerExit } from './server-handle.js';

/** How long the rest of a killed process group may take to vanish from the process table. */
const GROUP_GONE_MS = 2_000;
const POLL_MS = 20;

/** Servers that are alive, by pid: what must not outlive this process. */
const alive = new Set<number>();

function killAll(): void {
  for (const pid of alive) {
    const descendants = descendantsOf(pid);
    signalGroup(pid, 'SIGKILL');
    for (const descendant of descendants) killProcess(descendant);
  }
}

/** Makes sure that the process group ends when this process exits by itself or by `process.exit()`. */
export function endWithHost(pid: number): () => void {
  if (alive.size === 0) process.on('exit', killAll);
  alive.add(pid);
  return () => {
    alive.delete(pid);
    if (alive.size === 0) process.off('exit', killAll);
  };
}

/**
 * Ends a server with all it runs: SIGTERM to its group, SIGKILL after `graceMs`, and at last SIGKILL for whoever outlived its leader. Resolves
 * when they are gone. The server can swallow SIGTERM for some seconds after its first start, so this always escalates.
 */
export async function terminate(pid: number, exited: Promise<ServerExit>, graceMs: number): Promise<void> {
  const descendants = descendantsOf(pid);
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), Math.min(graceMs, MAX_TIMER_MS));
  try {
    await exited;
  } finally {
    clearTimeout(timer);
  }
  for (const descendant of descendants) killProcess(descendant);
  const deadline = performance.now() + GROUP_GONE_MS;
  while (signalGroup(pid, 'SIGKILL') && performance.now() < deadline) await delay(POLL_MS);
}

/** Sends a signal to every process of the group; `false` when there is none. */
function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal);
    return true;
  } catch {
    return false;
  }
}
