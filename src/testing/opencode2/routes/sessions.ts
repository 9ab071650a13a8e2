import type { SessionInfo } from '../../../client/schema/session.js';
import { isRecord } from '../../http/prompt-body.js';
import type { NewSession } from '../../state/session-store.js';
import { refuseID } from '../body.js';
import { pageOf, type Paging } from '../pages.js';
import { data, empty, emptySession, invalid, messageNotFound } from '../replies.js';
import { serverRoute, sessionRoute, type Context, type Route, type SessionContext } from '../route.js';
import { permissionRuleOf, type Rule, type SelectedModel } from '../session-info.js';

/** The operations on sessions, without their prompts. */
export const sessionRoutes: readonly Route[] = [
  // Only a bare `directory` narrows the list.
  serverRoute('GET', '/api/session', ({ opencode, query }) => {
    const directory = query.get('directory');
    const parentID = query.get('parentID');
    const search = query.get('search')?.toLowerCase();
    const sessions = opencode.server.sessions
      .all()
      .filter((info) => directory === null || info.directory === directory)
      .filter((info) => parentID === null || (info.parentID ?? 'null') === parentID)
      .filter((info) => search === undefined || info.title.toLowerCase().includes(search))
      .reverse()
      .sort((a, b) => b.time.updated - a.time.updated);
    const ordered = query.get('order') === 'asc' ? sessions.reverse() : sessions;
    return pageOf(ordered, query, sessionPaging(directory), (info) => opencode.show(info));
  }),
  // Only `location.directory` of the body says where.
  serverRoute('POST', '/api/session', create, {
    body: {
      'id?': 'string',
      'title?': 'string',
      'agent?': 'string',
      'model?': 'object',
      'location?': 'object',
      'metadata?': 'object',
      'permissions?': 'array',
    },
  }),
  serverRoute('GET', '/api/session/active', ({ opencode: { executions } }) =>
    data(Object.fromEntries(executions.active().map((id) => [id, { type: 'running' }]))),
  ),
  sessionRoute('GET', '/api/session/:sessionID', ({ opencode, session }) => data(opencode.show(session))),
  sessionRoute('PATCH', '/api/session/:sessionID', update, {
    boots: true,
    body: { 'title?': 'string', 'metadata?': 'object', 'permissions?': 'array' },
  }),
  sessionRoute('DELETE', '/api/session/:sessionID', async ({ opencode, session }) => {
    await opencode.remove(session);
    return empty(204);
  }),
  sessionRoute('POST', '/api/session/:sessionID/fork', fork, { boots: true, body: { 'before?': 'string' } }),
  sessionRoute(
    'POST',
    '/api/session/:sessionID/agent',
    ({ opencode, session, body }) => {
      const facts = opencode.factsOf(session.id);
      const { agent: previous } = facts;
      facts.agent = body['agent'] as string;
      const selected = {
        sessionID: session.id,
        agent: facts.agent,
        ...(previous !== undefined && { previous }),
      };
      opencode.events.send(session.directory, 'session.agent.selected', selected);
      return empty(204);
    },
    { boots: true, body: { agent: 'string' } },
  ),
  sessionRoute(
    'POST',
    '/api/session/:sessionID/model',
    ({ opencode, session, body }) => {
      const model = readModel(body['model']);
      if (model instanceof Response) return model;
      const facts = opencode.factsOf(session.id);
      const { model: previous } = facts;
      facts.model = model;
      const selected = { sessionID: session.id, model, ...(previous !== undefined && { previous }) };
      opencode.events.send(session.directory, 'session.model.selected', selected);
      return empty(204);
    },
    { boots: true, body: { model: 'object' } },
  ),
];

function sessionPaging(directory: string | null): Paging<SessionInfo> {
  const filter = directory === null ? {} : { directory };
  return {
    anchor: ({ id, time }, direction) => ({ ...filter, anchor: { id, time: time.updated, direction } }),
    read: ({ anchor }) => anchor,
  };
}

function create({ opencode, body }: Context): Response {
  const { server } = opencode;
  const { id, title, agent, metadata } = body as Partial<NewSession> & { readonly id?: string };
  const location = body['location'];
  if (id !== undefined) {
    const refusal = refuseID('ses', 'id', id, 'Payload');
    if (refusal !== undefined) return refusal;
    const known = server.sessions.find(id);
    if (known !== undefined) return data(opencode.show(known));
  }
  const directory = isRecord(location) ? location['directory'] : server.cwd;
  if (typeof directory !== 'string') return invalid('Missing key\n  at ["location"]["directory"]');
  const model = body['model'] === undefined || body['model'] === null ? undefined : readModel(body['model']);
  if (model instanceof Response) return model;
  const permissions = body['permissions'] as readonly Rule[] | null | undefined;
  const scope = { directory, projectID: server.projectOf(directory) };
  const info = server.sessions.create(scope, {
    ...(id !== undefined && { id }),
    ...(typeof title === 'string' && { title }),
    ...(typeof agent === 'string' && { agent }),
    ...(model && { model }),
    ...(isRecord(metadata) && { metadata }),
    ...(permissions && { permission: permissions.map(permissionRuleOf) }),
  });
  Object.assign(opencode.factsOf(info.id), {
    ...(typeof agent === 'string' && { agent }),
    ...(model && { model }),
  });
  return data(opencode.show(info));
}

function update({ opencode, session, body }: SessionContext): Response {
  const { title, metadata, permissions } = body as {
    readonly title?: string | null;
    readonly metadata?: Record<string, unknown> | null;
    readonly permissions?: readonly Rule[] | null;
  };
  const { id: sessionID, directory } = session;
  const { sessions } = opencode.server;
  if (typeof title === 'string') sessions.update(session, sessionID, { title });
  if (metadata) {
    sessions.update(session, sessionID, { metadata });
    opencode.events.send(directory, 'session.metadata.updated', { sessionID, metadata });
  }
  if (permissions) {
    sessions.update(session, sessionID, { permission: permissions.map(permissionRuleOf) });
    opencode.events.send(directory, 'session.permissions', { sessionID, permissions });
  }
  return empty(204);
}

/** Copies a session up to an entry, or the whole of it. */
function fork({ opencode, session, body }: SessionContext): Response {
  const { server, events } = opencode;
  const entries = events.entries.of(session.id);
  const before = body['before'] as string | null | undefined;
  const end = before == null ? entries.length : entries.findIndex(({ id }) => id === before);
  if (end === -1) return messageNotFound(session.id, before ?? '');
  const copied = entries.slice(0, end);
  if (entries.length === 0) return emptySession(session.id);
  const copy = opencode.fork(session, before ?? undefined);
  for (const entry of copied)
    events.entries.add(copy.id, { ...structuredClone(entry), id: server.ids.next('msg') });
  const { agent, model } = opencode.factsOf(session.id);
  const messageID = before ?? copied.at(-1)?.id;
  const boundary = { type: before == null ? 'through' : 'before', messageID };
  Object.assign(opencode.factsOf(copy.id), {
    ...(agent !== undefined && { agent }),
    ...(model && { model }),
    fork: { sessionID: session.id, boundary },
  });
  const forked = { sessionID: copy.id, parentID: session.id, boundary };
  events.send(session.directory, 'session.forked', { ...forked, instructions: {}, instructionEntries: [] });
  return data(opencode.show(copy));
}

function readModel(value: unknown): SelectedModel | Response {
  if (!isRecord(value)) return invalid('Expected object\n  at ["model"]');
  for (const key of ['id', 'providerID'])
    if (typeof value[key] !== 'string') return invalid(`Missing key\n  at ["model"]["${key}"]`);
  return value as unknown as SelectedModel;
}
