import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../../src/core/logger.js';
import { DisposeRefusedError } from '../../../../src/errors.js';
import { Recycler } from '../../../../src/lifecycle/server/recycler.js';
import { fakeClock, type FakeClock } from '../../../support/fake-clock.js';

const MINUTE = 60_000;

let clock: FakeClock;
let rssBytes: number | undefined;
let isBusy: boolean;
let restarts: number;
let warnings: string[];
let recycler: Recycler;

beforeEach(() => {
  clock = fakeClock();
  rssBytes = 100;
  isBusy = false;
  restarts = 0;
  warnings = [];
  recycler = new Recycler({
    maxRssBytes: 500,
    rssBytes: () => rssBytes,
    restart: async () => {
      if (isBusy) throw new DisposeRefusedError('/a', []);
      restarts += 1;
    },
    clock,
    logger: { ...silentLogger, warn: (message) => void warnings.push(message) },
  });
});

afterEach(() => recycler.stop());

/** Lets `ms` pass, with all that happens meanwhile. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10_000) {
    clock.advance(10_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a server with a limit for its memory', () => {
  it('is kept at the limit, and when its memory is unknown', async () => {
    rssBytes = 500;
    await pass(5 * MINUTE);
    rssBytes = undefined;
    await pass(5 * MINUTE);
    expect([restarts, warnings]).toEqual([0, []]);
  });

  it('is restarted above the limit when nothing holds an instance, and not before', async () => {
    rssBytes = 501;
    isBusy = true;
    await pass(5 * MINUTE);
    expect([restarts, warnings]).toEqual([0, ['server is above recycleRssBytes and busy']]);
    isBusy = false;
    await pass(MINUTE);
    expect(restarts).toBe(1);
  });

  it('is restarted once in ten minutes when the limit is below what it needs', async () => {
    rssBytes = 1_000;
    await pass(9 * MINUTE);
    expect([restarts, warnings]).toEqual([1, ['server is above recycleRssBytes again soon after a restart']]);
    await pass(3 * MINUTE);
    expect(restarts).toBe(2);
  });

  it('is left alone after its end', async () => {
    rssBytes = 1_000;
    recycler.stop();
    await pass(5 * MINUTE);
    expect([restarts, clock.timers]).toEqual([0, 0]);
  });
});
