import type { SessionInfo } from '../../../client/schema/session.js';
import { parseJson, readBody } from '../body.js';
import { PromptRefusedError } from '../../state/catalog.js';
import { decodeOnce } from '../directory.js';
import { hasFormat } from '../message-page.js';
import { isRecord } from '../prompt-body.js';
import { badRequest, badSessionBody, notFound, sessionBusy, unknownError } from '../replies.js';
import { globalRoute, scopedRoute, type InstanceContext, type Route } from '../route.js';
import type { NewSession } from '../../state/session-store.js';

/** The number of sessions on a page of `GET /api/session` without `limit`. */
const API_PAGE_SIZE = 50;

/** The operations on sessions. */
export const sessionRoutes: readonly Route[] = [
  scopedRoute('POST', '/session', ({ server, instance, bodyText }) => {
    const input = parseNewSession(bodyText);
    return input === undefined ? badSessionBody() : Response.json(server.sessions.create(instance, input));
  }),
  scopedRoute('GET', '/session', ({ server, instance, query }) => {
    const roots = query.get('roots');
    if (roots !== null && roots !== 'true' && roots !== 'false') {
      const message = `Expected "true" | "false", got ${JSON.stringify(roots)}\n  at ["roots"]`;
      return badRequest(message, 'Query');
    }
    // The header does not limit the list: without `?directory=`, or with `?path=`, it has the whole project.
    const path = query.get('path') ?? undefined;
    const directory = path === undefined ? query.get('directory') : null;
    const sessions = server.sessions.list({
      projectID: instance.projectID,
      directory: directory ? decodeOnce(directory) : undefined,
      path,
      roots: roots === 'true',
      start: numberOf(query.get('start')),
      search: query.get('search') ?? undefined,
      limit: numberOf(query.get('limit')),
    });
    return Response.json(sessions);
  }),
  // The only list that loads no instance: newest first, of every project. It decodes the directory once.
  globalRoute('GET', '/api/session', ({ server, query }) => {
    const { start, directory } = parseCursor(query.get('cursor')) ?? {
      start: 0,
      directory: query.get('directory'),
    };
    const sessions = server.sessions
      .all()
      .filter((session) => directory === null || session.directory === directory)
      .reverse();
    const end = start + (numberOf(query.get('limit')) ?? API_PAGE_SIZE);
    const data = sessions.slice(start, end).map(({ directory: at, ...session }) => ({
      ...session,
      location: { directory: at },
    }));
    return Response.json({
      data,
      cursor:
        end < sessions.length
          ? { next: btoa(encodeURIComponent(JSON.stringify({ start: end, directory }))) }
          : {},
    });
  }),
  scopedRoute('GET', '/session/status', ({ instance }) => Response.json(instance.statuses())),
  scopedRoute('GET', '/session/:sessionID', (context) =>
    withSession(context, (session) => Response.json(session)),
  ),
  scopedRoute('PATCH', '/session/:sessionID', (context) =>
    withSession(context, (session) => {
      const body = readBody(context.bodyText);
      if (body instanceof Response) return body;
      const { title } = body;
      if (title !== undefined && title !== null && typeof title !== 'string') {
        const message = `Expected string | null, got ${JSON.stringify(title)}\n  at ["title"]`;
        return badRequest(message, 'Payload');
      }
      context.server.sessions.edit(context.instance, session.id, body);
      return Response.json(session);
    }),
  ),
  scopedRoute('DELETE', '/session/:sessionID', (context) =>
    withSession(context, (session) => {
      context.server.sessions.remove(context.instance, session.id);
      return Response.json(true);
    }),
  ),
  scopedRoute('GET', '/session/:sessionID/children', (context) =>
    withSession(context, ({ id }) => Response.json(context.server.sessions.children(id))),
  ),
  scopedRoute('GET', '/session/:sessionID/todo', (context) =>
    withSession(context, ({ id }) => Response.json(context.server.sessions.todos(id))),
  ),
  // The mock takes no snapshots. The server answers an unknown session in the same way.
  scopedRoute('GET', '/session/:sessionID/diff', () => Response.json([])),
  scopedRoute('POST', '/session/:sessionID/fork', (context) =>
    withSession(context, (session) => {
      const body = readBody(context.bodyText, ['messageID?']);
      if (body instanceof Response) return body;
      const { messageID } = body as { readonly messageID?: string };
      // OpenCode 1.18.33 cannot fork a session with a message that it cannot encode.
      if (context.server.sessions.messages(session.id).some(hasFormat)) return unknownError();
      return Response.json(context.server.history.fork(context.instance, session, messageID));
    }),
  ),
  scopedRoute('POST', '/session/:sessionID/revert', (context) =>
    withSession(context, (session) => {
      const body = readBody(context.bodyText, ['messageID', 'partID?']);
      if (body instanceof Response) return body;
      return whenIdle(context, session, () => {
        const input = body as { messageID: string; partID?: string };
        context.server.history.revert(context.instance, session.id, input);
        return Response.json(session);
      });
    }),
  ),
  scopedRoute('POST', '/session/:sessionID/unrevert', (context) =>
    withSession(context, (session) =>
      whenIdle(context, session, () => {
        context.server.history.unrevert(context.instance, session);
        return Response.json(session);
      }),
    ),
  ),
  // As on a server with `share: "disabled"`: a mock publishes nothing.
  scopedRoute('POST', '/session/:sessionID/share', (context) => withSession(context, () => unknownError())),
  scopedRoute('DELETE', '/session/:sessionID/share', (context) =>
    withSession(context, (session) => Response.json(session)),
  ),
  // The server answers `true` for an unknown session too.
  scopedRoute('POST', '/session/:sessionID/abort', async ({ server, instance, params }) => {
    const sessionID = params['sessionID'] ?? '';
    if (!sessionID.startsWith('ses')) return unknownError();
    await server.turns.abort(instance, sessionID);
    return Response.json(true);
  }),
];

/** Answers for the session that the path names, or that it does not exist. */
export async function withSession(
  context: InstanceContext,
  answer: (session: SessionInfo) => Response | Promise<Response>,
): Promise<Response> {
  const sessionID = context.params['sessionID'] ?? '';
  if (!sessionID.startsWith('ses')) return unknownError();
  const session = context.server.sessions.find(sessionID);
  if (session === undefined) return notFound(`Session not found: ${sessionID}`);
  try {
    return await answer(session);
  } catch (error) {
    if (error instanceof PromptRefusedError) return unknownError();
    throw error;
  }
}

/** Answers, or refuses while the session is busy. */
export function whenIdle(
  { instance }: InstanceContext,
  session: SessionInfo,
  answer: () => Response | Promise<Response>,
): Response | Promise<Response> {
  return instance.isBusy(session.id) ? sessionBusy(session.id) : answer();
}

/** The fields that a session can be created with; the server ignores all others. */
const NEW_SESSION_KEYS = ['title', 'parentID', 'agent', 'model', 'metadata', 'permission'] as const;
const TEXT_KEYS = ['title', 'parentID', 'agent'];

function parseNewSession(bodyText: string): NewSession | undefined {
  const body = parseJson(bodyText === '' ? '{}' : bodyText);
  if (!isRecord(body)) return undefined;
  const given = NEW_SESSION_KEYS.flatMap((key) =>
    body[key] === undefined ? [] : [[key, body[key]] as const],
  );
  if (given.some(([key, value]) => TEXT_KEYS.includes(key) && typeof value !== 'string')) return undefined;
  if (typeof body['parentID'] === 'string' && !body['parentID'].startsWith('ses')) return undefined;
  return Object.fromEntries(given);
}

/** The number in a query parameter; the server ignores one that is not a number. */
function numberOf(text: string | null): number | undefined {
  return text === null || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text);
}

/** The start of a page and its directory, which the cursor has. */
function parseCursor(
  cursor: string | null,
): { readonly start: number; readonly directory: string | null } | undefined {
  if (cursor === null) return undefined;
  return JSON.parse(decodeURIComponent(atob(cursor))) as { start: number; directory: string | null };
}
