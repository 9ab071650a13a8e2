import { refuseID } from '../body.js';
import type { Entry } from '../entries.js';
import type { Delivery } from '../inbox.js';
import { pageOf, type Paging } from '../pages.js';
import { data, empty, invalid, messageNotFound } from '../replies.js';
import { sessionRoute, type Route, type SessionContext } from '../route.js';

/** The operations on the prompts, the history and the work of a session. */
export const promptRoutes: readonly Route[] = [
  sessionRoute('POST', '/api/session/:sessionID/prompt', prompt, {
    body: {
      text: 'string',
      'id?': 'string',
      'files?': 'array',
      'agents?': 'array',
      'skills?': 'array',
      'metadata?': 'object',
      'delivery?': 'string',
      'resume?': 'boolean',
    },
  }),
  sessionRoute(
    'POST',
    '/api/session/:sessionID/interrupt',
    ({ opencode, session }) => Response.json({ interrupted: opencode.executions.interrupt(session.id) }),
    { boots: true },
  ),
  sessionRoute(
    'POST',
    '/api/experimental/session/:sessionID/wait',
    async ({ opencode, session }) => {
      await opencode.executions.wait(session.id);
      return empty(204);
    },
    { boots: true },
  ),
  sessionRoute('GET', '/api/session/:sessionID/inbox', ({ opencode, session }) =>
    data(opencode.executions.inbox(session.id).items),
  ),
  // The server answers the same for a prompt that does not wait.
  sessionRoute('DELETE', '/api/session/:sessionID/inbox/:inboxID', ({ opencode, session, params }) => {
    const { inboxID = '' } = params;
    if (opencode.executions.inbox(session.id).cancel(inboxID))
      opencode.events.send(undefined, 'session.inbox.cancelled', { sessionID: session.id, inboxID });
    return empty(204);
  }),
  sessionRoute(
    'PATCH',
    '/api/session/:sessionID/inbox/:inboxID',
    ({ opencode, session, params, body }) => {
      const delivery = readDelivery(body['delivery']);
      if (delivery instanceof Response) return delivery;
      const { inboxID = '' } = params;
      const item = opencode.executions.inbox(session.id).items.find(({ id }) => id === inboxID);
      if (item !== undefined) {
        item.delivery = delivery;
        const changed = { sessionID: session.id, inboxID, delivery };
        opencode.events.send(undefined, 'session.inbox.delivery.changed', changed);
      }
      return empty(204);
    },
    { body: { delivery: 'string' } },
  ),
  sessionRoute('GET', '/api/session/:sessionID/message', ({ opencode, session, query }) => {
    const entries = [...opencode.events.entries.of(session.id)];
    const order = query.get('order') === 'asc' ? 'asc' : 'desc';
    if (order === 'desc') entries.reverse();
    return pageOf(entries, query, messagePaging(order), (entry) => entry);
  }),
  sessionRoute('GET', '/api/session/:sessionID/message/:messageID', ({ opencode, session, params }) => {
    const { messageID = '' } = params;
    const refusal = refuseID('msg_', 'messageID', messageID, 'Params');
    if (refusal !== undefined) return refusal;
    const entry = opencode.events.entries.of(session.id).find(({ id }) => id === messageID);
    return entry === undefined ? messageNotFound(session.id, messageID) : data(entry);
  }),
];

function prompt({ opencode, session, body }: SessionContext): Response {
  const { id, text, delivery, resume, ...rest } = body;
  if (id !== undefined && id !== null) {
    const refusal = refuseID('msg_', 'id', id, 'Payload');
    if (refusal !== undefined) return refusal;
  }
  const given = readDelivery(delivery ?? 'steer');
  if (given instanceof Response) return given;
  const more = ['files', 'agents', 'skills', 'metadata'].flatMap((key) =>
    rest[key] === undefined || rest[key] === null ? [] : [[key, rest[key]] as const],
  );
  return data(
    opencode.executions.admit(session, {
      id: typeof id === 'string' ? id : undefined,
      text: text as string,
      more: Object.fromEntries(more),
      delivery: given,
      resume: resume !== false,
    }),
  );
}

function readDelivery(value: unknown): Delivery | Response {
  if (value === 'steer' || value === 'queue') return value;
  return invalid('Expected Session.Inbox.Delivery\n  at ["delivery"]');
}

function messagePaging(order: 'asc' | 'desc'): Paging<Entry> {
  return {
    anchor: ({ id }, direction) => ({ id, order, direction }),
    read: (cursor) => cursor,
  };
}
