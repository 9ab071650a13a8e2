import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { deferred, delay } from '../../core/abort.js';
import { RecentOutput } from './output.js';
import type { ServerExit } from './exit.js';

/** The line in which OpenCode 1.18.33 prints where it listens; it prints an IPv6 address without brackets. */
const URL_LINE = /opencode server listening on (https?):\/\/(\S+):(\d+)/;
/** The first line of OpenCode 2.0.14 with `--stdio`. */
const STDIO_URL_LINE = /^\{"url":"(https?):\/\/([^"]+):(\d+)\/?"\}/;

/** How long the last output of a process that has ended may take to be read. */
const LAST_OUTPUT_MS = 250;

/** What to run. */
export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** The user that it runs as. @default the one of this process */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Whether it gets a standard input, which stays open until {@link SpawnedServer.endInput}. @default it has none */
  readonly hasInput?: boolean | undefined;
  /** Texts that are removed from the output. */
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
  /** Says whether this process stays alive for it, as it does at first. */
  readonly keepAlive: (isKept: boolean) => void;
  /** Ends its standard input, if it has one. */
  readonly endInput: () => void;
}

/** Starts a server in a process group of its own, so that it can be ended with all its children. */
export function spawnServer(options: SpawnOptions): SpawnedServer {
  const url = deferred<string>();
  const failed = deferred<never>();
  const exited = deferred<ServerExit>();
  const output = new RecentOutput(options.secrets, (line) => {
    const origin = originIn(line);
    if (origin !== undefined) url.resolve(origin);
    options.onLog(line);
  });
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env,
    detached: process.platform !== 'win32',
    stdio: [options.hasInput === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    windowsHide: true,
    ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
  });
  // One that could not be started, for want of file descriptors, has no pipes.
  if (child.pid !== undefined) {
    if (child.stdout !== null) output.read(child.stdout);
    if (child.stderr !== null) output.read(child.stderr);
  }
  // `close` comes when all output is read, but a grandchild that inherited the pipes can hold them open for ever.
  child.once('close', (code, signal) => exited.resolve({ code, signal }));
  child.once('exit', (code, signal) => {
    void delay(LAST_OUTPUT_MS).then(() => exited.resolve({ code, signal }));
  });
  child.once('error', (error) => {
    failed.reject(error);
    // Without a pid there is no process that could exit.
    if (child.pid === undefined) exited.resolve({ code: null, signal: null });
  });
  const keepAlive = (isKept: boolean): void => {
    // The pipes are sockets, which the types do not say.
    const handles = [child, child.stdin, child.stdout, child.stderr] as readonly (Partial<
      Pick<Socket, 'ref' | 'unref'>
    > | null)[];
    for (const handle of handles) {
      if (isKept) handle?.ref?.();
      else handle?.unref?.();
    }
  };
  // It may have ended already.
  child.stdin?.on('error', () => undefined);
  const endInput = (): void => void child.stdin?.end();
  return {
    child,
    output,
    url: url.promise,
    failed: failed.promise,
    exited: exited.promise,
    keepAlive,
    endInput,
  };
}

function originIn(line: string): string | undefined {
  const [, protocol, host = '', port] = URL_LINE.exec(line) ?? STDIO_URL_LINE.exec(line) ?? [];
  if (protocol === undefined) return undefined;
  const url = `${protocol}://${reachable(host)}:${port}`;
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

/** A server that listens everywhere is reached on this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
