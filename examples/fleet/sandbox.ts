/**
 * Commands for the option `wrap`, with tools of Linux: a file view of its own (bwrap), and limits for memory and processor time
 * (systemd-run).
 *
 *   npx tsx examples/fleet/sandbox.ts PATH
 *
 * `bubblewrap` is tested with a real server. `scope` is not: it needs a systemd with a bus for this user.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { JarvisOpenCode } from 'jarvis-opencode';

/** What a server in a sandbox may see. */
export interface View {
  /** Directories it may write to: repositories, and its own data directory. */
  readonly writable: readonly string[];
  /** Directories it sees empty, e.g. the home directory and the temporary one. */
  readonly hidden: readonly string[];
  /** What it may read all the same below a hidden one, e.g. the installed server. */
  readonly readable?: readonly string[];
}

/** The whole disk read-only, but for what the view says; processes of a namespace of its own, which end with the wrapper. */
export function bubblewrap({ writable, hidden, readable = [] }: View): string[] {
  return [
    ...['bwrap', '--ro-bind', '/', '/', '--dev', '/dev'],
    ...hidden.flatMap((path) => ['--tmpfs', path]),
    ...readable.flatMap((path) => ['--ro-bind', path, path]),
    ...writable.flatMap((path) => ['--bind', path, path]),
    // `--proc` after `--unshare-pid`: tools see their own processes only.
    ...['--unshare-pid', '--proc', '/proc', '--die-with-parent'],
  ];
}

/** A scope of the user's systemd with limits. With `--scope` the command runs as a child of ours, so it ends with this process. */
export function scope(limits: { readonly memoryMax: string; readonly cpuQuota: string }): string[] {
  const { memoryMax, cpuQuota } = limits;
  return [
    ...['systemd-run', '--user', '--scope', '--quiet', '--collect'],
    ...['-p', `MemoryMax=${memoryMax}`, '-p', 'MemorySwapMax=0', '-p', `CPUQuota=${cpuQuota}`, '--'],
  ];
}

async function main(directory: string): Promise<void> {
  const repository = resolve(directory);
  const dataDir = resolve('.jarvis-sandbox');
  mkdirSync(dataDir, { recursive: true });
  await using jarvis = await JarvisOpenCode.start({
    dataDir,
    cwd: repository,
    // A limit goes around the sandbox: [...scope({ memoryMax: '4G', cpuQuota: '200%' }), ...bubblewrap(…)].
    wrap: bubblewrap({ writable: [repository, dataDir], hidden: ['/tmp'] }),
  });
  const { text } = await jarvis.forRepo(repository).prompt('Which directories can you write to?');
  console.log(text);
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main(argv[2] ?? '.');
