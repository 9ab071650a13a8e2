import { describe, expect, it } from 'vitest';
import type { RestartTrace } from 'jarvis-opencode';
import { RestartTracer } from '../../../src/app/restart-tracer.js';
import type { Traces, Tracing } from '../../../src/core/tracing.js';

/** Collects what is traced, and how it ended. */
function recorder(isTraced = true) {
  const begun: RestartTrace[] = [];
  const ends: Promise<unknown>[] = [];
  const tracing: Tracing = {
    isTraced: () => isTraced,
    trace: <K extends keyof Traces, T>(
      _name: K,
      payload: Traces[K],
      run: (bind: never) => Promise<T>,
    ): Promise<T> => {
      begun.push(payload as RestartTrace);
      const end = run(undefined as never);
      ends.push(
        end.then(
          () => 'ready',
          (error: unknown) => error,
        ),
      );
      return end;
    },
  };
  return { begun, ends, tracer: new RestartTracer(tracing) };
}

describe('RestartTracer', () => {
  it('traces a restart from its begin until the next server is ready, with the attempts it took', async () => {
    const { begun, ends, tracer } = recorder();
    tracer.changed({ state: 'restarting', attempt: 1, isRequested: true });
    tracer.changed({ state: 'restarting', attempt: 2 });
    tracer.changed({ state: 'ready' });
    expect(begun).toEqual([{ isRequested: true, attempts: 2 }]);
    expect(await Promise.all(ends)).toEqual(['ready']);
    tracer.changed({ state: 'unhealthy' });
    tracer.changed({ state: 'ready' });
    tracer.changed({ state: 'restarting', attempt: 1 });
    expect(begun).toHaveLength(2);
  });

  it('ends the trace with the error when no next server starts', async () => {
    const { ends, tracer } = recorder();
    const error = new Error('no binary');
    tracer.changed({ state: 'restarting', attempt: 1 });
    tracer.changed({ state: 'failed', error });
    expect(await Promise.all(ends)).toEqual([error]);
  });

  it('traces nothing while nobody listens', () => {
    const { begun, tracer } = recorder(false);
    tracer.changed({ state: 'restarting', attempt: 1 });
    tracer.changed({ state: 'ready' });
    expect(begun).toEqual([]);
  });
});
