/**
 * A server on another machine, started and reached by the system's `ssh`. One `ssh` forwards a port of this machine and runs the server at
 * the other end; the server ends with it, however it ends.
 *
 *   npx tsx examples/fleet/ssh.ts HOST /path/on/host
 *
 * Tested against an sshd on loopback.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { JarvisOpenCode, type ServerExit, type ServerHandle } from 'jarvis-opencode';
import { remoteHandle } from './remote-handle.js';

/** Where and how. */
export interface SshTarget {
  /** As for `ssh`: a host of your configuration, or `user@host`. */
  readonly host: string;
  /** More arguments for `ssh`, e.g. `['-i', '/path/to/key']`. */
  readonly sshArgs?: readonly string[];
  /** A port that is free on the other machine. */
  readonly remotePort: number;
  /** The server on the other machine, as its shell finds it. @default 'opencode' */
  readonly command?: string;
}

/**
 * What the other machine runs. The password comes through the input, so it is in no command line; the end of the input is the end of `ssh`,
 * and ends the server.
 */
function remoteScript(command: string, port: number): string {
  return [
    'read -r OPENCODE_SERVER_PASSWORD; export OPENCODE_SERVER_PASSWORD',
    `${command} serve --hostname 127.0.0.1 --port ${port} </dev/null & server=$!`,
    '(cat; kill $server; sleep 5; kill -9 $server) <&3 >/dev/null 2>&1 & wait $server',
  ].join('\n');
}

/** Opens the server; for `open` of a profile, once for each start. */
export async function openOverSsh(target: SshTarget, signal: AbortSignal): Promise<ServerHandle> {
  const { host, sshArgs = [], remotePort, command = 'opencode' } = target;
  const localPort = await freePort();
  const password = randomBytes(32).toString('base64url');
  const child = spawn(
    'ssh',
    [
      ...['-T', '-o', 'BatchMode=yes', '-o', 'ExitOnForwardFailure=yes', '-o', 'ServerAliveInterval=15'],
      ...['-L', `127.0.0.1:${localPort}:127.0.0.1:${remotePort}`, ...sshArgs, host],
      `exec 3<&0; ${remoteScript(command, remotePort)}`,
    ],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  );
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${password}\n`);
  const ended = new Promise<ServerExit>((resolve) => {
    child.once('exit', (code, by) => resolve({ code, signal: by }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
  const stop = async (): Promise<void> => {
    // The other end sees the end of its input, and ends the server.
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  };
  return remoteHandle({ url: `http://127.0.0.1:${localPort}`, password, ended, stop }, signal);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function main(host: string, directory: string): Promise<void> {
  const handle = await openOverSsh({ host, remotePort: 14_096 }, AbortSignal.timeout(60_000));
  // Paths are those of the other machine: the client takes them as they are.
  await using jarvis = new JarvisOpenCode(handle, { paths: 'remote' });
  const { text } = await jarvis.forRepo(directory).prompt('What does this project do?');
  console.log(text);
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const [, , host, directory] = argv;
  if (host === undefined || directory === undefined) throw new Error('Usage: ssh.ts HOST DIRECTORY');
  await main(host, directory);
}
