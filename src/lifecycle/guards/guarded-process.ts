import { delay } from '../../core/abort.js';
import { MAX_TIMER_MS } from '../../core/clock.js';
import type { Guards } from './guards.js';
import { HOST_SIGNAL_GRACE_MS } from '../server/handle.js';
import { registerExitHook } from './exit-hook.js';
import { ProcessTree } from '../process/process-tree.js';
import type { ServerExit } from '../process/exit.js';
import { spawnServer, type SpawnedServer, type SpawnOptions } from '../process/spawn.js';

/** How long killed processes may take to vanish from the process table. */
const GONE_MS = 2_000;
const POLL_MS = 20;

/** Asks a process to end its work within a time limit. */
export type DisposeAll = (timeoutMs: number) => Promise<void>;

/** A child process that ends with this one, and with whose end all it started is killed. */
export class GuardedProcess {
  readonly pid: number | undefined;
  readonly output: SpawnedServer['output'];
  readonly url: SpawnedServer['url'];
  readonly failed: SpawnedServer['failed'];
  /** Resolves when the process has ended; what it left behind may take a moment more. Never rejects. */
  readonly exited: Promise<ServerExit>;
  readonly tree: ProcessTree;
  /** Lets this process end while that one runs, or not; {@link end} keeps it alive until that one has ended. */
  readonly #keepAlive: (isKept: boolean) => void;
  readonly #child: SpawnedServer['child'];
  readonly #endInput: () => void;
  /** Resolves when nothing is left of it and of what it started. Never rejects. */
  readonly gone: Promise<void>;
  /** Called when a signal ends this process. */
  stopWithHost: () => Promise<unknown> = () => this.end(HOST_SIGNAL_GRACE_MS);
  #hasExited = false;
  #ending: Promise<void> | undefined;

  constructor(options: SpawnOptions, guards: Guards) {
    const spawned = spawnServer({ ...options, env: { ...options.env, ...guards.env } });
    this.pid = spawned.child.pid;
    this.output = spawned.output;
    this.url = spawned.url;
    this.failed = spawned.failed;
    this.exited = spawned.exited;
    this.#keepAlive = spawned.keepAlive;
    this.#child = spawned.child;
    this.#endInput = spawned.endInput;
    this.tree = new ProcessTree(this.pid, guards.marker);
    guards.started(this.tree);
    const unregister = registerExitHook({
      killNow: () => this.tree.kill(),
      stop: () => this.stopWithHost(),
    });
    this.gone = this.exited.then(() => this.#sweep()).then(unregister);
    void this.exited.then(() => (this.#hasExited = true));
  }

  /** Whether it has not ended; {@link exited} waits a moment longer, for its last output. */
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Ends its standard input, which OpenCode 2 takes for the order to end; resolves when it has ended, at the latest after `limitMs`. */
  async endInput(limitMs: number): Promise<void> {
    this.#endInput();
    await Promise.race([this.exited, delay(Math.min(limitMs, MAX_TIMER_MS))]);
  }

  /** Lets this process end while that one runs: the exit hook kills it then. */
  unref(): void {
    this.#keepAlive(false);
  }

  /**
   * Asks the process to end its work, then to end (SIGTERM), then kills it with what is left of its tree. Resolves when all are
   * gone. OpenCode 1.18.33 can ignore SIGTERM for some seconds after its first start, so this always escalates. Idempotent;
   * callers share one end.
   *
   * @param graceMs - milliseconds it has to end its work, and then again to end itself.
   */
  end(graceMs: number, dispose?: DisposeAll): Promise<void> {
    this.#ending ??= this.#end(graceMs, dispose);
    return this.#ending;
  }

  async #end(graceMs: number, dispose: DisposeAll | undefined): Promise<void> {
    this.#keepAlive(true);
    if (dispose !== undefined && !this.#hasExited) {
      // A tool that is ended may leave children behind without a parent: they are remembered now.
      this.tree.scan();
      await dispose(graceMs).catch(() => undefined);
    }
    this.tree.scan();
    this.tree.terminate();
    const timer = setTimeout(() => this.tree.kill(), Math.min(graceMs, MAX_TIMER_MS));
    await this.exited;
    clearTimeout(timer);
    await this.gone;
  }

  /** Kills what has outlived the server. */
  async #sweep(): Promise<void> {
    if (this.pid === undefined) return;
    const deadline = performance.now() + GONE_MS;
    while (this.tree.kill() && performance.now() < deadline) await delay(POLL_MS);
  }
}
