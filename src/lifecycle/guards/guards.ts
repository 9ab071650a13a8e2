import type { Logger } from '../../core/logger.js';
import { Guardian, type GuardianTask } from './reaper.js';
import { forgetServer, recordServer } from './orphans.js';
import { newMarker, type ProcessFamily } from '../process/process-tree.js';

/** What ends a server whose host was killed without a word. Each works without the others; tests switch them off one by one. */
export interface GuardKinds {
  /**
   * `BUN_FEATURE_FLAG_NO_ORPHANS`. OpenCode 1.18.33 on Linux: `prctl(PR_SET_PDEATHSIG, SIGKILL)`, so the server, and it alone, dies with
   * the thread that started it. Its tools and stubborn MCP servers go on. Costs nothing.
   */
  readonly parentDeath: boolean;
  /** A process that cleans up after this one: see {@link Guardian}. */
  readonly guardian: boolean;
  /** A file by which the next start on this machine finds what the others have missed. Costs one small file per server. */
  readonly record: boolean;
}

export const ALL_GUARDS: GuardKinds = { parentDeath: true, guardian: true, record: true };

/** The guards of one start, from before its first process until its last one has ended. */
export class Guards {
  /** What its processes need in their environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The value that marks them; no secret. */
  readonly marker: string;
  readonly #kinds: GuardKinds;
  readonly #guardian: Guardian | undefined;
  #task: GuardianTask;
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
    if (kinds.guardian) {
      this.#guardian = Guardian.start(this.#task, (error) =>
        logger.warn('no guardian: a killed host may leave its server behind', { error: String(error) }),
      );
    }
  }

  /** A process was started. */
  started(family: ProcessFamily): void {
    this.#note(family);
    this.#tell({ pid: family.leader?.pid, startTime: family.leader?.startTime, record: this.#record });
  }

  /** The server is ready: from here on it can be asked to end its work. */
  ready(family: ProcessFamily, url: string, authorization: string): void {
    // A wrapper may have become the server: its command line is another one now.
    this.#note(family);
    this.#tell({ url, authorization, record: this.#record });
  }

  /** Nothing is left to guard. */
  release(): void {
    this.#guardian?.release();
    if (this.#record !== undefined) forgetServer(this.#record);
  }

  #note(family: ProcessFamily): void {
    if (this.#kinds.record) this.#record = recordServer(family, this.marker) ?? this.#record;
  }

  #tell(news: Partial<GuardianTask>): void {
    this.#task = { ...this.#task, ...news };
    this.#guardian?.tell(this.#task);
  }
}
