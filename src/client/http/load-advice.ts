import type { RequestTarget } from '../../errors.js';

const LOAD_ADVICE =
  "The server could not load the repository; the log in its data directory says why, under the error's ref. If it cannot read a " +
  'configuration file (no permission, or a directory of that name), repair that, then call server.restart(): the server reads it ' +
  'again only after a restart.';

/**
 * What to do about a refusal of `GET /path`, which makes the server load an instance. OpenCode 1.18.33 answers it with 500 for
 * nothing but an instance that it cannot load.
 */
export function loadAdvice({ path }: RequestTarget, status: number): string | undefined {
  return status === 500 && path === '/path' ? LOAD_ADVICE : undefined;
}
