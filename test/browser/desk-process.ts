import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../examples/desk/main.ts', import.meta.url));

/** Starts the desk as `npm run desk` does. */
export function startDesk(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The address with the token that a desk prints when it is open. */
export async function addressOf(desk: ChildProcess): Promise<string> {
  if (desk.stdout === null) throw new Error('the desk has no output');
  for await (const line of createInterface({ input: desk.stdout })) {
    const address = /http:\/\/127\.0\.0\.1:\d+\/\?token=\w+/.exec(line)?.[0];
    if (address !== undefined) return address;
  }
  throw new Error('the desk ended before it was open');
}
