import { describe, expect, it, vi } from 'vitest';
import { deferred } from '../../../src/core/abort.js';
import { SingleFlight } from '../../../src/core/single-flight.js';

describe('SingleFlight', () => {
  it('shares one attempt between callers at the same time, and starts another one later', async () => {
    const flights = new SingleFlight<number>();
    const start = vi.fn(() => Promise.resolve(start.mock.calls.length));
    const both = await Promise.all([flights.run('a', start), flights.run('a', start)]);
    expect(both).toEqual([1, 1]);
    expect(flights.has('a')).toBe(false);
    expect(await flights.run('a', start)).toBe(2);
  });

  it('keeps the attempts of different keys apart', async () => {
    const flights = new SingleFlight<string>();
    const results = ['a', 'b'].map((key) => flights.run(key, () => Promise.resolve(key)));
    expect(await Promise.all(results)).toEqual(['a', 'b']);
  });

  it('rejects every caller with the error of the attempt, and tries again for the next one', async () => {
    const flights = new SingleFlight<string>();
    const error = new Error('no');
    const fail = (): Promise<string> => Promise.reject(error);
    const outcomes = await Promise.allSettled([flights.run('a', fail), flights.run('a', fail)]);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason)).toEqual([
      error,
      error,
    ]);
    expect(await flights.run('a', () => Promise.resolve('ok'))).toBe('ok');
  });

  it('ends the waiting of one caller by its signal, and abandons the attempt after the last one', async () => {
    const flights = new SingleFlight<void>();
    const work = deferred();
    let abandoned: AbortSignal | undefined;
    const start = (signal: AbortSignal): Promise<void> => {
      abandoned = signal;
      return work.promise;
    };
    const [first, second] = [new AbortController(), new AbortController()];
    const waiting = [flights.run('a', start, first.signal), flights.run('a', start, second.signal)];
    first.abort(new Error('first'));
    await expect(waiting[0]).rejects.toThrow('first');
    expect(abandoned?.aborted).toBe(false);
    second.abort(new Error('second'));
    await expect(waiting[1]).rejects.toThrow('second');
    expect(abandoned?.aborted).toBe(true);
    expect(flights.has('a')).toBe(false);
  });
});
