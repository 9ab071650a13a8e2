import { spawn, type ChildProcess } from 'node:child_process';
import { deferred } from '../abort.js';
import { RecentOutput } from './output.js';
import type { ServerExit } from './server-handle.js';

/** The line by which the server tells where it listens. */
const URL_LINE = /opencode server listening on (https?:\/\/\S+)/;

/** What to run. */
export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Removed from everything that is kept of the output. */
  readonly secrets: readonly string[];
  readonly onLog: (line: string) => void;
}

/** A server process from its first moment on. */
export interface SpawnedServer {
  readonly child: ChildProcess;
  readonly output: RecentOutput;
  /** Resolves with the URL the server prints. */
  readonly url: Promise<string>;
  /** Rejects when it could not even be started. */
  readonly failed: Promise<never>;
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<ServerExit>;
}

/** Starts a server in a process group of its own, so that it can be ended with all its children. */
export function spawnServer(options: SpawnOptions): SpawnedServer {
  const url = deferred<string>();
  const failed = deferred<never>();
  const exited = deferred<ServerExit>();
  const output = new RecentOutput(options.secrets, (line) => {
    const match = URL_LINE.exec(line);
    if (match?.[1] !== undefined) url.resolve(new URL(match[1]).origin);
    options.onLog(line);
  });
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env,
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
  output.read(child.stdout);
  output.read(child.stderr);
  // `exit`, not `close`: a grandchild that inherited the pipes can hold them open for ever.
  child.once('exit', (code, signal) => exited.resolve({ code, signal }));
  child.once('error', (error) => {
    failed.reject(error);
    // Without a pid there is no process whose exit could be told.
    if (child.pid === undefined) exited.resolve({ code: null, signal: null });
  });
  return { child, output, url: url.promise, failed: failed.promise, exited: exited.promise };
}
