import type { RepoTransport } from '../http/repo-transport.js';
import type { RequestOptions } from '../http/request-options.js';
import { sessionStatusMapSchema, type SessionStatus } from '../schema/session.js';

/** Reads what the sessions of a repository do, by id; OpenCode 1.18.33 leaves idle ones out. */
export function readStatuses(
  transport: Pick<RepoTransport, 'send'>,
  options?: RequestOptions,
): Promise<Record<string, SessionStatus>> {
  const request = { method: 'GET', path: '/session/status', schema: sessionStatusMapSchema } as const;
  return transport.send(request, options);
}

/** Whether a session with this status is at work. */
export function isAtWork(status: SessionStatus | undefined): status is SessionStatus {
  return status !== undefined && status.type !== 'idle';
}
