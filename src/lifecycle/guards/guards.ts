import type { Logger } from '../../core/logger.js';
import { Reaper, type ReaperTask } from './reaper.js';
import { forgetServer, recordServer } from './orphans.js';
import { newMarker, type ProcessTree } from '../process/process-tree.js';

/** What ends a server whose host was killed. Each works without the others; tests switch them off one by one. */
export interface GuardKinds {
  /**
   * `BUN_FEATURE_FLAG_NO_ORPHANS`. OpenCode 1.18.33 on Linux: `prctl(PR_SET_PDEATHSIG, SIGKILL)`, so the server, and it alone, dies with
   * the thread that started it. Its tools and stubborn MCP servers go on. Costs nothing.
   */
  readonly parentDeath: boolean;
  /** A process that ends the server when this one has died: see {@link Reaper}. */
  readonly reaper: boolean;
  /** A file by which the next start on this machine finds a server that the others have missed. Costs one small file per server. */
  readonly record: boolean;
}

export const ALL_GUARDS: GuardKinds = { parentDeath: true, reaper: true, record: true };

/** The guards of one start, from before its first process until its last one has ended. */
export class Guards {
  /** Variables for the environment of its processes. */
  readonly env: Readonly<Record<string, string>>;
  /** The value that marks them; no secret. */
  readonly marker: string;
  readonly #kinds: GuardKinds;
  readonly #reaper: Reaper | undefined;
  #task: ReaperTask;
  #record: string | undefined;

  constructor(kinds: GuardKinds, logger: Logger) {
    const marker = newMarker();
    this.#kinds = kinds;
    this.marker = marker.value;
    this.env = {
      [marker.name]: marker.value,
      ...(kinds.parentDeath && { BUN_FEATURE_FLAG_NO_ORPHANS: '1' }),
    };
    this.#task = { markerText: marker.text };
    if (kinds.reaper) {
      this.#reaper = Reaper.start(this.#task, (error) =>
        logger.warn('could not start the reaper: a killed host may leave its server behind', {
          error: String(error),
        }),
      );
    }
  }

  /** Guards a process that was started. */
  started(tree: ProcessTree): void {
    this.#writeRecord(tree);
    this.#update({ pid: tree.leader?.pid, startTime: tree.leader?.startTime, record: this.#record });
  }

  /** Notes that the server is ready: it can be asked to end its work now. */
  ready(tree: ProcessTree, url: string, authorization: string): void {
    // A wrapper may have become the server: its command line is another one now.
    this.#writeRecord(tree);
    this.#update({ url, authorization, record: this.#record });
  }

  /** Ends the guards: nothing is left to guard. */
  release(): void {
    this.#reaper?.release();
    if (this.#record !== undefined) forgetServer(this.#record);
  }

  #writeRecord(tree: ProcessTree): void {
    if (this.#kinds.record) this.#record = recordServer(tree, this.marker) ?? this.#record;
  }

  #update(changes: Partial<ReaperTask>): void {
    this.#task = { ...this.#task, ...changes };
    this.#reaper?.update(this.#task);
  }
}
