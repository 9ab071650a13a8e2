import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../../src/core/clock.js';
import { EventBus } from '../../../../src/testing/state/event-bus.js';
import { Ids } from '../../../../src/testing/state/ids.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('the event stream of the mock', () => {
  it('sends a heartbeat every ten seconds while a stream is open', async () => {
    const bus = new EventBus(new Ids(), systemClock);
    const reading = new AbortController();
    let received = '';
    const reader = (async () => {
      for await (const chunk of bus.open(reading.signal)) received += new TextDecoder().decode(chunk);
    })();
    reader.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(received.match(/server\.\w+/g)).toEqual([
      'server.connected',
      'server.heartbeat',
      'server.heartbeat',
    ]);
    reading.abort(new Error('enough'));
    await expect(reader).rejects.toThrow('enough');
    expect(vi.getTimerCount()).toBe(0);
  });
});
