import { execFileSync } from 'node:child_process';

/** Whether this machine lets us run a program: it is there, may be run, and ends well. */
export function works(program: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Whether bwrap may make its namespaces. It is in Debian's package bubblewrap; some containers forbid it. */
export const hasSandbox = works('bwrap', '--ro-bind', '/', '/', '--unshare-pid', '--proc', '/proc', 'true');
