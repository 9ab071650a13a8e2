/**
 * In the place of `src/core/real-time.ts`, it lets fake timers drive what the library waits for by itself:
 * `vi.mock('…/src/core/real-time.js', () => import('…/support/global-time.js'))`.
 */
export const realTime = {
  now: (): number => performance.now(),
  setTimeout: (run: () => void, ms: number): unknown => setTimeout(run, ms),
  clearTimeout: (timer: Parameters<typeof clearTimeout>[0]): void => clearTimeout(timer),
};
