import type { DisposeAll, GuardedProcess } from '../guards/guarded-process.js';
import type { ServerExit } from '../process/exit.js';
import type { Probe } from './launch/ready.js';

/** What is known of a server that is ready. */
export interface ServerProcessInit {
  readonly process: GuardedProcess;
  readonly pid: number;
  /** The server itself, where `pid` is a wrapper that started it. */
  readonly serverPid: number;
  readonly url: string;
  readonly version: string;
  readonly opencode: 1 | 2;
  /** Value of the `authorization` header. */
  readonly authorization: string;
  readonly probe: Probe;
  /** Asks it to end all its work. */
  readonly dispose: DisposeAll;
}

/** One run of a server, from ready to gone. */
export class ServerProcess {
  readonly url: string;
  readonly version: string;
  readonly opencode: 1 | 2;
  readonly pid: number;
  readonly serverPid: number;
  declare readonly authorization: string;
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<ServerExit>;
  /** Asks for its health. */
  readonly probe: Probe;
  readonly #process: GuardedProcess;
  readonly #dispose: DisposeAll;

  /** Takes over a process that is ready. */
  constructor(init: ServerProcessInit) {
    this.url = init.url;
    this.version = init.version;
    this.opencode = init.opencode;
    this.pid = init.pid;
    this.serverPid = init.serverPid;
    Object.defineProperty(this, 'authorization', { value: init.authorization, enumerable: false });
    this.exited = init.process.exited;
    this.probe = init.probe;
    this.#process = init.process;
    this.#dispose = init.dispose;
  }

  /** The last lines it wrote, without secrets. */
  get recentOutput(): readonly string[] {
    return this.#process.output.lines();
  }

  /** What a signal to end this process does, instead of ending the server with little time. */
  onHostSignal(stop: () => Promise<unknown>): void {
    this.#process.stopWithHost = stop;
  }

  /** Ends its work, then it, then all it started; resolves when they are gone. Idempotent. */
  stop(graceMs: number): Promise<void> {
    return this.#process.end(graceMs, this.#dispose);
  }

  /** Kills it and all it started, also when it is stopped or hangs; resolves when they are gone. */
  kill(): Promise<void> {
    return this.#process.end(0);
  }
}
