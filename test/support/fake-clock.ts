import type { Clock } from 'jarvis-opencode';

/** A clock that stands still until it is told to go on. */
export interface FakeClock extends Clock {
  /** How many timers are set. */
  readonly timers: number;
  /** Goes on by `ms`, running the timers that become due, in their order. */
  advance(ms: number): void;
  /** Sets the time, as somebody who corrects the clock does; timers go on as they were. */
  set(time: number): void;
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
    set(time) {
      const jump = time - now;
      for (const timer of timers) timer.at += jump;
      now = time;
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
