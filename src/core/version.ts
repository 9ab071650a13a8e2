/** The version of this library, as in its package.json. */
export const LIBRARY_VERSION = '0.1.0';

/** The OpenCode versions this library can talk to, in words. */
export const SUPPORTED_SERVERS = 'OpenCode 1.18 or a later 1.x';
const SUPPORTED_OPENCODE_2 = 'OpenCode 2.0.14 or a later 2.x';

/** The version of OpenCode that every promise of this library was measured with. */
export const MEASURED_SERVER = '1.18.33';
/** The version of OpenCode 2 that its support was measured with, on a build that others made of it. */
export const MEASURED_OPENCODE_2 = '2.0.14';

/** Which versions of OpenCode a client takes. */
export interface AcceptedVersions {
  /**
   * The major version of OpenCode. `auto` takes the one that is found; OpenCode 2 only with {@link experimental}.
   *
   * @default 'auto'
   */
  readonly opencode?: '1' | '2' | 'auto' | undefined;
  /** What is not finished and may change in any release. */
  readonly experimental?: ExperimentalOptions | undefined;
}

/** What is not finished and may change in any release. */
export interface ExperimentalOptions {
  /**
   * Whether OpenCode 2 is taken too. Measured on one build of 2.0.14 that others made; the guide "OpenCode 1 and 2" says what works there.
   *
   * @default false
   */
  readonly opencode2?: boolean | undefined;
}

/** Whether a server of this version speaks the API this library uses: 1.x from 1.18 on. OpenCode 2 has another one. */
export function isSupportedVersion(version: string): boolean {
  return majorOf(version) === 1;
}

/** The major version of a server that is accepted; `undefined` for any other. */
export function majorOf(version: string, accepted: AcceptedVersions = {}): 1 | 2 | undefined {
  const { opencode = 'auto', experimental } = accepted;
  const [major, minor, patch] = numbersOf(version);
  if (major === 1 && opencode !== '2') return minor >= 18 ? 1 : undefined;
  if (major === 2 && opencode !== '1' && experimental?.opencode2 === true)
    return minor > 0 || patch >= 14 ? 2 : undefined;
  return undefined;
}

/** The versions that are accepted, in words. */
export function acceptedInWords({ opencode = 'auto', experimental }: AcceptedVersions = {}): string {
  if (opencode === '2') return SUPPORTED_OPENCODE_2;
  const takesBoth = opencode === 'auto' && experimental?.opencode2 === true;
  return takesBoth ? `${SUPPORTED_SERVERS}, or ${SUPPORTED_OPENCODE_2}` : SUPPORTED_SERVERS;
}

/** Whether a version is not newer than the one of its major version that was measured. */
export function isMeasuredVersion(version: string): boolean {
  const found = numbersOf(version);
  const measured = numbersOf(found[0] === 2 ? MEASURED_OPENCODE_2 : MEASURED_SERVER);
  for (const [index, number] of found.entries()) {
    const limit = measured[index] ?? 0;
    if (number !== limit) return number < limit;
  }
  return true;
}

function numbersOf(version: string): readonly [major: number, minor: number, patch: number] {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)?/.exec(version) ?? [];
  return [Number(major ?? Number.NaN), Number(minor ?? 0), Number(patch ?? 0)];
}
