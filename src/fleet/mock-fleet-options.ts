import type { FleetOptions } from './fleet-options.js';
import type { OpenProfile } from './profiles.js';

/** Options of the client of a fleet of mocks: those of `JarvisFleet.start()`, with what a profile may say of each mock. */
export interface MockFleetOptions<Name extends string> extends Omit<
  FleetOptions<Record<Name, unknown>>,
  'servers'
> {
  /** What a mock's profile has besides, e.g. `{ heavy: { stopAfterIdleMs: 60_000 } }`. */
  readonly profiles?: { readonly [K in Name]?: Omit<OpenProfile, 'open'> } | undefined;
}
