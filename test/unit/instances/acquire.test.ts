import { describe, expect, it } from 'vitest';
import { ServerLostError } from 'jarvis-opencode';
import { ServerLink } from '../../../src/client/http/server-link.js';
import { acquireThrough } from '../../../src/instances/acquire.js';
import type { InstanceEntry } from '../../../src/registry/instance-entry.js';

/** An instance that counts its holds and calls `onAcquire` when one is taken. */
function instance(onAcquire: () => void = () => undefined): { entry: InstanceEntry; holds: () => number } {
  let holds = 0;
  const acquire = (): Promise<() => void> => {
    holds += 1;
    onAcquire();
    return Promise.resolve(() => (holds -= 1));
  };
  return { entry: { acquire } as unknown as InstanceEntry, holds: () => holds };
}

const lost = (): ServerLostError => new ServerLostError('The work');

describe('acquiring an instance for a request', () => {
  it('takes a hold for a request, reports it, and releases it once', async () => {
    const { entry, holds } = instance();
    let acquired = 0;
    const release = await acquireThrough(new ServerLink(true), entry, { onAcquired: () => (acquired += 1) })(
      'request',
      'GET /',
    );
    expect([acquired, holds()]).toEqual([1, 1]);
    release();
    expect(holds()).toBe(0);
  });

  it('holds nothing while there is no server, and takes the hold on the next one', async () => {
    const link = new ServerLink(true);
    const { entry, holds } = instance();
    link.markLost(lost());
    const acquiring = acquireThrough(link, entry)('request', 'GET /');
    await Promise.resolve();
    expect(holds()).toBe(0);
    link.markReady();
    await acquiring;
    expect(holds()).toBe(1);
  });

  it('releases the hold and waits again when the server is lost while the instance loads', async () => {
    const link = new ServerLink(true);
    let times = 0;
    const { entry, holds } = instance(() => {
      if (++times === 1) link.markLost(lost());
    });
    const acquiring = acquireThrough(link, entry)('turn', 'ses_1');
    await expect.poll(() => times).toBe(1);
    expect(holds()).toBe(0);
    link.markReady();
    await acquiring;
    expect([times, holds()]).toEqual([2, 1]);
  });

  it('takes while draining only what belongs to running work', async () => {
    const kinds = ['request', 'turn', 'use', 'session-busy', 'lease', 'subscription', 'pty'] as const;
    const taken: string[] = [];
    for (const held of kinds) {
      for (const kind of ['request', 'turn'] as const) {
        const { entry } = instance();
        entry.isHeldBy = (asked) => asked.has(held);
        const acquire = acquireThrough(new ServerLink(true), entry, { isDraining: () => true });
        await acquire(kind, 'x').then(
          () => taken.push(`${kind} beside ${held}`),
          (error: unknown) => expect(error).toMatchObject({ name: 'ClosedError', isDraining: true }),
        );
      }
    }
    expect(taken).toEqual([
      'request beside turn',
      'request beside use',
      'turn beside use',
      'request beside session-busy',
    ]);
  });

  it('rejects with the reason of the signal while a request waits for a server', async () => {
    const link = new ServerLink(true);
    link.markLost(lost());
    const reason = new Error('no longer');
    await expect(
      acquireThrough(link, instance().entry)('request', 'GET /', AbortSignal.abort(reason)),
    ).rejects.toBe(reason);
  });

  it('keeps the process alive from before a hold is taken until it is released, or cannot be taken', async () => {
    const link = new ServerLink(true);
    let kept = 0;
    const keepAlive = (): (() => void) => {
      kept += 1;
      return () => void (kept -= 1);
    };
    link.markLost(lost());
    const acquire = acquireThrough(link, instance().entry, { keepAlive });
    const acquiring = acquire('request', 'GET /');
    expect(kept).toBe(1);
    link.markReady();
    const release = await acquiring;
    expect(kept).toBe(1);
    release();
    release();
    expect(kept).toBe(0);
    link.markLost(lost());
    const reason = new Error('enough');
    await expect(acquire('request', 'GET /', AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(kept).toBe(0);
  });
});
