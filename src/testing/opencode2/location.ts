import { decodeOnce } from '../http/directory.js';

/** The header that names a location, percent-encoded. */
const DIRECTORY_HEADER = 'x-opencode-directory';

/**
 * The directory of a request for a location, by the rule of OpenCode 2.0.14: `?location[directory]=`, else the header, else the
 * directory of the server. It is used as it is written: `/r` and `/r/` are two locations.
 */
export function locationOf(query: URLSearchParams, headers: Headers, cwd: string): string {
  const header = headers.get(DIRECTORY_HEADER);
  const given = query.get('location[directory]') ?? (header === null ? null : decodeOnce(header));
  return given === null || given === '' ? cwd : given;
}

/** Whether the server can work there: a relative directory is an unexpected error. The mock has no disk. */
export function isAbsolute(directory: string): boolean {
  return /^([A-Za-z]:)?[\\/]/.test(directory);
}
