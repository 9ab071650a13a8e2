import { aBoolean, anObject, assertOptions, oneOf, type OptionChecks } from './checks.js';
import type { AcceptedVersions, ExperimentalOptions } from './version.js';

const experimentalChecks: OptionChecks<ExperimentalOptions> = { opencode2: aBoolean };

/** The check of each option. */
export const acceptedVersionChecks: OptionChecks<AcceptedVersions> = {
  opencode: oneOf('1', '2', 'auto'),
  experimental: (name, value) => {
    anObject(name, value);
    assertOptions(name, experimentalChecks, value as ExperimentalOptions, `${name}.`);
  },
};

/**
 * Takes the versions that are accepted out of options that were checked.
 *
 * @throws {TypeError} for OpenCode 2 without the option that it is an experiment.
 */
export function parseAcceptedVersions({ opencode, experimental }: AcceptedVersions): AcceptedVersions {
  if (opencode === '2' && experimental?.opencode2 !== true) {
    throw new TypeError(
      "Expected experimental: { opencode2: true } with opencode: '2', which is an experiment.",
    );
  }
  return { opencode, experimental };
}
