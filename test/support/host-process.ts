import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import type { StartOptions } from 'jarvis-opencode';
import { ALL_GUARDS, type GuardKinds } from '../../src/lifecycle/guards/guards.js';
import { descendantsOf, isAlive } from './processes.js';
import { until } from './wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What {@link startHost} runs. */
export interface HostSetup {
  /** Given to `start()`. */
  readonly options: StartOptions;
  /** The whole environment of the host. @default that of this process */
  readonly env?: NodeJS.ProcessEnv;
  /** What guards its servers. @default all */
  readonly guards?: GuardKinds;
}

/** A process that uses the library, to be ended in some way. */
export interface HostProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything it said so far. */
  said(): readonly string[];
  /** Resolves when it has said this. @throws {Error} with all its output when it ends or is silent instead. */
  hears(word: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Resolves when none of its descendants, its reapers included, is left. @throws {Error} after 5 s. */
  childrenGone(): Promise<void>;
}

/**
 * Runs `body` as a module, bundled with the library into one file, in a process of its own. In it are `start()` (as
 * `JarvisOpenCode.start(options)`, with the guards of the setup), `options`, and `say(word)`.
 */
export function startHost(body: string, setup: HostSetup): HostProcess {
  const directory = mkdtempSync(join(tmpdir(), 'jarvis-host-'));
  const script = join(directory, 'host.mjs');
  const source = `import { JarvisOpenCode } from './src/index.ts';
    import { OwnedServer } from './src/lifecycle/server/owned-server.ts';
    import { serverCalls } from './src/app/start-server.ts';
    import { pickOptions } from './src/core/checks.ts';
    import { jarvisOptionChecks } from './src/app/options.ts';
    import { serverOptionChecks } from './src/lifecycle/server/options.ts';
    const options = ${JSON.stringify(setup.options)};
    const guards = ${JSON.stringify(setup.guards ?? ALL_GUARDS)};
    const say = (word) => process.stdout.write(word + '\\n');
    const start = async () => new JarvisOpenCode(
      await OwnedServer.start(pickOptions(serverOptionChecks, options), serverCalls(), guards),
      pickOptions(jarvisOptionChecks, options),
    );
    ${body}`;
  buildSync({
    stdin: { contents: source, resolveDir: root, loader: 'ts' },
    outfile: script,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    banner: {
      js: 'import module from "node:module"; const require = module.createRequire(import.meta.url);',
    },
    logLevel: 'error',
  });
  const child = spawn(process.execPath, [script], {
    // Where the binary is found.
    cwd: root,
    env: setup.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid as number;
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (output += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (errors += piece));
  const said = (): string[] => output.split('\n').slice(0, -1);
  const ended = once(child, 'exit').then(([code, signal]) => {
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  const children = new Set<number>();
  const noteChildren = (): void => {
    for (const descendant of descendantsOf(pid)) children.add(descendant);
  };
  return {
    pid,
    said,
    ended,
    async hears(word) {
      const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
      await until(() => said().includes(word) || isOver(), {
        timeoutMs: 60_000,
        what: `"${word}" of the host`,
      });
      if (!said().includes(word)) throw new Error(`the host ended without "${word}": ${output}${errors}`);
      noteChildren();
    },
    kill(signal) {
      noteChildren();
      process.kill(pid, signal);
    },
    async childrenGone() {
      await until(() => ![...children].some(isAlive), { timeoutMs: 5_000, what: 'the end of its children' });
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
