import type { RequestOptions } from '../http/request-options.js';
import { pathAnywhere, type RepoTransport } from '../http/repo-transport.js';
import { sessionSchema, type SessionInfo } from '../schema/session.js';

/** Reads a session of any repository, without loading the instance of another one. */
export function readSession(
  transport: RepoTransport,
  sessionID: string,
  options?: RequestOptions,
): Promise<SessionInfo> {
  return transport.send({ method: 'GET', path: pathAnywhere(sessionID), schema: sessionSchema }, options);
}
