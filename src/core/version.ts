/** The version of this library, as in its package.json. */
export const LIBRARY_VERSION = '0.1.0';

/** The OpenCode versions this library can talk to, in words. */
export const SUPPORTED_SERVERS = 'OpenCode 1.18 or a later 1.x';

/** The version of OpenCode that every promise of this library was measured with. */
export const MEASURED_SERVER = '1.18.33';

/** Whether a server of this version speaks the API this library uses: 1.x from 1.18 on. OpenCode 2 has another one. */
export function isSupportedVersion(version: string): boolean {
  const match = /^v?(\d+)\.(\d+)\./.exec(version);
  if (match === null) return false;
  return Number(match[1]) === 1 && Number(match[2]) >= 18;
}
