import { statSync } from 'node:fs';
import { RequestError } from '../../../errors.js';
import type { ProcessTree } from '../../process/process-tree.js';
import { variablesOf } from '../../process/process-table.js';
import type { Probe } from './ready.js';

/**
 * The pid of the server that a wrapper started: the process of its tree that runs the binary. Where none does, as when the binary is a
 * script, the end of the chain of only children. Called when the server is ready: it has no children of its own yet.
 */
export function serverBehind(wrapper: number, tree: ProcessTree, binary: string): number {
  const members = tree.scan();
  const program = identityOf(binary);
  const byProgram = members.find(
    (entry) => program !== undefined && identityOf(`/proc/${entry.pid}/exe`) === program,
  );
  if (byProgram !== undefined) return byProgram.pid;
  for (let server = wrapper; ;) {
    const children = members.filter((entry) => entry.parent === server);
    const [child] = children;
    if (child === undefined || children.length > 1) return server;
    server = child.pid;
  }
}

/** The variables among these that a server did not get; empty where its environment cannot be read. */
export function droppedVariables(server: number, expected: readonly string[]): string[] {
  const got = variablesOf(server);
  return got.size === 0 ? [] : expected.filter((name) => !got.has(name));
}

/**
 * The variables that a server behind a wrapper did not get. One that answers without a password did not get that, whether its environment can
 * be read or not.
 *
 * @param open - asks it for its health without a password.
 */
export async function droppedBehind(
  server: number,
  expected: readonly string[],
  open: Probe,
  signal: AbortSignal,
): Promise<string[]> {
  const dropped = droppedVariables(server, expected);
  if (dropped.length > 0) return dropped;
  try {
    await open(signal);
    return ['OPENCODE_SERVER_PASSWORD'];
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

/** Whether a server refuses the password that it was to get. */
export function isPasswordRefused(error: unknown): boolean {
  return error instanceof RequestError && error.status === 401;
}

/** What tells a file from every other one, by whatever path it is reached. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
