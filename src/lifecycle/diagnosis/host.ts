import { accessSync, constants } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import type { Finding } from '../../core/diagnosis.js';
import { loopbackExemption, proxyVariable } from '../server/launch/loopback.js';

/** What is looked at of a process. */
export interface Host {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly temporary: string;
}

/**
 * This process.
 *
 * @param serverEnv - the environment of the server that it started; its directories count then.
 */
export function thisHost(serverEnv: NodeJS.ProcessEnv = process.env): Host {
  const { env, pid, platform } = process;
  const { HOME, TMPDIR } = serverEnv;
  return { env, pid, platform, home: HOME ?? homeDirectory(), temporary: TMPDIR ?? tmpdir() };
}

/** Looks at what surrounds a process; one finding when there is nothing to say. */
export function diagnoseHost(host: Host): Finding[] {
  const found = [
    ...unwritable('warn', 'home directory', host.home, 'HOME'),
    ...unwritable('error', 'directory for temporary files', host.temporary, 'TMPDIR'),
    ...proxied(host.env),
    ...firstProcess(host.pid),
    ...untried(host.platform),
  ];
  if (found.length > 0) return found;
  return [{ level: 'ok', check: 'host', summary: 'Directories, proxy and system of this process are fine.' }];
}

function unwritable(level: Finding['level'], what: string, directory: string, variable: string): Finding[] {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return [];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const summary = `The ${what} ${JSON.stringify(directory)} cannot be written to (${code}).`;
    return [{ level, check: 'host', summary, advice: `Make it writable, or set ${variable}.` }];
  }
}

/** `start()` and `connect()` exempt the loopback addresses; something may have set the variables since. */
function proxied(env: NodeJS.ProcessEnv): Finding[] {
  const missing = Object.entries(loopbackExemption(env, 'localhost'));
  const [name, value] = missing[0] ?? [];
  if (name === undefined) return [];
  return [
    {
      level: 'warn',
      check: 'host',
      summary: `${proxyVariable(env)} is set, and ${name} exempts not all loopback addresses: requests to this machine may go to the proxy.`,
      advice: `Set ${name}=${value}`,
    },
  ];
}

/** Orphaned tools of the server become children of pid 1, which must take note of their end. */
function firstProcess(pid: number): Finding[] {
  if (pid !== 1) return [];
  return [
    {
      level: 'warn',
      check: 'host',
      summary:
        'This process is pid 1: Node does not reap the orphans that the system gives it, and they stay as zombies.',
      advice: 'Run it under an init, e.g. docker run --init.',
    },
  ];
}

function untried(platform: NodeJS.Platform): Finding[] {
  if (platform === 'linux') return [];
  const summary = `Nobody has tried this library on ${platform} yet: after a kill of this process the server may go on.`;
  return [{ level: 'warn', check: 'host', summary, advice: 'Call close() on every way out.' }];
}

/** The home directory; empty where the system has none for this user. */
function homeDirectory(): string {
  try {
    return homedir();
  } catch {
    return '';
  }
}
