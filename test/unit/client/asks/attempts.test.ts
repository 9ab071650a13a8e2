import { describe, expect, it, vi } from 'vitest';
import { attemptRepeatedly } from '../../../../src/client/asks/attempts.js';
import { ClosedError } from '../../../../src/errors.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

function setUp(...errors: Error[]) {
  const controller = new AbortController();
  const work = vi.fn(() => {
    const error = errors.shift();
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  });
  const onFailure = vi.fn();
  const start = (): Promise<boolean> =>
    attemptRepeatedly(work, { signal: controller.signal, onFailure, random: () => 1 });
  return { controller, work, onFailure, start };
}

describe('attemptRepeatedly', () => {
  it('resolves with true after the first success', async () => {
    const { work, onFailure, start } = setUp();
    expect(await start()).toBe(true);
    expect(work).toHaveBeenCalledOnce();
    expect(onFailure).not.toHaveBeenCalled();
  });

  it('doubles the pause between attempts, of which it makes five', async () => {
    vi.useFakeTimers();
    const failures = Array.from({ length: 6 }, (_, index) => new Error(`failure ${index}`));
    const { work, onFailure, start } = setUp(...failures);
    const isDone = start();
    for (const [index, pauseMs] of [200, 400, 800, 1_600].entries()) {
      await vi.advanceTimersByTimeAsync(pauseMs - 1);
      expect(work).toHaveBeenCalledTimes(index + 1);
      await vi.advanceTimersByTimeAsync(1);
      expect(work).toHaveBeenCalledTimes(index + 2);
    }
    expect(await isDone).toBe(false);
    expect(onFailure.mock.calls).toEqual(failures.slice(0, 5).map((error) => [error]));
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it.each([
    ['a permanent error', new ClosedError('The client')],
    ['a refused argument', new TypeError('no')],
  ])('gives up at once after %s', async (_what, error) => {
    const { work, onFailure, start } = setUp(error);
    expect(await start()).toBe(false);
    expect(work).toHaveBeenCalledOnce();
    expect(onFailure).toHaveBeenCalledWith(error);
  });

  it('ends a pause, and reports no failure, when its signal aborts', async () => {
    const { controller, work, onFailure, start } = setUp(new Error('first'), new Error('second'));
    onFailure.mockImplementationOnce(() => controller.abort());
    expect(await start()).toBe(false);
    expect(work).toHaveBeenCalledOnce();
    expect(onFailure).toHaveBeenCalledOnce();
  });
});
