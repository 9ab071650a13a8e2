import { InstanceRegistry } from '../../src/registry/instance-registry.js';
import { fakeClock, type FakeClock } from './fake-clock.js';

/** A registry that nobody listens to; a request loads an instance at once. */
export function quietRegistry(clock: FakeClock = fakeClock()): InstanceRegistry {
  return new InstanceRegistry(clock, {
    loaded: () => undefined,
    released: () => undefined,
    reopened: () => undefined,
  });
}
