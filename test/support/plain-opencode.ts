import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenCodeConfig } from '../../src/testing/real/opencode-config.js';
import { opencodeBinary } from './opencode-binary.js';
import { until } from './wait.js';

/** How {@link spawnPlainOpenCode} starts the server. */
export interface PlainOpenCodeOptions {
  /** The environment; a variable that is `undefined` here is not passed on. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Passed in `OPENCODE_CONFIG_CONTENT`. */
  readonly config?: OpenCodeConfig;
  /** 0 takes any free one. @default 0 */
  readonly port?: number;
  /** @default a random one */
  readonly password?: string;
  /** Milliseconds until the server must be healthy. @default 30000 */
  readonly startTimeoutMs?: number;
}

/** An `opencode serve` process that was started without the library. */
export interface PlainOpenCode extends AsyncDisposable {
  readonly url: string;
  readonly password: string;
  readonly pid: number;
  /** `fetch` with a path, the password and, if given, the pinned directory; for a look past the library. */
  fetch(path: string, init?: RequestInit & { readonly directory?: string }): Promise<Response>;
  /** Whether the process has not ended. */
  running(): boolean;
  /** Disposes all instances, then ends the process group; resolves when the process is gone; idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts the real binary directly, for tests of `connect()` and of servers that somebody else owns.
 *
 * @throws {Error} with the server's output when it is not healthy in time; the process is gone by then.
 */
export async function spawnPlainOpenCode(options: PlainOpenCodeOptions): Promise<PlainOpenCode> {
  const { env, config = {}, port = 0, password = randomUUID(), startTimeoutMs = 30_000 } = options;
  const child = spawn(opencodeBinary(), ['serve', '--hostname', '127.0.0.1', '--port', String(port)], {
    // Not ours: the server resolves relative paths against it, also those it is told to delete.
    cwd: env['TMPDIR'],
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...env,
      OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
      OPENCODE_SERVER_PASSWORD: password,
      BUN_FEATURE_FLAG_NO_ORPHANS: '1', // a test run that is killed must not leave the server behind
    },
  });
  await once(child, 'spawn');
  const pid = child.pid as number;
  const exited = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => (output = (output + piece).slice(-20_000)));
  }
  const running = (): boolean => child.exitCode === null && child.signalCode === null;

  const send: PlainOpenCode['fetch'] = (path, { directory, ...init } = {}) => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Basic ${Buffer.from(`opencode:${password}`).toString('base64')}`);
    if (directory !== undefined) headers.set('x-opencode-directory', encodeURIComponent(directory));
    return fetch(`${url}${path}`, { ...init, headers });
  };
  let url = '';
  let stopped: Promise<void> | undefined;

  async function shutDown(): Promise<void> {
    // ends running bash tools, which have process groups of their own
    if (running() && url !== '') {
      await send('/global/dispose', { method: 'POST', signal: AbortSignal.timeout(5000) }).catch(() => {});
    }
    signalGroup(pid, 'SIGTERM');
    await Promise.race([exited, sleep(2000, undefined, { ref: false })]);
    signalGroup(pid, 'SIGKILL');
    await exited;
  }
  const stop = (): Promise<void> => (stopped ??= shutDown());

  /**
   * Asks only after the URL was printed: the port accepts connections up to 0.5 s earlier, and a request sent
   * in that time is never answered.
   */
  async function healthy(): Promise<boolean> {
    if (!running()) throw new Error('it exited');
    url ||= /opencode server listening on (http:\/\/\S+)/.exec(output)?.[1] ?? '';
    if (url === '') return false;
    return send('/global/health', { signal: AbortSignal.timeout(1000) }).then(
      (response) => response.ok,
      () => false,
    );
  }

  try {
    await until(healthy, { timeoutMs: startTimeoutMs, intervalMs: 50, what: 'a healthy server' });
  } catch (error) {
    await stop();
    throw new Error(`opencode serve did not start: ${output}`, { cause: error });
  }
  return { url, password, pid, fetch: send, running, stop, [Symbol.asyncDispose]: stop };
}

function signalGroup(pgid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pgid, signal);
  } catch {
    // nobody is left in the group
  }
}
