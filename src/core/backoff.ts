/** The shortest and the longest of growing pauses, in milliseconds, before jitter. */
export interface BackoffBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * The pause before another attempt: it doubles with each failure up to `maxMs`, and jitter takes up to a half of it away, so
 * that clients and servers that failed together do not come back together.
 *
 * @param failures - how many pauses have gone before; 0 for the shortest one.
 * @param random - a number from 0 to 1.
 */
export function backoffMs(
  failures: number,
  { minMs, maxMs }: BackoffBounds,
  random: () => number = Math.random,
): number {
  return Math.min(maxMs, minMs * 2 ** failures) * (0.5 + random() / 2);
}
