import { delay } from '../../core/abort.js';
import { realTime } from '../../core/real-time.js';
import { RequestError, RevertError } from '../../errors.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import { configSchema } from '../schema/config.js';
import type { StoredMessage } from '../schema/message.js';
import { projectSchema } from '../schema/project.js';
import type { RevertInput } from '../schema/prompt.js';
import { pathInfoSchema } from '../schema/server.js';
import { sessionSchema, type SessionInfo } from '../schema/session.js';
import { readMessage, readMessagePage } from './messages.js';
import { readSession } from './read-session.js';

/**
 * How long to wait for a lock to go, and how often to look: a turn of another session locks the snapshots while it
 * takes one.
 */
const LOCK_LIMIT_MS = 2_000;
const LOCK_RECHECK_MS = 100;

/** Access to the files of the server. */
export interface ServerDisk {
  /** OpenCode's own data directory; `undefined` for a server that somebody else started. */
  readonly dataDirectory: string | undefined;
  /** Whether a file exists, by its path in the data directory; `false` when the data directory is not known. */
  readonly hasDataFile: (path: string) => boolean;
}

/** A session, and the message or the part of it to go back to. */
type Reverting = RevertInput & { readonly sessionID: string };

/**
 * Reverts, and makes sure that it took effect: OpenCode 1.18.33 answers 200 also for a message that does not exist, and
 * when git cannot use the snapshots. For a session that was reverted before, the second case leaves no trace in the
 * answer and deletes files, so where the disk is known this looks for a lock first. It takes a revert without effect
 * back, so that the next prompt deletes no messages.
 *
 * @throws {RevertError} when nothing was reverted.
 */
export async function revertSession(
  transport: RepoTransport,
  disk: ServerDisk,
  { sessionID, ...input }: Reverting,
  options: RequestOptions | undefined,
): Promise<SessionInfo> {
  const { messageID } = input;
  const { revert: before } = await readSession(transport, sessionID, options);
  const lockedBy = await findLock(transport, disk, options);
  if (lockedBy !== undefined) {
    throw new RevertError({ reason: 'snapshot-locked', sessionID, messageID, lockFile: lockedBy });
  }
  const info = await sendRevert(transport, { sessionID, ...input }, options);
  const { revert } = info;
  const isExact = revert?.messageID === messageID && revert.partID === input.partID;
  // The server reverts an answer with its prompt, so it may name another message; but it may also name an earlier
  // revert.
  const missing = isExact ? undefined : await findMissing(transport, sessionID, input, options);
  const reason = missing ?? (revert && (await findFault(transport, sessionID, revert, options)));
  if (reason === undefined) return info;
  if (missing === undefined) {
    if (before === undefined) await sendUnrevert(transport, sessionID, options);
    else
      await sendRevert(transport, { sessionID, messageID: before.messageID, partID: before.partID }, options);
  }
  const lockFile =
    reason === 'snapshot-locked' ? fileOn(disk, await lockPathOf(transport, options)) : undefined;
  throw new RevertError({ reason, sessionID, messageID, lockFile });
}

/**
 * Undoes a revert, unless the snapshots are locked.
 *
 * @throws {RevertError} when they are locked; nothing was sent then.
 */
export async function unrevertSession(
  transport: RepoTransport,
  disk: ServerDisk,
  sessionID: string,
  options: RequestOptions | undefined,
): Promise<SessionInfo> {
  const { revert } = await readSession(transport, sessionID, options);
  const lockFile = revert?.snapshot ? await findLock(transport, disk, options) : undefined;
  if (revert === undefined || lockFile === undefined) return sendUnrevert(transport, sessionID, options);
  const { messageID } = revert;
  throw new RevertError({ reason: 'snapshot-locked', sessionID, messageID, lockFile, isUndo: true });
}

function sendRevert(
  transport: RepoTransport,
  { sessionID, ...json }: Reverting,
  options: RequestOptions | undefined,
): Promise<SessionInfo> {
  const path = route`/session/${sessionID}/revert`;
  return transport.send({ method: 'POST', path, json, schema: sessionSchema }, options);
}

function sendUnrevert(
  transport: RepoTransport,
  sessionID: string,
  options: RequestOptions | undefined,
): Promise<SessionInfo> {
  const path = route`/session/${sessionID}/unrevert`;
  return transport.send({ method: 'POST', path, schema: sessionSchema }, options);
}

/**
 * The file that locks the snapshots, if it stays for too long; `undefined` when nothing locks them, or the disk is not
 * known.
 */
async function findLock(
  transport: RepoTransport,
  disk: ServerDisk,
  options: RequestOptions | undefined,
): Promise<string | undefined> {
  if (disk.dataDirectory === undefined) return undefined;
  const path = await lockPathOf(transport, options);
  if (!disk.hasDataFile(path)) return undefined;
  const config = await transport.send({ method: 'GET', path: '/config', schema: configSchema }, options);
  if (config.snapshot === false) return undefined;
  const deadline = realTime.now() + LOCK_LIMIT_MS;
  while (disk.hasDataFile(path)) {
    if (realTime.now() >= deadline) return fileOn(disk, path);
    await delay(LOCK_RECHECK_MS, options?.signal);
  }
  return undefined;
}

function fileOn({ dataDirectory }: ServerDisk, path: string): string {
  return dataDirectory === undefined ? path : `${dataDirectory}/${path}`;
}

async function findMissing(
  transport: RepoTransport,
  sessionID: string,
  { messageID, partID }: RevertInput,
  options: RequestOptions | undefined,
): Promise<'unknown-message' | 'unknown-part' | undefined> {
  try {
    const { info, parts } = await readMessage(transport, sessionID, messageID, options);
    const isThere = partID === undefined || parts.some(({ id }) => id === partID);
    // The parts of an unreadable message are unknown, so the part may exist.
    return isThere || info.role === 'unreadable' ? undefined : 'unknown-part';
  } catch (error) {
    if (error instanceof RequestError && error.status === 404) return 'unknown-message';
    throw error;
  }
}

/** Finds out why the revert did not restore the files. */
async function findFault(
  transport: RepoTransport,
  sessionID: string,
  { messageID, snapshot, diff }: NonNullable<SessionInfo['revert']>,
  options: RequestOptions | undefined,
): Promise<'snapshot-locked' | 'no-snapshot' | undefined> {
  // Without a snapshot, snapshots are switched off or there is no git repository.
  if (snapshot === undefined) return undefined;
  if (diff === undefined) return 'snapshot-locked';
  if (diff !== '') return undefined;
  const { items } = await readMessagePage(transport, { sessionID }, options);
  const start = items.findIndex(({ info }) => info.id === messageID);
  return start !== -1 && items.slice(start).some(isUnrecorded) ? 'no-snapshot' : undefined;
}

/**
 * Whether a step used tools without a snapshot of the files before it: OpenCode 1.18.33 leaves the snapshot out or
 * empty.
 */
function isUnrecorded({ parts }: StoredMessage): boolean {
  const hasTools = parts.some((part) => part.type === 'tool');
  return hasTools && parts.some((part) => part.type === 'step-start' && !part.snapshot);
}

/** Where OpenCode 1.18.33 keeps the snapshots of a worktree, in its data directory: by project and the SHA-1 of the path. */
async function lockPathOf(transport: RepoTransport, options: RequestOptions | undefined): Promise<string> {
  const [{ worktree }, { id }] = await Promise.all([
    transport.send({ method: 'GET', path: '/path', schema: pathInfoSchema }, options),
    transport.send({ method: 'GET', path: '/project/current', schema: projectSchema }, options),
  ]);
  return `snapshot/${id}/${await sha1(worktree)}/index.lock`;
}

/**
 * Computes a SHA-1 in hex digits; `*` on a page that came by plain http from another machine, which cannot compute it.
 */
async function sha1(text: string): Promise<string> {
  const { subtle } = crypto as { readonly subtle?: SubtleCrypto };
  if (subtle === undefined) return '*';
  const bytes = new Uint8Array(await subtle.digest('SHA-1', new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
