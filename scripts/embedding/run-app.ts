import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** What an app said, by word. */
export type Said = Readonly<Record<string, unknown>>;

/** The first prompt of an instance takes a real server seconds, and more on a busy machine. */
const RUN_LIMIT_MS = 120_000;

/**
 * Runs an app that says objects as JSON, a line each, until it has said its server's `pid`, and kills it then; or until it ends by itself.
 *
 * @param isDone - whether the app has said all; what it lacks is an error that shows what it complained of.
 */
export async function runApp(
  [file, ...args]: readonly [string, ...string[]],
  { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  isDone: (said: Said) => boolean,
): Promise<Said> {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const limit = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
  const exited = once(child, 'close');
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  const said: Record<string, unknown> = {};
  for await (const line of createInterface({ input: child.stdout })) {
    Object.assign(said, JSON.parse(line));
    if ('pid' in said) child.kill('SIGKILL');
  }
  await exited;
  clearTimeout(limit);
  if (!isDone(said)) throw new Error(`the app ended after ${JSON.stringify(said)}: ${complaint}`);
  return said;
}
