import PQueue from 'p-queue';
import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { OperationRefusedError, RequestError, type RequestTarget } from '../../errors.js';
import type { Http } from '../http/http.js';
import { locatedSessions } from '../sessions/locate-sessions.js';
import { pathAnywhere, type RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import { fieldOf } from './body-rules.js';
import type { Changes } from './operations.js';
import { assertOwnChildren } from '../sessions/own-session.js';
import { anything } from '../schema/wire.js';

/** What the checks of this file know about a request. */
export interface Changing {
  readonly target: RequestTarget;
  readonly params: Readonly<Record<string, string>>;
  readonly json: unknown;
  readonly signal: AbortSignal;
  readonly http: Http;
}

/** In how many sessions of other repositories to look for a message at most, and in how many at a time. */
const MAX_SESSIONS = 2_000;
const CONCURRENCY = 8;
const messageSchema = lazy(() => z.looseObject({ parts: z.array(z.looseObject({ id: z.string() })) }));

/**
 * Makes sure that a request only changes things of its own session, which is known to belong to this repository.
 *
 * @throws {OperationRefusedError} for a message or a part of another session.
 * @throws {SessionDirectoryError} for a child that belongs to another repository.
 */
export async function assertOwn(
  transport: RepoTransport,
  changes: Changes,
  request: Changing,
): Promise<void> {
  const { target, params, json, signal, http } = request;
  const { sessionID = '', messageID = '', partID = '' } = params;
  const refusal = (what: string): OperationRefusedError => {
    const why = `${what} is not of session ${sessionID}`;
    return new OperationRefusedError({ ...target, why, instead: 'an id of that session' });
  };
  if (changes === 'children') return assertOwnChildren(transport, sessionID, { signal });
  if (changes === 'part') {
    const parts = await partsOf(transport, sessionID, messageID, signal);
    if (parts?.includes(partID) !== true) throw refusal(`part ${partID} of message ${messageID}`);
    return;
  }
  const named = fieldOf(json, 'messageID');
  const parts = typeof named === 'string' ? await partsOf(transport, sessionID, named, signal) : undefined;
  for (const partID of partIDsOf(json)) {
    // No route finds a part by its id alone, so a new part cannot be told from a part of another session.
    if (parts?.includes(partID) !== true) throw refusal(`part ${partID}`);
  }
  if (typeof named !== 'string' || parts !== undefined) return;
  if (await isElsewhere(http, transport, named, signal)) throw refusal(`message ${named}`);
}

function partIDsOf(json: unknown): string[] {
  const parts = fieldOf(json, 'parts');
  if (!Array.isArray(parts)) return [];
  return parts.map((part) => fieldOf(part, 'id')).filter((id) => typeof id === 'string');
}

/** The ids of the parts of a message; `undefined` when the session has no such message. */
async function partsOf(
  transport: RepoTransport,
  sessionID: string,
  messageID: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  try {
    const path = route`/session/${sessionID}/message/${messageID}`;
    const { parts } = await transport.send({ method: 'GET', path, schema: messageSchema }, { signal });
    return parts.map(({ id }) => id);
  } catch (error) {
    if (error instanceof RequestError && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * Whether a session of another repository has the message, or may have it. It loads no instance but that of this
 * repository.
 */
async function isElsewhere(
  http: Http,
  transport: RepoTransport,
  messageID: string,
  signal: AbortSignal,
): Promise<boolean> {
  const others = await sessionsElsewhere(http, transport.directory, signal);
  if (others === undefined) return true;
  let isFound = false;
  const looks = others.map((sessionID) => async () => {
    if (isFound) return;
    const path = `${pathAnywhere(sessionID)}/message/${encodeURIComponent(messageID)}`;
    try {
      await transport.send({ method: 'GET', path, schema: anything }, { signal });
      isFound = true;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      // The session has the message even if OpenCode 1.18.33 cannot show it.
      if (error.status !== 404) isFound = true;
    }
  });
  await new PQueue({ concurrency: CONCURRENCY }).addAll(looks);
  return isFound;
}

/** The sessions of other directories; `undefined` when there are too many. */
async function sessionsElsewhere(
  http: Http,
  directory: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  const ids: string[] = [];
  for await (const page of locatedSessions(http, undefined, { signal })) {
    for (const session of page) if (session.directory !== directory) ids.push(session.sessionID);
    if (ids.length > MAX_SESSIONS) return undefined;
  }
  return ids;
}
