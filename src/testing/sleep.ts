import { abortable, deferred } from '../core/abort.js';
import type { Clock } from '../core/clock.js';

/** Resolves after `ms` milliseconds of this clock, or rejects with the signal's reason when it aborts first. */
export async function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = deferred();
  const timer = clock.after(ms, resolve);
  try {
    await abortable(promise, signal);
  } finally {
    timer.cancel();
  }
}
