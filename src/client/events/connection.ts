import { abortable, delay, onAbort } from '../../abort.js';
import { ConnectionError, RequestError, ResponseShapeError, TimeoutError } from '../../errors.js';
import { realTime } from '../../real-time.js';
import { readFrames } from './sse.js';

/**
 * The server sends a heartbeat every 10 s (measured on OpenCode 1.18.33): after two and a half of them without a byte
 * the connection is dead, whatever TCP says.
 */
const SILENCE_MS = 25_000;

/**
 * On OpenCode 1.18.33 the first events after `server.connected` can be missing from `/global/event`: those of ~20 ms on a
 * quiet machine, and of more than 50 ms in every second try right after the start of the server on a busy one. The
 * subscription counts as live only this much later.
 */
const SETTLE_MS = 250;

/** What one connection needs. */
export interface ConnectionInit {
  /** Opens `/global/event`. */
  readonly open: (signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  /** Is told that bytes have arrived. */
  readonly alive?: (() => void) | undefined;
  /** Takes the data of one frame. */
  readonly frame: (data: string) => void;
  /** Runs once, when the subscription is known to deliver; a failure ends the connection. */
  readonly live: (connection: AbortSignal) => Promise<void>;
  /** Ends it. */
  readonly closing: AbortSignal;
}

/**
 * Reads one connection to its end. Resolves when the server ends it; afterwards nothing of it is left.
 *
 * @throws {TimeoutError} when nothing, not even a heartbeat, has arrived for too long; it may be half open.
 * @throws whatever `open`, `live` or the stream fails with, or the reason of `closing`.
 */
export async function readConnection({ open, alive, frame, live, closing }: ConnectionInit): Promise<void> {
  const connection = new AbortController();
  const { signal } = connection;
  const detach = onAbort(closing, () => connection.abort(closing.reason));
  const watchdog = new Watchdog(() => {
    const what = 'A sign of life on the event stream';
    connection.abort(new TimeoutError(what, { phase: 'events', timeoutMs: SILENCE_MS }));
  });
  let becomingLive: Promise<void> | undefined;
  const settle = async (): Promise<void> => {
    try {
      await delay(SETTLE_MS, signal);
      await live(signal);
    } catch (error) {
      // Half a subscription is worse than none.
      connection.abort(error);
    }
  };
  const handler = {
    alive: () => {
      watchdog.feed();
      alive?.();
    },
    frame: (data: string) => {
      becomingLive ??= settle();
      frame(data);
    },
  };
  try {
    const body = await abortable(open(signal), signal);
    await abortable(readFrames(body, handler, { signal }), signal);
  } finally {
    watchdog.stop();
    connection.abort();
    detach();
    await becomingLive;
  }
}

/** A refusal that repeating cannot change. */
export function isPermanent(error: unknown): boolean {
  if (error instanceof ResponseShapeError) return true;
  if (error instanceof ConnectionError) return error.isRedirect;
  return error instanceof RequestError && error.status < 500 && !TRANSIENT_STATUSES.has(error.status);
}

/** Request timeout, too early, too many requests. */
const TRANSIENT_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/** Barks when it was not fed for {@link SILENCE_MS}. Feeding costs a look at the clock and no timer. */
class Watchdog {
  readonly #bark: () => void;
  #fedAt = realTime.now();
  #timer: ReturnType<typeof realTime.setTimeout>;

  constructor(bark: () => void) {
    this.#bark = bark;
    this.#timer = realTime.setTimeout(() => this.#look(), SILENCE_MS);
  }

  feed(): void {
    this.#fedAt = realTime.now();
  }

  stop(): void {
    realTime.clearTimeout(this.#timer);
  }

  #look(): void {
    const leftMs = SILENCE_MS - (realTime.now() - this.#fedAt);
    if (leftMs <= 0) this.#bark();
    else this.#timer = realTime.setTimeout(() => this.#look(), leftMs);
  }
}
