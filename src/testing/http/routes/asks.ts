import type { PermissionReplyInput } from '../../../client/schema/ask.js';
import { readBody } from '../body.js';
import { notAnID } from '../prompt-body.js';
import { badRequest, requestNotFound } from '../replies.js';
import { scopedRoute, type InstanceContext, type Route } from '../route.js';
import { withSession } from './sessions.js';

const REPLIES: readonly unknown[] = ['once', 'always', 'reject'];

/** The operations on the pending permissions and questions of a directory. */
export const askRoutes: readonly Route[] = [
  scopedRoute('GET', '/permission', ({ instance }) => Response.json(instance.asks.permissions())),
  scopedRoute('POST', '/permission/:requestID/reply', (context) => {
    const requestID = context.params['requestID'] ?? '';
    return replyPermission(context, requestID, 'requestID', 'reply');
  }),
  // The session in the path decides the directory.
  scopedRoute('POST', '/session/:sessionID/permissions/:permissionID', (context) => {
    const requestID = context.params['permissionID'] ?? '';
    return withSession(context, () => replyPermission(context, requestID, 'permissionID', 'response'));
  }),
  scopedRoute('GET', '/question', ({ instance }) => Response.json(instance.asks.questions())),
  scopedRoute('POST', '/question/:requestID/reply', ({ instance, params, bodyText }) => {
    const requestID = params['requestID'] ?? '';
    if (!requestID.startsWith('que')) return notAnID('que', 'requestID', requestID, 'Params');
    const body = readBody(bodyText);
    if (body instanceof Response) return body;
    const { answers } = body;
    if (answers === undefined) return badRequest('Missing key\n  at ["answers"]', 'Payload');
    if (!Array.isArray(answers)) {
      return badRequest(`Expected array, got ${JSON.stringify(answers)}\n  at ["answers"]`, 'Payload');
    }
    const isPending = instance.asks.replyQuestion(requestID, answers as string[][]);
    return isPending ? Response.json(true) : requestNotFound('Question', requestID);
  }),
  scopedRoute('POST', '/question/:requestID/reject', ({ instance, params }) => {
    const requestID = params['requestID'] ?? '';
    if (!requestID.startsWith('que')) return notAnID('que', 'requestID', requestID, 'Params');
    const isPending = instance.asks.replyQuestion(requestID, undefined);
    return isPending ? Response.json(true) : requestNotFound('Question', requestID);
  }),
];

function replyPermission(
  { instance, bodyText }: InstanceContext,
  requestID: string,
  idName: string,
  field: 'reply' | 'response',
): Response {
  if (!requestID.startsWith('per')) return notAnID('per', idName, requestID, 'Params');
  const body = readBody(bodyText);
  if (body instanceof Response) return body;
  const reply = body[field];
  if (reply === undefined) return badRequest(`Missing key\n  at ["${field}"]`, 'Payload');
  if (!REPLIES.includes(reply)) {
    const expected = REPLIES.map((one) => JSON.stringify(one)).join(' | ');
    return badRequest(`Expected ${expected}, got ${JSON.stringify(reply)}\n  at ["${field}"]`, 'Payload');
  }
  const { message } = body;
  const input = { reply, message: typeof message === 'string' ? message : undefined } as PermissionReplyInput;
  const isPending = instance.asks.replyPermission(requestID, input);
  return isPending ? Response.json(true) : requestNotFound('Permission', requestID);
}
