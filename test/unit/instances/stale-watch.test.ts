import { describe, expect, it } from 'vitest';
import { Scheduler } from '../../../src/instances/scheduler.js';
import { StaleWatch } from '../../../src/instances/stale-watch.js';
import type { InstanceRegistry } from '../../../src/registry/instance-registry.js';
import { fakeClock, type FakeClock } from '../../support/fake-clock.js';
import { quietRegistry } from '../../support/quiet-registry.js';

interface Setup {
  readonly clock: FakeClock;
  readonly registry: InstanceRegistry;
  readonly watch: StaleWatch;
  readonly asked: { readonly directory: string; readonly signal: AbortSignal }[];
}

function setUp(): Setup {
  const clock = fakeClock();
  const registry = quietRegistry(clock);
  const asked: Setup['asked'] = [];
  const watch = new StaleWatch({
    registry,
    scheduler: new Scheduler(clock),
    confirm: ({ directory }, signal) => {
      asked.push({ directory, signal });
      return Promise.reject(new Error('no answer'));
    },
  });
  return { clock, registry, watch, asked };
}

const MINUTE_MS = 60_000;

describe('the stale watch', () => {
  it('asks the server about an instance whose holds no event touched for a minute, again and again', () => {
    const { clock, registry, watch, asked } = setUp();
    registry.entry('/a').begin('session-busy', { id: 'ses_1' });
    registry.entry('/idle').use();
    watch.start();
    clock.advance(MINUTE_MS - 1);
    expect(asked).toEqual([]);
    clock.advance(1);
    expect(asked).toMatchObject([{ directory: '/a' }]);
    clock.advance(MINUTE_MS);
    expect(asked).toMatchObject([{ directory: '/a' }, { directory: '/a' }]);
  });

  it('does not ask the server while events touch the holds', () => {
    const { clock, registry, watch, asked } = setUp();
    const entry = registry.entry('/a');
    entry.begin('session-busy', { id: 'ses_1' });
    watch.start();
    for (let round = 0; round < 5; round++) {
      clock.advance(MINUTE_MS - 1);
      entry.begin('session-busy', { id: 'ses_1' });
      clock.advance(1);
    }
    expect(asked).toEqual([]);
  });

  it('sets no timer while nothing is at work, and one when something begins', () => {
    const { clock, registry, watch, asked } = setUp();
    const entry = registry.entry('/a');
    watch.start();
    expect(clock.timers).toBe(0);
    entry.begin('question', { id: 'que_1', sessionID: 'ses_1' });
    watch.arm(entry);
    expect(clock.timers).toBe(1);
    entry.end('question', 'que_1');
    clock.advance(MINUTE_MS);
    expect([asked, clock.timers]).toEqual([[], 0]);
  });

  it('does not ask the server about an instance that is being disposed', () => {
    const { clock, registry, watch, asked } = setUp();
    const entry = registry.entry('/a');
    entry.begin('session-busy', { id: 'ses_1' });
    watch.start();
    const open = entry.closeGate();
    clock.advance(MINUTE_MS);
    expect(asked).toEqual([]);
    open();
  });

  it('checks for stale holds within a minute after the clock was set back', () => {
    const { clock, registry, watch, asked } = setUp();
    registry.entry('/a').begin('session-busy', { id: 'ses_1' });
    watch.start();
    clock.jump(-1_000_000);
    clock.advance(MINUTE_MS);
    expect(asked).toHaveLength(1);
  });

  it('ends its requests and sets no timer after stop()', () => {
    const { clock, registry, watch, asked } = setUp();
    const entry = registry.entry('/a');
    entry.begin('session-busy', { id: 'ses_1' });
    watch.start();
    clock.advance(MINUTE_MS);
    watch.stop();
    watch.arm(entry);
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(clock.timers).toBe(0);
  });
});
