import { describe, expect, it } from 'vitest';
import { DisposeRefusedError, type HoldKind } from 'jarvis-opencode';
import { refuseBusy, refuseOwnHolds } from '../../../../src/instances/disposal/refusal.js';
import { quietRegistry } from '../../../support/quiet-registry.js';

const { signal } = new AbortController();

describe('refusing a disposal', () => {
  it.each<HoldKind>(['request', 'turn', 'use', 'subscription', 'lease'])(
    'refuses a disposal at once because of a %s',
    (kind) => {
      const entry = quietRegistry().entry('/a');
      entry.use();
      entry.hold(kind, 'x');
      expect(() => refuseOwnHolds([entry])).toThrow(DisposeRefusedError);
    },
  );

  it.each<HoldKind>(['session-busy', 'permission', 'question', 'pty', 'unknown'])(
    'asks the server before it refuses a disposal because of a %s',
    async (kind) => {
      const entry = quietRegistry().entry('/a');
      entry.use();
      const release = entry.hold(kind, 'x');
      expect(() => refuseOwnHolds([entry])).not.toThrow();
      const instances = { list: () => [entry], closeGate: () => () => undefined };
      await expect(refuseBusy(instances, () => Promise.resolve(), signal)).rejects.toMatchObject({
        name: 'DisposeRefusedError',
        holds: [{ kind }],
      });
      const confirm = (): Promise<void> => Promise.resolve(release());
      await expect(refuseBusy(instances, confirm, signal)).resolves.toBeUndefined();
    },
  );
});
