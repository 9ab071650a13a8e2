import { realClock, type Timer } from '../../core/clock.js';
import { abortable, delay, onAbort } from '../../core/abort.js';
import { TimeoutError } from '../../errors.js';
import { realTime } from '../../core/real-time.js';
import { readFrames } from './sse.js';

/**
 * The server sends a heartbeat every 10 s (measured on OpenCode 1.18.33): after two and a half of them without a byte
 * the connection is dead, also when TCP reports nothing.
 */
const SILENCE_MS = 25_000;

/**
 * On OpenCode 1.18.33 the first events after `server.connected` can be missing from `/global/event`: those of ~20 ms on a
 * quiet machine, and of more than 250 ms right after the start of the server on a busy one. The server answers a request after
 * what it had begun before. So the subscription counts as live when this time has passed and the server has answered this often.
 */
const SETTLE_MS = 250;
const SETTLE_ANSWERS = 2;

/** What one connection needs. */
export interface ConnectionInit {
  /** Opens `/global/event`. */
  readonly open: (signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  /** Called when bytes have arrived. */
  readonly onActivity?: (() => void) | undefined;
  /** How long one frame may be. @default 128 MiB */
  readonly maxEventBytes?: number | undefined;
  /** Called with the data of each frame. */
  readonly onFrame: (data: string) => void;
  /** Sends a request that changes and loads nothing, within a time limit of its own; the answer does not matter. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  /** Called once, when the subscription is known to deliver; if it rejects, the connection ends. */
  readonly onLive: (connection: AbortSignal) => Promise<void>;
  /** Ends the connection when it aborts. */
  readonly closing: AbortSignal;
}

/**
 * Reads one connection to its end. Resolves when the server ends it; afterwards nothing of it is left.
 *
 * @throws {ResponseTooLargeError} for an event of more than `maxEventBytes`.
 * @throws {TimeoutError} when nothing, not even a heartbeat, has arrived for too long; it may be half open.
 * @throws whatever `open`, `onLive` or the stream fails with, or the reason of `closing`.
 */
export async function readConnection(init: ConnectionInit): Promise<void> {
  const { open, onActivity, onFrame, probe, onLive, closing, maxEventBytes } = init;
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
      await Promise.all([delay(SETTLE_MS, signal), untilAnswered(probe, signal)]);
      await onLive(signal);
    } catch (error) {
      // A connection that cannot go live is ended: the hub opens another one.
      connection.abort(error);
    }
  };
  const handler = {
    onActivity: () => {
      watchdog.recordActivity();
      onActivity?.();
    },
    onFrame: (data: string) => {
      becomingLive ??= settle();
      onFrame(data);
    },
  };
  try {
    const body = await abortable(open(signal), signal);
    await abortable(readFrames(body, handler, { signal, maxFrameBytes: maxEventBytes }), signal);
  } finally {
    watchdog.stop();
    connection.abort();
    detach();
    await becomingLive;
  }
}

/** Waits until the server has had the time to answer, one request after the other. */
async function untilAnswered(probe: ConnectionInit['probe'], signal: AbortSignal): Promise<void> {
  for (let answer = 0; answer < SETTLE_ANSWERS && !signal.aborted; answer++) {
    await probe(signal).catch(() => undefined);
  }
}

/** Calls `onSilence` after {@link SILENCE_MS} without activity. Recording activity reads the clock and sets no timer. */
class Watchdog {
  readonly #onSilence: () => void;
  #activeAt = realTime.now();
  #timer: Timer;

  constructor(onSilence: () => void) {
    this.#onSilence = onSilence;
    this.#timer = realClock.after(SILENCE_MS, () => this.#check());
  }

  recordActivity(): void {
    this.#activeAt = realTime.now();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #check(): void {
    const leftMs = SILENCE_MS - (realTime.now() - this.#activeAt);
    if (leftMs <= 0) this.#onSilence();
    else this.#timer = realClock.after(leftMs, () => this.#check());
  }
}
