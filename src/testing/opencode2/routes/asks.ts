import { answersOf, requestIDOf, wrongAnswer, type Form, type FormAnswer } from '../forms.js';
import type { PermissionRequest } from '../../../client/schema/ask.js';
import {
  data,
  empty,
  formAnswerWrong,
  formNotFound,
  formSettled,
  invalid,
  permissionNotFound,
} from '../replies.js';
import {
  locationRoute,
  serverRoute,
  sessionRoute,
  type LocationContext,
  type Route,
  type SessionContext,
} from '../route.js';

const SESSION = '/api/session/:sessionID';
const DECISIONS = ['once', 'always', 'reject'] as const;

/** The operations on permission requests and forms. */
export const askRoutes: readonly Route[] = [
  locationRoute('GET', '/api/permission/request', ({ instance }) =>
    located(instance, instance.asks.permissions().map(requestOf)),
  ),
  serverRoute('GET', '/api/permission/saved', ({ opencode, query }) => {
    const projectID = query.get('projectID') ?? '';
    return data(
      opencode.savedRules(projectID).map(({ permission, pattern }, index) => ({
        id: `psv_${projectID}_${index}`,
        projectID,
        action: permission,
        resource: pattern,
        time: { created: 0, updated: 0 },
      })),
    );
  }),
  sessionRoute('GET', `${SESSION}/permission`, (context) => data(pendingOf(context).map(requestOf)), {
    boots: true,
  }),
  sessionRoute('POST', `${SESSION}/permission/:requestID/reply`, reply, {
    boots: true,
    body: { decision: 'string', 'message?': 'string' },
  }),
  locationRoute('GET', '/api/form', ({ instance, opencode }) =>
    located(
      instance,
      opencode.forms.pending().filter(({ sessionID }) => {
        return opencode.server.sessions.find(sessionID)?.directory === instance.directory;
      }),
    ),
  ),
  sessionRoute(
    'GET',
    `${SESSION}/form`,
    ({ opencode, session }) =>
      data(opencode.forms.pending().filter(({ sessionID }) => sessionID === session.id)),
    { boots: true },
  ),
  sessionRoute(
    'GET',
    `${SESSION}/form/:formID`,
    ({ opencode, params }) => {
      const id = params['formID'] ?? '';
      const known = opencode.forms.get(id);
      return known === undefined ? formNotFound(id) : data({ ...known.form, state: known.state });
    },
    { boots: true },
  ),
  sessionRoute(
    'POST',
    `${SESSION}/form/:formID/reply`,
    (context) =>
      withPendingForm(context, (form) => {
        const answer = context.body['answer'] as Record<string, unknown>;
        const wrong = wrongAnswer(form, answer);
        if (wrong !== undefined) return formAnswerWrong(form.id, wrong);
        const { opencode, session } = context;
        opencode.forms.settle(form.id, answer as FormAnswer);
        const { asks } = opencode.server.instances.use(session.directory);
        asks.replyQuestion(requestIDOf(form.id), answersOf(form, answer as FormAnswer));
        return empty(204);
      }),
    { boots: true, body: { answer: 'object' } },
  ),
  sessionRoute(
    'DELETE',
    `${SESSION}/form/:formID`,
    (context) =>
      withPendingForm(context, (form) => {
        const { opencode, session } = context;
        opencode.server.instances.use(session.directory).asks.replyQuestion(requestIDOf(form.id), undefined);
        return empty(204);
      }),
    { boots: true },
  ),
];

/** The answer of an operation in a location. */
export function located({ directory }: LocationContext['instance'], value: unknown): Response {
  return Response.json({ location: { directory }, data: value });
}

function pendingOf({ opencode, session }: SessionContext): PermissionRequest[] {
  const { asks } = opencode.server.instances.use(session.directory);
  return asks.permissions().filter(({ sessionID }) => sessionID === session.id);
}

/** A request as OpenCode 2 shows it. */
function requestOf({ id, sessionID, permission, patterns, always, tool }: PermissionRequest): object {
  const source = tool && { type: 'tool', messageID: tool.messageID, id: tool.callID };
  return { id, sessionID, action: permission, resources: patterns, save: always, source };
}

function reply(context: SessionContext): Response {
  const { decision, message } = context.body;
  const given = DECISIONS.find((one) => one === decision);
  if (given === undefined) return invalid('Expected Permission.Reply\n  at ["decision"]');
  const { opencode, session, params } = context;
  const requestID = params['requestID'] ?? '';
  if (pendingOf(context).every(({ id }) => id !== requestID)) return permissionNotFound(requestID);
  const { asks } = opencode.server.instances.use(session.directory);
  asks.replyPermission(requestID, {
    reply: given,
    message: typeof message === 'string' && message !== '' ? message : undefined,
  });
  return empty(204);
}

function withPendingForm(
  { opencode, session, params }: SessionContext,
  answer: (form: Form) => Response,
): Response {
  const id = params['formID'] ?? '';
  const known = opencode.forms.get(id);
  if (known?.form.sessionID !== session.id) return formNotFound(id);
  return known.state.status === 'pending' ? answer(known.form) : formSettled(id);
}
