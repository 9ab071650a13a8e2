import { beforeEach, describe, expect, it } from 'vitest';
import { HealthMonitor, parseHealthPolicy } from '../../../../src/lifecycle/server/health.js';
import { fakeClock, type FakeClock } from '../../../support/fake-clock.js';

const policy = { intervalMs: 1_000, timeoutMs: 500, failures: 3 };

let clock: FakeClock;
let told: string[];
let probes: number;
let answer: () => Promise<{ healthy: boolean; version: string }>;
let monitor: HealthMonitor;

const well = (): Promise<{ healthy: boolean; version: string }> =>
  Promise.resolve({ healthy: true, version: '1.18.33' });
const hangs = (): Promise<never> => new Promise(() => undefined);

beforeEach(() => {
  clock = fakeClock();
  told = [];
  probes = 0;
  answer = well;
  monitor = new HealthMonitor({
    policy,
    clock,
    probe: () => {
      probes += 1;
      return answer();
    },
    unhealthy: () => told.push('unhealthy'),
    healthy: () => told.push('healthy'),
    hung: () => told.push('hung'),
  });
});

/** Lets `ms` pass, in steps, with all that happens meanwhile. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a server that is watched', () => {
  it('asks the server at every interval, and reports nothing while it answers', async () => {
    await pass(5_000);
    expect([probes, told]).toEqual([5, []]);
  });

  it('reports a server as unhealthy after its first failure, as hanging after the last one in a row, then leaves it alone', async () => {
    answer = hangs;
    await pass(1_400);
    expect(told).toEqual([]);
    await pass(100);
    expect(told).toEqual(['unhealthy']);
    await pass(3_000);
    expect(told).toEqual(['unhealthy', 'hung']);
    expect([probes, clock.timers]).toEqual([3, 0]);
  });

  it('goes on to probe a server that nobody ends, and reports when it answers again', async () => {
    monitor.stop();
    monitor = new HealthMonitor({
      policy,
      clock,
      probe: () => answer(),
      unhealthy: () => told.push('unhealthy'),
      healthy: () => told.push('healthy'),
    });
    answer = () => Promise.reject(new Error('refused'));
    await pass(10_000);
    expect(told).toEqual(['unhealthy']);
    answer = well;
    await pass(1_000);
    expect(told).toEqual(['unhealthy', 'healthy']);
    expect(clock.timers).toBe(1);
  });

  it('counts a failure also when the server refuses connections or says that it is not healthy', async () => {
    answer = () => Promise.reject(new TypeError('refused'));
    await pass(1_000);
    answer = () => Promise.resolve({ healthy: false, version: '' });
    await pass(2_000);
    expect(told).toEqual(['unhealthy', 'hung']);
  });

  it('reports a server as healthy again when it answers, and counts all its failures anew', async () => {
    answer = hangs;
    await pass(3_000);
    answer = well;
    await pass(1_000);
    expect(told).toEqual(['unhealthy', 'healthy']);
    answer = hangs;
    await pass(4_000);
    expect(told).toEqual(['unhealthy', 'healthy', 'unhealthy']);
  });

  it('does not ask a server that gives other signs of life, and does not report it as hanging', async () => {
    answer = hangs;
    for (let second = 0; second < 20; second += 1) {
      monitor.recordActivity();
      await pass(1_000);
    }
    expect([probes, told]).toEqual([0, []]);
  });

  it('counts no failure when a sign of life comes before the answer, and takes one for the end of ill health', async () => {
    answer = hangs;
    await pass(1_200);
    monitor.recordActivity();
    await pass(500);
    expect(told).toEqual([]);
    await pass(2_500);
    expect(told).toEqual(['unhealthy']);
    monitor.recordActivity();
    expect(told).toEqual(['unhealthy', 'healthy']);
  });

  it('counts no failure for an answer that was due while the machine slept', async () => {
    answer = hangs;
    await pass(2_000);
    expect(told).toEqual(['unhealthy']);
    await pass(600);
    expect(probes).toBe(2);
    clock.jump(3_600_000);
    await pass(1_000);
    expect(told).toEqual(['unhealthy']);
    answer = well;
    await pass(1_500);
    expect(told).toEqual(['unhealthy', 'healthy']);
  });

  it('asks nothing more when the watch ends, also in the middle of a request', async () => {
    answer = hangs;
    await pass(1_100);
    monitor.stop();
    await pass(10_000);
    expect([probes, told, clock.timers]).toEqual([1, [], 0]);
  });
});

describe('a health policy', () => {
  it('fills in the defaults of a health policy, and switches it off by false', () => {
    expect(parseHealthPolicy(undefined)).toEqual({ intervalMs: 10_000, timeoutMs: 10_000, failures: 3 });
    expect(parseHealthPolicy({ failures: 1 })).toMatchObject({ failures: 1, intervalMs: 10_000 });
    expect(parseHealthPolicy(false)).toBeUndefined();
  });

  it.each([
    [{ intervalMs: 0 }, /health\.intervalMs to be a positive number of milliseconds, got 0/],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, /health\.timeoutMs/],
    [{ failures: 0 }, /health\.failures to be a positive integer, got 0/],
    [{ failures: 2.5 }, /health\.failures/],
  ])('refuses the health policy %j', (wrong, message) => {
    expect(() => parseHealthPolicy(wrong)).toThrow(RangeError);
    expect(() => parseHealthPolicy(wrong)).toThrow(message);
  });

  it('takes only an object or false as a health policy', () => {
    expect(() => parseHealthPolicy(true as never)).toThrow(TypeError);
  });
});
