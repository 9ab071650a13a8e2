import { describe, expect, it, vi } from 'vitest';
import { PermissionAsk } from 'jarvis-opencode';
import { PendingAsks } from '../../../../src/client/asks/pending.js';
import { DIRECTORY, permission } from './set-up.js';

function ask(id: string, sessionID?: string): PermissionAsk {
  return new PermissionAsk(permission(id, sessionID), DIRECTORY, () => Promise.resolve('answered'));
}

function setUp() {
  const onExcess = vi.fn();
  return { onExcess, pending: new PendingAsks(onExcess) };
}

describe('PendingAsks', () => {
  it('adds an ask once', () => {
    const { pending } = setUp();
    const first = ask('per_1');
    expect(pending.add(first)?.ask).toBe(first);
    expect(pending.add(ask('per_1'))).toBeUndefined();
    expect(pending.ids).toEqual(['per_1']);
  });

  it('aborts the signal of an ask that is settled, and does not add it again', () => {
    const { pending } = setUp();
    const added = pending.add(ask('per_1'));
    pending.settle('per_1');
    expect(added?.settled.aborted).toBe(true);
    expect(pending.isSettled('per_1')).toBe(true);
    expect(pending.add(ask('per_1'))).toBeUndefined();
  });

  it('settles the asks that match', () => {
    const { pending } = setUp();
    pending.add(ask('per_1', 'ses_1'));
    pending.add(ask('per_2', 'ses_2'));
    pending.settleWhere(({ sessionID }) => sessionID === 'ses_1');
    expect(pending.ids).toEqual(['per_2']);
  });

  it('shows the ask that was added under the same id', () => {
    const { pending } = setUp();
    const first = ask('per_1');
    const added = pending.add(first);
    expect(pending.show(ask('per_1'))).toBe(first);
    expect(added?.isShown).toBe(true);
    const unknown = ask('per_2');
    expect(pending.show(unknown)).toBe(unknown);
  });

  it('adds an ask again after clear()', () => {
    const { pending } = setUp();
    const added = pending.add(ask('per_1'));
    pending.clear();
    expect(added?.settled.aborted).toBe(true);
    expect(pending.isSettled('per_1')).toBe(false);
    expect(pending.add(ask('per_1'))).toBeDefined();
  });

  it('reports an ask beyond 1,000 instead of adding it', () => {
    const { onExcess, pending } = setUp();
    for (let index = 0; index < 1_000; index += 1) pending.add(ask(`per_${index}`));
    const excess = ask('per_excess');
    expect(pending.add(excess)).toBeUndefined();
    expect(onExcess).toHaveBeenCalledWith(excess);
    expect(pending.has('per_excess')).toBe(false);
  });

  it('reports an ask that makes those that wait longer than 64 million characters, and adds it when there is room again', () => {
    const { onExcess, pending } = setUp();
    const long = (id: string): PermissionAsk => {
      const request = { ...permission(id), metadata: { diff: 'x'.repeat(25_000_000) } };
      return new PermissionAsk(request, DIRECTORY, () => Promise.resolve('answered'));
    };
    expect(pending.add(long('per_1'))).toBeDefined();
    expect(pending.add(long('per_2'))).toBeDefined();
    const excess = long('per_3');
    expect(pending.add(excess)).toBeUndefined();
    expect(onExcess).toHaveBeenCalledWith(excess);
    pending.settle('per_1');
    expect(pending.add(excess)).toBeDefined();
  });

  it('remembers the last 1,000 that were settled', () => {
    const { pending } = setUp();
    for (let index = 0; index <= 1_000; index += 1) pending.settle(`per_${index}`);
    expect(pending.isSettled('per_0')).toBe(false);
    expect(pending.isSettled('per_1')).toBe(true);
    expect(pending.isSettled('per_1000')).toBe(true);
  });
});
