import { describe, expect, it } from 'vitest';
import { AttachedServer, type AttachedHealth } from '../../../../src/lifecycle/server/attached-server.js';
import { silentLogger } from '../../../../src/core/logger.js';
import { fakeClock } from '../../../support/fake-clock.js';

const POLICY = { intervalMs: 1_000, timeoutMs: 500, failures: 3 };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function attached(health?: Partial<AttachedHealth>): {
  server: AttachedServer;
  states: string[];
  clock: ReturnType<typeof fakeClock>;
} {
  const clock = fakeClock();
  const probe = (): Promise<never> => Promise.reject(new Error('connection refused'));
  const server = new AttachedServer({
    url: 'http://127.0.0.1:9',
    version: '1.18.33',
    authorization: undefined,
    health: health && { policy: POLICY, probe, logger: silentLogger, clock, ...health },
  });
  const states: string[] = [];
  server.on('state', (state) => states.push(state));
  return { server, states, clock };
}

describe('a server that somebody else runs', () => {
  it('counts as ready while nobody watches it, with no timer', () => {
    const { server, clock } = attached();
    clock.advance(100_000);
    expect([server.state, clock.timers]).toEqual(['ready', 0]);
  });

  it('is unhealthy when it does not answer, for as long as it does not, and ready at its next activity', async () => {
    const { server, states, clock } = attached({});
    for (let probes = 0; probes < 10; probes += 1) {
      clock.advance(1_000);
      await settled();
    }
    expect(states).toEqual(['unhealthy']);
    server.recordActivity();
    expect(states).toEqual(['unhealthy', 'ready']);
  });

  it('is no longer probed when the client lets go of it', async () => {
    const { server, states, clock } = attached({});
    await server.stop();
    clock.advance(10_000);
    await settled();
    expect([states, clock.timers]).toEqual([['stopped'], 0]);
  });
});
