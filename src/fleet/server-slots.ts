import { AbortScope, abortable, deferred, delay, type Deferred } from '../core/abort.js';
import { realTime } from '../core/real-time.js';
import { TimeoutError } from '../errors.js';

/** How often idle servers are looked for while one waits, in milliseconds. */
const LOOK_MS = 100;
/** How long a server that refused to be stopped is not asked again, in milliseconds. */
const REFUSED_MS = 1_000;

/** A server that runs only while it has a place. */
export interface SlotServer {
  /** How messages name it. */
  readonly label: string;
  /** Since when nothing uses it, epoch milliseconds; `undefined` while something does, and while it does not run. */
  readonly idleSince: number | undefined;
  /** Stops it unless something holds an instance. */
  sleep(): Promise<void>;
}

/** How many servers run, and how long one waits for another to end. */
export interface ServerSlotsInit {
  readonly max: number;
  readonly waitMs: number | false;
}

interface Waiting {
  readonly server: SlotServer;
  readonly granted: Deferred<() => void>;
}

/** Lets at most some servers run at a time. For one that waits, the least recently used idle one is stopped; who waits longest is first. */
export class ServerSlots {
  readonly #init: ServerSlotsInit;
  readonly #running = new Set<SlotServer>();
  readonly #queue: Waiting[] = [];
  readonly #refused = new WeakMap<SlotServer, number>();
  #isServing = false;

  constructor(init: ServerSlotsInit) {
    this.#init = init;
  }

  /**
   * Resolves when the server may start, with what gives its place back.
   *
   * @throws {TimeoutError} with phase `server` when no other server became idle in time.
   * @throws the reason of `signal`.
   */
  async take(server: SlotServer, signal: AbortSignal): Promise<() => void> {
    const waiting: Waiting = { server, granted: deferred() };
    this.#queue.push(waiting);
    void this.#serve();
    const { waitMs } = this.#init;
    const limit = new AbortScope([signal], {
      timeoutMs: waitMs,
      reason: (timeoutMs) => this.#timeout(server, timeoutMs),
    });
    try {
      return await abortable(waiting.granted.promise, limit.signal);
    } catch (error) {
      const position = this.#queue.indexOf(waiting);
      if (position >= 0) this.#queue.splice(position, 1);
      else (await waiting.granted.promise)();
      throw error;
    } finally {
      limit.end();
    }
  }

  #grant(): void {
    while (this.#running.size < this.#init.max) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      const { server, granted } = next;
      this.#running.add(server);
      granted.resolve(() => {
        if (this.#running.delete(server)) this.#grant();
      });
    }
  }

  /** Stops idle servers as long as one waits. */
  async #serve(): Promise<void> {
    this.#grant();
    if (this.#isServing) return;
    this.#isServing = true;
    while (this.#queue.length > 0) {
      const idle = this.#leastRecentlyUsed();
      if (idle === undefined) await delay(LOOK_MS);
      else await this.#stop(idle);
    }
    this.#isServing = false;
  }

  async #stop(server: SlotServer): Promise<void> {
    await server.sleep().catch(() => undefined);
    if (this.#running.has(server)) this.#refused.set(server, realTime.now() + REFUSED_MS);
  }

  #leastRecentlyUsed(): SlotServer | undefined {
    const now = realTime.now();
    return [...this.#running]
      .filter((server) => server.idleSince !== undefined && (this.#refused.get(server) ?? 0) <= now)
      .sort((a, b) => (a.idleSince ?? 0) - (b.idleSince ?? 0))[0];
  }

  #timeout({ label }: SlotServer, timeoutMs: number): TimeoutError {
    const running = [...this.#running].map((server) => server.label).join(', ');
    const what = `The start of ${label}, which waits for one of the ${this.#init.max} servers that may run at a time (maxServers) to be idle (${running})`;
    return new TimeoutError(what, { phase: 'server', timeoutMs });
  }
}
