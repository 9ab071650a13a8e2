import { realTime } from './real-time.js';

/** A cancellable timer of a {@link Clock}. */
export interface Timer {
  cancel(): void;
}

/** The time source of idle timers; replace it to test without waiting. */
export interface Clock {
  /** The time in epoch milliseconds. */
  now(): number;
  /** Calls `run` once after `delayMs`; must not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
}

/** The longest delay of `setTimeout`, about 24.8 days; longer ones fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** The system's clock, with timers that do not keep a Node process alive. Fake timers of a test replace its timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, run) => after(globalThis, delayMs, run),
};

/** The same, but fake timers of a test do not replace its timers. */
export const realClock: Pick<Clock, 'after'> = {
  after: (delayMs, run) => after(realTime, delayMs, run),
};

function after(
  timers: Pick<typeof globalThis, 'setTimeout' | 'clearTimeout'>,
  delayMs: number,
  run: () => void,
): Timer {
  const handle: unknown = timers.setTimeout(run, Math.min(delayMs, MAX_TIMER_MS));
  if (typeof handle === 'object' && handle !== null && 'unref' in handle)
    (handle as { unref(): void }).unref();
  return { cancel: () => timers.clearTimeout(handle as Parameters<typeof clearTimeout>[0]) };
}
