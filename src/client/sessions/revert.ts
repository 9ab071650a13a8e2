import { RequestError, RevertError } from '../../errors.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import type { StoredMessage } from '../schema/message.js';
import { projectSchema } from '../schema/project.js';
import type { RevertInput } from '../schema/prompt.js';
import { pathInfoSchema } from '../schema/server.js';
import { sessionSchema, type SessionInfo } from '../schema/session.js';
import { readMessage, readMessagePage } from './messages.js';

/**
 * Reverts, and makes sure that something came of it: OpenCode 1.18.33 answers 200 also for a message that there is not,
 * and when git cannot use the snapshots. What reverted nothing is taken back, so that the next prompt deletes no messages.
 *
 * @param dataDirectory - OpenCode's own on the server's disk, where that is known.
 * @throws {RevertError} when nothing was reverted.
 */
export async function revertSession(
  transport: RepoTransport,
  sessionID: string,
  input: RevertInput,
  { dataDirectory, ...options }: RequestOptions & { readonly dataDirectory: string | undefined },
): Promise<SessionInfo> {
  const { messageID } = input;
  const info = await transport.send(
    { method: 'POST', path: route`/session/${sessionID}/revert`, json: input, schema: sessionSchema },
    options,
  );
  const { revert } = info;
  const isExact = revert?.messageID === messageID && revert.partID === input.partID;
  // An answer is reverted with its prompt; but what is named may also be an earlier revert.
  const missing = isExact ? undefined : await findMissing(transport, sessionID, input, options);
  const reason = missing ?? (revert && (await findFault(transport, sessionID, revert, options)));
  if (reason === undefined) return info;
  if (missing === undefined) {
    const path = route`/session/${sessionID}/unrevert`;
    await transport.send({ method: 'POST', path, schema: sessionSchema }, options);
  }
  const lockFile =
    reason === 'snapshot-locked' ? await lockFileOf(transport, dataDirectory, options) : undefined;
  throw new RevertError({ reason, sessionID, messageID, lockFile });
}

async function findMissing(
  transport: RepoTransport,
  sessionID: string,
  { messageID, partID }: RevertInput,
  options: RequestOptions,
): Promise<'unknown-message' | 'unknown-part' | undefined> {
  try {
    const { info, parts } = await readMessage(transport, sessionID, messageID, options);
    const isThere = partID === undefined || parts.some(({ id }) => id === partID);
    // Nobody knows the parts of one that cannot be read.
    return isThere || info.role === 'unreadable' ? undefined : 'unknown-part';
  } catch (error) {
    if (error instanceof RequestError && error.status === 404) return 'unknown-message';
    throw error;
  }
}

/** Why the files are not as they were. */
async function findFault(
  transport: RepoTransport,
  sessionID: string,
  { messageID, snapshot, diff }: NonNullable<SessionInfo['revert']>,
  options: RequestOptions,
): Promise<'snapshot-locked' | 'no-snapshot' | undefined> {
  // Snapshots are switched off, or there is no git repository.
  if (snapshot === undefined) return undefined;
  if (diff === undefined) return 'snapshot-locked';
  if (diff !== '') return undefined;
  const { items } = await readMessagePage(transport, { sessionID }, options);
  const start = items.findIndex(({ info }) => info.id === messageID);
  return start !== -1 && items.slice(start).some(isUnrecorded) ? 'no-snapshot' : undefined;
}

/** Whether a step used tools without a snapshot of the files before: OpenCode 1.18.33 leaves it out, or empty. */
function isUnrecorded({ parts }: StoredMessage): boolean {
  const hasTools = parts.some((part) => part.type === 'tool');
  return hasTools && parts.some((part) => part.type === 'step-start' && !part.snapshot);
}

/** Where OpenCode 1.18.33 keeps the snapshots of a worktree: by its project and the SHA-1 of its path. */
async function lockFileOf(
  transport: RepoTransport,
  dataDirectory: string | undefined,
  options: RequestOptions,
): Promise<string> {
  const [{ worktree }, { id }] = await Promise.all([
    transport.send({ method: 'GET', path: '/path', schema: pathInfoSchema }, options),
    transport.send({ method: 'GET', path: '/project/current', schema: projectSchema }, options),
  ]);
  const file = `snapshot/${id}/${await sha1(worktree)}/index.lock`;
  return dataDirectory === undefined ? file : `${dataDirectory}/${file}`;
}

/** As hex digits; `*` on a page that came by plain http from another machine, which cannot compute it. */
async function sha1(text: string): Promise<string> {
  const { subtle } = crypto as { readonly subtle?: SubtleCrypto };
  if (subtle === undefined) return '*';
  const bytes = new Uint8Array(await subtle.digest('SHA-1', new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
