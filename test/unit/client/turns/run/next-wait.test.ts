import { describe, expect, it } from 'vitest';
import { nextWait, type TurnLook } from '../../../../../src/client/turns/run/next-wait.js';

const atWork = (stallTimeoutMs: number | false, idleMs: number): TurnLook => ({
  kind: 'at-work',
  stallTimeoutMs,
  idleMs,
});

describe('nextWait()', () => {
  it.each<readonly [string, TurnLook, number]>([
    ['an accepted prompt', { kind: 'accepted' }, 1_000],
    ['an idle session whose end is not stored', { kind: 'undecided' }, 250],
    ['an aborted turn that is still at work', { kind: 'aborting' }, 250],
    ['a turn at work without a limit', atWork(false, 60_000), 5_000],
    ['a turn at work far from its limit', atWork(60_000, 1_000), 5_000],
    ['a turn at work near its limit', atWork(60_000, 58_000), 2_000],
    ['a turn at work at its limit', atWork(60_000, 60_000), 1],
    ['a turn at work beyond its limit', atWork(60_000, 61_000), 1],
  ])('returns when to ask about %s', (_what, look, ms) => {
    expect(nextWait(look)).toBe(ms);
  });

  it('doubles the pause with every failure, up to two seconds', () => {
    const pauses = [1, 2, 3, 4, 5, 50].map((failures) => nextWait({ kind: 'unanswered', failures }, () => 1));
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 2_000, 2_000]);
  });
});
