import type { Hold, HoldKind } from '../../core/instance.js';
import { DisposeRefusedError } from '../../errors.js';
import type { DisposableInstance, DisposableInstances } from './disposable.js';

const TOLD_BY_SERVER: ReadonlySet<HoldKind> = new Set(['session-busy', 'permission', 'question', 'pty']);

/**
 * Refuses to dispose instances that this client itself holds. Holds that the server reported do not count yet: the event of their end
 * may be late, so the server is asked first.
 *
 * @throws {DisposeRefusedError}
 */
export function refuseOwnHolds(instances: readonly DisposableInstance[]): void {
  refuseHeld(instances.filter(hasOwnHolds));
}

/** Whether this client itself holds an instance. */
export function hasOwnHolds(instance: Pick<DisposableInstance, 'holds'>): boolean {
  const isOwn = ({ kind }: Hold): boolean => !TOLD_BY_SERVER.has(kind) && kind !== 'unknown';
  return instance.holds().some(isOwn);
}

/**
 * Refuses to dispose instances that anything holds, after asking the server. Call it behind the closed gate: every caller at the gate
 * has taken its hold before.
 *
 * @param confirm - reads what the server does in a directory and makes it the holds of the instance.
 * @throws {DisposeRefusedError}
 */
export async function refuseBusy(
  instances: DisposableInstances,
  confirm: (directory: string, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (const { directory } of instances.list()) await confirm(directory, signal);
  refuseHeld(instances.list());
}

function refuseHeld(instances: readonly DisposableInstance[]): void {
  for (const instance of instances) {
    const holds = instance.holds();
    if (holds.length > 0) throw new DisposeRefusedError(instance.directory, holds);
  }
}
