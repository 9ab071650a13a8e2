import type { Clock } from 'jarvis-opencode';

/** A clock that stands still until it is told to go on. */
export interface FakeClock extends Clock {
  /** How many timers are set. */
  readonly timers: number;
  /** Goes on by `ms`, running the timers that become due, in their order. */
  advance(ms: number): void;
}

/** Makes a clock that starts at `start` epoch milliseconds. */
export function fakeClock(start = 1_000_000): FakeClock {
  let now = start;
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  return {
    now: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    get timers() {
      return timers.size;
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const due = [...timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        timers.delete(due);
        now = Math.max(now, due.at);
        due.run();
      }
      now = end;
    },
  };
}
