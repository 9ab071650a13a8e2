import type { SessionInfo } from '../client/schema/session.js';
import { decodeOnce } from './directory.js';
import { messagePage } from './message-page.js';
import { isRecord, parsePromptBody } from './prompt-body.js';
import { badRequest, badSessionBody, noContent, notFound, unknownError, unsupportedType } from './replies.js';
import { scopedRoute, type InstanceContext, type Route } from './router.js';
import type { NewSession } from './session-store.js';

/** The operations on sessions and their messages. */
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
    // By the header alone the whole project is listed.
    const directory = query.get('directory');
    const sessions = server.sessions.list({
      projectID: instance.projectID,
      directory: directory ? decodeOnce(directory) : undefined,
      roots: roots === 'true',
      start: numberOf(query.get('start')),
      search: query.get('search') ?? undefined,
      limit: numberOf(query.get('limit')),
    });
    return Response.json(sessions);
  }),
  scopedRoute('GET', '/session/status', ({ instance }) => Response.json(instance.statuses())),
  scopedRoute('GET', '/session/:sessionID', (context) =>
    withSession(context, (session) => Response.json(session)),
  ),
  scopedRoute('DELETE', '/session/:sessionID', (context) =>
    withSession(context, (session) => {
      context.server.sessions.remove(context.instance, session.id);
      return Response.json(true);
    }),
  ),
  // It answers `true` for an unknown session too.
  scopedRoute('POST', '/session/:sessionID/abort', async ({ server, instance, params }) => {
    const sessionID = params['sessionID'] ?? '';
    if (!sessionID.startsWith('ses')) return unknownError();
    await server.abort(instance, sessionID);
    return Response.json(true);
  }),
  scopedRoute('POST', '/session/:sessionID/prompt_async', (context) => {
    const { contentType, bodyText } = context;
    if (!contentType.startsWith('application/json')) return unsupportedType(contentType);
    const json = parseJson(bodyText);
    if (json === undefined) return unknownError();
    const body = parsePromptBody(json);
    if (body instanceof Response) return body;
    return withSession(context, (session) => {
      context.server.prompt(context.instance, session, body);
      return noContent();
    });
  }),
  scopedRoute('GET', '/session/:sessionID/message', (context) =>
    withSession(context, ({ id }) => messagePage(context.server.sessions.messages(id), context.query)),
  ),
  scopedRoute('GET', '/session/:sessionID/message/:messageID', (context) => {
    const messageID = context.params['messageID'] ?? '';
    if (!messageID.startsWith('msg')) {
      const message = `Expected a string starting with "msg", got ${JSON.stringify(messageID)}\n  at ["messageID"]`;
      return badRequest(message, 'Params');
    }
    return withSession(context, ({ id }) => {
      const message = context.server.sessions.message(id, messageID);
      return message === undefined ? notFound(`Message not found: ${messageID}`) : Response.json(message);
    });
  }),
];

function withSession(context: InstanceContext, answer: (session: SessionInfo) => Response): Response {
  const sessionID = context.params['sessionID'] ?? '';
  if (!sessionID.startsWith('ses')) return unknownError();
  const session = context.server.sessions.find(sessionID);
  return session === undefined ? notFound(`Session not found: ${sessionID}`) : answer(session);
}

/** What a session can be created with; anything else in the body is ignored. */
const NEW_SESSION_KEYS = ['title', 'parentID', 'agent', 'model', 'metadata', 'permission'] as const;
const TEXT_KEYS = ['title', 'parentID', 'agent'];

function parseNewSession(bodyText: string): NewSession | undefined {
  const body = parseJson(bodyText === '' ? '{}' : bodyText);
  if (!isRecord(body)) return undefined;
  const given = NEW_SESSION_KEYS.flatMap((key) =>
    body[key] === undefined ? [] : [[key, body[key]] as const],
  );
  if (given.some(([key, value]) => TEXT_KEYS.includes(key) && typeof value !== 'string')) return undefined;
  return Object.fromEntries(given);
}

/** The server ignores what is not a number. */
function numberOf(text: string | null): number | undefined {
  return text === null || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
