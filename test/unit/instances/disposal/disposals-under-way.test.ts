import { describe, expect, it } from 'vitest';
import { DisposalsUnderWay, type Disposal } from '../../../../src/instances/disposal/disposals-under-way.js';
import { deferred } from '../../../support/wait.js';

const DONE: Disposal = { disposed: true, aborted: [] };

describe('the disposals under way', () => {
  it('begins a disposal at once when none is under way', () => {
    const underWay = new DisposalsUnderWay();
    const begun: string[] = [];
    void underWay.whenNoneOfAll(undefined, () => begun.push('one'));
    void underWay.whenNone(undefined, () => begun.push('all'));
    expect(begun).toEqual(['one', 'all']);
  });

  it('lets the disposal of one instance begin while another one is disposed, but not of all', async () => {
    const underWay = new DisposalsUnderWay();
    const disposal = deferred<Disposal>();
    underWay.add('/a', disposal.promise);
    expect([underWay.of('/a'), underWay.of('/b')]).toEqual([disposal.promise, undefined]);
    const begun: string[] = [];
    const all = underWay.whenNone(undefined, () => begun.push('all'));
    await underWay.whenNoneOfAll(undefined, () => begun.push('one'));
    expect(begun).toEqual(['one']);
    disposal.resolve(DONE);
    await all;
    expect([begun, underWay.of('/a')]).toEqual([['one', 'all'], undefined]);
  });

  it('lets no disposal begin while all instances are disposed, whether that succeeds or fails', async () => {
    const underWay = new DisposalsUnderWay();
    for (const settle of ['resolve', 'reject'] as const) {
      const disposal = deferred();
      underWay.addOfAll(disposal.promise);
      const begun: string[] = [];
      const waiting = [
        underWay.whenNoneOfAll(undefined, () => begun.push('one')),
        underWay.whenNone(undefined, () => begun.push('all')),
      ];
      await Promise.resolve();
      expect(begun).toEqual([]);
      if (settle === 'resolve') disposal.resolve();
      else disposal.reject(new Error('refused'));
      await Promise.all(waiting);
      expect(begun).toEqual(['one', 'all']);
    }
  });

  it('waits also for a disposal that another caller began first', async () => {
    const underWay = new DisposalsUnderWay();
    const [first, second] = [deferred(), deferred()];
    underWay.addOfAll(first.promise);
    const begun: string[] = [];
    const all = underWay.whenNone(undefined, () => {
      underWay.addOfAll(second.promise);
      begun.push('all');
    });
    const one = underWay.whenNone(undefined, () => begun.push('one'));
    first.resolve();
    await all;
    expect(begun).toEqual(['all']);
    second.resolve();
    await one;
    expect(begun).toEqual(['all', 'one']);
  });

  it('rejects with the reason of a signal, and begins no disposal then', async () => {
    const underWay = new DisposalsUnderWay();
    underWay.addOfAll(new Promise(() => undefined));
    const controller = new AbortController();
    const begun: string[] = [];
    const waiting = underWay.whenNoneOfAll(controller.signal, () => begun.push('one'));
    controller.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    expect(begun).toEqual([]);
  });
});
