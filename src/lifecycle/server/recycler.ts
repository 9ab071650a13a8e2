import { systemClock, type Clock, type Timer } from '../../core/clock.js';
import type { Logger } from '../../core/logger.js';
import { DisposeRefusedError } from '../../errors.js';

/** How often the memory of a server is read. */
const CHECK_MS = 30_000;
/** How many checks follow a restart before the next one: ten minutes. A limit that is too low would end in nothing but restarts. */
const CHECKS_AFTER_RESTART = 20;

/** What a {@link Recycler} needs. */
export interface RecyclerInit {
  /** The limit for the resident memory of the server and all below it. */
  readonly maxRssBytes: number;
  /** Their memory now; `undefined` when it is unknown, which keeps the server. */
  readonly rssBytes: () => number | undefined;
  /** Restarts the server. @throws {DisposeRefusedError} when something holds an instance. */
  readonly restart: () => Promise<void>;
  readonly clock?: Clock | undefined;
  readonly logger: Logger;
}

/** Restarts a server that has grown, at a time when nothing holds an instance: memory comes back only with the end of the process. */
export class Recycler {
  readonly #init: RecyclerInit;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #isOver = false;
  /** Checks until the next restart may come. */
  #pause = 0;
  /** Whether the log has said that the server is kept. */
  #hasTold = false;

  constructor(init: RecyclerInit) {
    this.#init = init;
    this.#clock = init.clock ?? systemClock;
    this.#schedule();
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#isOver) return;
    this.#timer = this.#clock.after(CHECK_MS, () => void this.#check().finally(() => this.#schedule()));
  }

  /** Never rejects. */
  async #check(): Promise<void> {
    const { maxRssBytes, restart, logger } = this.#init;
    this.#pause -= 1;
    const rssBytes = this.#init.rssBytes();
    if (rssBytes === undefined || rssBytes <= maxRssBytes) return;
    if (this.#pause > 0)
      return this.#tell('server is above recycleRssBytes again soon after a restart', rssBytes);
    try {
      await restart();
      logger.info('server restarted because of its memory', { rssBytes, maxRssBytes });
      this.#pause = CHECKS_AFTER_RESTART;
      this.#hasTold = false;
    } catch (error) {
      if (error instanceof DisposeRefusedError)
        this.#tell('server is above recycleRssBytes and busy', rssBytes);
      else if (!this.#isOver) logger.warn('server could not be restarted', { error: String(error) });
    }
  }

  #tell(message: string, rssBytes: number): void {
    if (!this.#hasTold) this.#init.logger.warn(message, { rssBytes, maxRssBytes: this.#init.maxRssBytes });
    this.#hasTold = true;
  }
}
