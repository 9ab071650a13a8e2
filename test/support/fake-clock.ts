import type { Clock } from 'jarvis-opencode';

/** A clock that stands still until it is told to go on. */
export interface FakeClock extends Clock {
  /** How many timers are set. */
  readonly timers: number;
  /** Goes on by `ms`, running the timers that become due, in their order. */
  advance(ms: number): void;
  /** Sets the time of day by `ms`, as the end of a machine's sleep does; the timers wait as long as before. */
  jump(ms: number): void;
}

/** Makes a clock that starts at `start` epoch milliseconds. */
export function fakeClock(start = 1_000_000): FakeClock {
  let now = start;
  const timers = new Set<{ at: number; readonly run: () => void }>();
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
    jump(ms) {
      now += ms;
      for (const timer of timers) timer.at += ms;
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
