import { describe, expect, it } from 'vitest';
import { Scheduler } from '../../../src/instances/scheduler.js';
import { fakeClock } from '../../support/fake-clock.js';

describe('the scheduler', () => {
  it('keeps several deadlines with one timer, and sets no timer without a deadline', () => {
    const clock = fakeClock();
    const scheduler = new Scheduler(clock);
    const calls: string[] = [];
    const first = (): void => {
      calls.push('first');
      scheduler.set(second, clock.now() + 50);
    };
    const second = (): void => void calls.push('second');
    scheduler.set(first, clock.now() + 100);
    scheduler.set(second, clock.now() + 200);
    expect(clock.timers).toBe(1);
    clock.advance(99);
    expect(calls).toEqual([]);
    scheduler.set(second, undefined);
    clock.advance(1);
    expect(calls).toEqual(['first']);
    clock.advance(50);
    expect(calls).toEqual(['first', 'second']);
    expect(clock.timers).toBe(0);
  });

  it('replaces the deadline of a task', () => {
    const clock = fakeClock();
    const scheduler = new Scheduler(clock);
    let calls = 0;
    const task = (): void => void (calls += 1);
    scheduler.set(task, clock.now() + 100);
    scheduler.set(task, clock.now() + 300);
    clock.advance(299);
    expect(calls).toBe(0);
    clock.advance(1);
    expect(calls).toBe(1);
  });

  it('calls every task with a deadline when the timer ends after the clock was set back', () => {
    const clock = fakeClock();
    const scheduler = new Scheduler(clock);
    const calls: string[] = [];
    scheduler.set(() => calls.push('soon'), clock.now() + 100);
    scheduler.set(() => calls.push('later'), clock.now() + 5_000);
    clock.jump(-1_000_000);
    clock.advance(100);
    expect(calls).toEqual(['soon', 'later']);
  });

  it('calls a task that became overdue while the clock was set forward', () => {
    const clock = fakeClock();
    const scheduler = new Scheduler(clock);
    let calls = 0;
    scheduler.set(() => (calls += 1), clock.now() + 100);
    clock.jump(1_000_000);
    scheduler.set(() => undefined, clock.now() + 50);
    clock.advance(0);
    expect(calls).toBe(1);
  });

  it('calls no task after stop()', () => {
    const clock = fakeClock();
    const scheduler = new Scheduler(clock);
    let calls = 0;
    scheduler.set(() => (calls += 1), clock.now() + 100);
    scheduler.stop();
    scheduler.set(() => (calls += 1), clock.now() + 100);
    clock.advance(1_000);
    expect([calls, clock.timers]).toEqual([0, 0]);
  });
});
