import { RequestError } from '../../errors.js';
import { route } from '../http/route.js';
import type {
  PermissionReplyInput,
  PermissionRequest,
  QuestionReplyInput,
  QuestionRequest,
} from '../schema/ask.js';
import { param, pin, type Call, type Handler } from './call.js';
import type { DialectMemory } from './memory.js';
import {
  formListSchema,
  permissionListSchema,
  type Form,
  type FormField,
  type WirePermissionRequest,
} from './wire.js';
import { anything } from '../schema/wire.js';

/** Translates a permission request and remembers whose it is. */
export function toPermissionRequest(
  memory: DialectMemory,
  request: WirePermissionRequest,
): PermissionRequest {
  const { id, sessionID, action, resources, save = [], metadata = {}, source } = request;
  memory.asks.set(id, { sessionID });
  return {
    id,
    sessionID,
    permission: action,
    patterns: [...resources],
    metadata,
    always: [...save],
    ...(source !== undefined && { tool: { messageID: source.messageID, callID: source.id } }),
  };
}

/** Translates a form into questions, one for each field, and remembers its fields. */
export function toQuestionRequest(memory: DialectMemory, form: Form): QuestionRequest {
  const { id, sessionID, metadata, fields } = form;
  memory.asks.set(id, { sessionID, fields });
  return {
    id,
    sessionID,
    questions: fields.map(({ key, title, description, type, options = [], custom, url }) => ({
      question: [description ?? title ?? key, url].filter(Boolean).join(' '),
      header: title ?? key,
      options: (type === 'boolean' && options.length === 0 ? YES_NO : options).map(
        ({ label, description: text = '' }: { label: string; description?: string }) => ({
          label,
          description: text,
        }),
      ),
      multiple: type === 'multiselect',
      custom: custom ?? options.length === 0,
    })),
    ...(metadata?.tool !== undefined && {
      tool: { messageID: metadata.tool.messageID, callID: metadata.tool.id },
    }),
  };
}

const YES_NO = [{ label: 'yes' }, { label: 'no' }];

/** The answer to a form from the answers to its questions. */
export function toFormAnswer(
  fields: readonly FormField[],
  answers: readonly (readonly string[])[],
): Record<string, unknown> {
  const answer: Record<string, unknown> = {};
  for (const [index, field] of fields.entries()) {
    const chosen = (answers[index] ?? []).map(
      (text) => field.options?.find(({ label }) => label === text)?.value ?? text,
    );
    if (chosen.length > 0 || field.type === 'multiselect') answer[field.key] = toValue(field, chosen);
  }
  return answer;
}

function toValue({ type }: FormField, chosen: readonly string[]): unknown {
  const [first = ''] = chosen;
  switch (type) {
    case 'multiselect':
      return chosen;
    case 'boolean':
      return /^(yes|true)$/i.test(first);
    case 'number':
    case 'integer':
      return Number(first);
    default:
      return chosen.join(', ');
  }
}

/** The answers to the questions of a form, from its answer. */
export function fromFormAnswer(
  fields: readonly FormField[],
  answer: Readonly<Record<string, unknown>>,
): string[][] {
  return fields.map(({ key }) => {
    const value = answer[key] ?? [];
    return (Array.isArray(value) ? value : [value]).map((each) =>
      typeof each === 'string' ? each : JSON.stringify(each),
    );
  });
}

async function readPermissions({ exchange, memory, directory }: Call): Promise<PermissionRequest[]> {
  const query = pin(directory);
  const request = {
    method: 'GET',
    path: '/api/permission/request',
    query,
    schema: permissionListSchema,
  } as const;
  return (await exchange.send(request)).data.map((each) => toPermissionRequest(memory, each));
}

async function readForms({ exchange, memory, directory }: Call): Promise<QuestionRequest[]> {
  const query = pin(directory);
  const { data } = await exchange.send({ method: 'GET', path: '/api/form', query, schema: formListSchema });
  return data.map((form) => toQuestionRequest(memory, form));
}

/** Where the answer to an ask goes. @throws {RequestError} with status 404 when it is not pending. */
async function findAsk(
  call: Call,
  kind: 'permission' | 'question',
): Promise<{ readonly sessionID: string; readonly fields: readonly FormField[] }> {
  const id = param(call, 'requestID');
  if (!call.memory.asks.has(id)) await (kind === 'permission' ? readPermissions(call) : readForms(call));
  const found = call.memory.asks.get(id);
  if (found === undefined) throw notPending(kind, id);
  return { sessionID: found.sessionID, fields: found.fields ?? [] };
}

function notPending(kind: 'permission' | 'question', id: string): RequestError {
  const name = kind === 'permission' ? 'PermissionNotFoundError' : 'QuestionNotFoundError';
  const body = { name, data: { message: `Nobody waits for an answer to ${id}` } };
  return new RequestError({ method: 'POST', path: `/${kind}/${id}/reply`, status: 404, body });
}

/** Sends the answer to a form. OpenCode 2.0.14 answers 409 when it has an answer already, and 404 when it is gone. */
async function settleForm(id: string, send: () => Promise<unknown>): Promise<{ readonly body: true }> {
  try {
    await send();
  } catch (error) {
    const isOver = error instanceof RequestError && (error.status === 404 || error.status === 409);
    throw isOver ? notPending('question', id) : error;
  }
  return { body: true };
}

const replyPermission: Handler = async (call) => {
  const { reply, message } = call.json as PermissionReplyInput;
  const { sessionID } = await findAsk(call, 'permission');
  const path = route`/api/session/${sessionID}/permission/${param(call, 'requestID')}/reply`;
  const json = { decision: reply, ...(message !== undefined && { message }) };
  await call.exchange.send({ method: 'POST', path, json, schema: anything });
  return { body: true };
};

const replyQuestion: Handler = async (call) => {
  const { answers } = call.json as QuestionReplyInput;
  const { sessionID, fields } = await findAsk(call, 'question');
  const id = param(call, 'requestID');
  const path = route`/api/session/${sessionID}/form/${id}/reply`;
  const json = { answer: toFormAnswer(fields, answers) };
  return settleForm(id, () => call.exchange.send({ method: 'POST', path, json, schema: anything }));
};

const rejectQuestion: Handler = async (call) => {
  const { sessionID } = await findAsk(call, 'question');
  const id = param(call, 'requestID');
  const path = route`/api/session/${sessionID}/form/${id}`;
  return settleForm(id, () => call.exchange.send({ method: 'DELETE', path, schema: anything }));
};

/** A permission request of a session, answered by the route of the session. */
const respond: Handler = (call) => {
  const { response } = call.json as { readonly response: PermissionReplyInput['reply'] };
  return replyPermission({ ...call, json: { reply: response } });
};

/** The operations on permission requests and questions. */
export const askOperations: Readonly<Record<string, Handler>> = {
  'GET /permission': async (call) => ({ body: await readPermissions(call) }),
  'GET /question': async (call) => ({ body: await readForms(call) }),
  'POST /permission/:requestID/reply': replyPermission,
  'POST /question/:requestID/reply': replyQuestion,
  'POST /question/:requestID/reject': rejectQuestion,
  'POST /session/:sessionID/permissions/:requestID': respond,
};
