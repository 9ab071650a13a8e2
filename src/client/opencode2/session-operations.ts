import * as z from 'zod';
import { RequestError, ResponseShapeError, SessionDirectoryError } from '../../errors.js';
import { route } from '../http/route.js';
import type {
  CreateSessionInput,
  ForkInput,
  ListSessionsInput,
  UpdateSessionInput,
} from '../schema/prompt.js';
import type { PermissionRule, SessionInfo } from '../schema/session.js';
import { param, pin, refuse, type Call, type Handler } from './call.js';
import { fromRule, toSession } from './sessions.js';
import { sessionPageSchema, sessionSchema, type WireSession } from './wire.js';
import { anything } from '../schema/wire.js';

const PAGE_SIZE = 500;
/** A list that goes on after so many pages is taken for endless. */
const MAX_PAGES = 2_000;

type SessionPage = { readonly data: WireSession[]; readonly cursor: { readonly next?: string | null } };

async function readInfo({ exchange }: Call, sessionID: string): Promise<WireSession> {
  const path = route`/api/session/${sessionID}`;
  return (await exchange.send({ method: 'GET', path, schema: sessionSchema })).data;
}

/** Reads a session. */
export async function readSession(call: Call, sessionID: string): Promise<SessionInfo> {
  return toSession(call.memory, await readInfo(call, sessionID));
}

/** The directory of a session, from memory where it is known. */
export async function directoryOf(call: Call, sessionID: string): Promise<string> {
  return (call.memory.sessions.get(sessionID) ?? (await readSession(call, sessionID))).directory;
}

/** Creates a session. OpenCode 2.0.14 reads the directory from the body alone, and takes one that does not exist. */
const create: Handler = async (call) => {
  const { title, agent, model, metadata, permission, parentID } = call.json as CreateSessionInput & {
    readonly model?: { readonly id: string; readonly providerID: string; readonly variant?: string };
  };
  if (parentID !== undefined) refuse('sessions.create({ parentID })');
  const { directory } = call;
  await loadLocation(call);
  const json = {
    ...(title !== undefined && { title }),
    ...(agent !== undefined && { agent }),
    ...(model !== undefined && { model }),
    ...(metadata !== undefined && { metadata }),
    ...(permission !== undefined && { permissions: (permission as PermissionRule[]).map(fromRule) }),
    location: { directory },
  };
  const request = { method: 'POST', path: '/api/session', json, schema: sessionSchema } as const;
  const session = toSession(call.memory, (await call.exchange.send(request)).data);
  if (session.directory !== directory) {
    throw new SessionDirectoryError({ sessionID: session.id, expected: directory, found: session.directory });
  }
  return { body: session };
};

/** Makes the server load the instance of the directory. OpenCode 2.0.14 answers 500 for one that is missing. */
export async function loadLocation({
  exchange,
  directory,
}: Call): Promise<z.infer<ReturnType<typeof locationSchema>>> {
  const query = pin(directory);
  return exchange.send({ method: 'GET', path: '/api/location', query, schema: locationSchema });
}

const locationSchema = () =>
  z.looseObject({ directory: z.string(), project: z.looseObject({ id: z.string(), directory: z.string() }) });

/** Lists the sessions of a directory. OpenCode 2.0.14 reads a bare `directory` alone; with any other form it lists every directory's. */
const list: Handler = async (call) => {
  const { limit, roots, search, start, path } = call.query as ListSessionsInput;
  if (path !== undefined) refuse('sessions.list({ path })');
  const filter = { ...(roots === true && { parentID: 'null' }), search };
  const found: SessionInfo[] = [];
  const wanted = limit ?? 100;
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES && found.length < wanted; pages += 1) {
    const query =
      cursor === undefined
        ? { ...filter, directory: call.directory, limit: Math.min(wanted, PAGE_SIZE) }
        : { cursor, limit: Math.min(wanted, PAGE_SIZE) };
    const page = await readPage(call, query);
    for (const info of page.data) {
      const session = toSession(call.memory, info);
      // Newest updated first.
      if (start !== undefined && session.time.updated < start) return { body: found };
      if (session.directory === call.directory) found.push(session);
    }
    cursor = page.cursor.next ?? undefined;
    if (page.data.length === 0 || cursor === undefined) break;
  }
  return { body: found.slice(0, wanted) };
};

function readPage({ exchange }: Call, query: Call['query']): Promise<SessionPage> {
  return exchange.send({ method: 'GET', path: '/api/session', query, schema: sessionPageSchema });
}

/** The sessions of one or of all directories; OpenCode 1.18 and 2 have it in common. */
const listLocated: Handler = async (call) => {
  const page = await readPage(call, call.query);
  for (const info of page.data) toSession(call.memory, info);
  return { body: { ...page, cursor: { next: page.cursor.next ?? undefined } } };
};

const children: Handler = async (call) => {
  const parentID = param(call, 'sessionID');
  const found: SessionInfo[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const page = await readPage(call, cursor === undefined ? { parentID, limit: PAGE_SIZE } : { cursor });
    found.push(...page.data.map((info) => toSession(call.memory, info)));
    cursor = page.cursor.next ?? undefined;
    if (page.data.length === 0 || cursor === undefined) return { body: found };
  }
  const message = `expected an end of the list, got more than ${MAX_PAGES} pages`;
  throw new ResponseShapeError({ method: 'GET', path: '/api/session' }, [{ path: 'cursor', message }]);
};

/** Changes a session. OpenCode 2 replaces the rules where OpenCode 1.18 appends to them. */
const update: Handler = async (call) => {
  const { title, metadata, permission, time } = call.json as UpdateSessionInput;
  if (time !== undefined) refuse('session.update({ time })');
  const sessionID = param(call, 'sessionID');
  const path = route`/api/session/${sessionID}`;
  const present = permission === undefined ? [] : ((await readInfo(call, sessionID)).permissions ?? []);
  const json = {
    ...(title !== undefined && { title }),
    ...(metadata !== undefined && { metadata }),
    ...(permission !== undefined && { permissions: [...present, ...permission.map(fromRule)] }),
  };
  await call.exchange.send({ method: 'PATCH', path, json, schema: anything });
  return { body: await readSession(call, sessionID) };
};

const remove: Handler = async (call) => {
  const sessionID = param(call, 'sessionID');
  await call.exchange.send({ method: 'DELETE', path: route`/api/session/${sessionID}`, schema: anything });
  return { body: true };
};

const fork: Handler = async (call) => {
  const { messageID } = call.json as ForkInput;
  const path = route`/api/session/${param(call, 'sessionID')}/fork`;
  const json = messageID === undefined ? {} : { before: messageID };
  const { data } = await call.exchange.send({ method: 'POST', path, json, schema: sessionSchema });
  return { body: toSession(call.memory, data) };
};

/** The directory of a session; `undefined` when it was deleted meanwhile. */
async function directoryIfAny(call: Call, sessionID: string): Promise<string | undefined> {
  try {
    return await directoryOf(call, sessionID);
  } catch (error) {
    if (error instanceof RequestError && error.status === 404) return undefined;
    throw error;
  }
}

const activeSchema = () => z.looseObject({ data: z.record(z.string(), z.looseObject({ type: z.string() })) });

/** Reads which sessions of the directory are at work. OpenCode 2 lists those of every directory. */
const statuses: Handler = async (call) => {
  const request = { method: 'GET', path: '/api/session/active', schema: activeSchema } as const;
  const { data } = await call.exchange.send(request);
  const own: Record<string, unknown> = {};
  for (const sessionID of Object.keys(data)) {
    if ((await directoryIfAny(call, sessionID)) === call.directory) own[sessionID] = { type: 'busy' };
  }
  return { body: own };
};

const abort: Handler = async (call) => {
  const path = route`/api/session/${param(call, 'sessionID')}/interrupt`;
  await call.exchange.send({ method: 'POST', path, json: {}, schema: anything });
  return { body: true };
};

/** The operations on sessions. */
export const sessionOperations: Readonly<Record<string, Handler>> = {
  'POST /session': create,
  'GET /session': list,
  'GET /api/session': listLocated,
  'GET /session/status': statuses,
  'GET /session/:sessionID': async (call) => ({ body: await readSession(call, param(call, 'sessionID')) }),
  'PATCH /session/:sessionID': update,
  'DELETE /session/:sessionID': remove,
  'GET /session/:sessionID/children': children,
  'POST /session/:sessionID/fork': fork,
  'POST /session/:sessionID/abort': abort,
};
