import type { Part } from '../../../client/schema/message.js';
import { parseJson, readBody } from '../body.js';
import { messagePage, singleMessage } from '../message-page.js';
import { isRecord, notAnID, parsePromptBody, type PromptBody } from '../prompt-body.js';
import { badRequest, noContent, notFound, otherPart, unknownError, unsupportedType } from '../replies.js';
import { scopedRoute, type InstanceContext, type Route } from '../route.js';
import { withSession, whenIdle } from './sessions.js';

/** The operations on the messages of a session, and those that make new messages. */
export const messageRoutes: readonly Route[] = [
  scopedRoute('GET', '/session/:sessionID/message', (context) =>
    withSession(context, ({ id }) => messagePage(context.server.sessions.messages(id), context.query)),
  ),
  scopedRoute('GET', '/session/:sessionID/message/:messageID', (context) =>
    withMessageID(context, (messageID) =>
      withSession(context, ({ id }) => {
        const message = context.server.sessions.message(id, messageID);
        return message === undefined ? notFound(`Message not found: ${messageID}`) : singleMessage(message);
      }),
    ),
  ),
  scopedRoute('DELETE', '/session/:sessionID/message/:messageID', (context) =>
    withMessageID(context, (messageID) =>
      withSession(context, (session) =>
        whenIdle(context, session, () => {
          context.server.sessions.removeMessage(context.instance, session.id, messageID);
          return Response.json(true);
        }),
      ),
    ),
  ),
  scopedRoute('PATCH', '/session/:sessionID/message/:messageID/part/:partID', (context) =>
    withMessageID(context, () =>
      withSession(context, () => {
        const part = parseJson(context.bodyText);
        if (!isPart(part)) {
          return badRequest(`Expected Part, got ${JSON.stringify(part)}`, 'Payload');
        }
        const { sessionID, messageID, partID } = context.params;
        const isSame = part.id === partID && part.messageID === messageID && part.sessionID === sessionID;
        if (!isSame) return otherPart();
        const { instance, server } = context;
        return server.sessions.writePart(instance, part) ? Response.json(part) : unknownError();
      }),
    ),
  ),
  scopedRoute('DELETE', '/session/:sessionID/message/:messageID/part/:partID', (context) =>
    withMessageID(context, (messageID) => {
      const partID = context.params['partID'] ?? '';
      if (!partID.startsWith('prt')) return notAnID('prt', 'partID', partID, 'Params');
      return withSession(context, ({ id }) => {
        context.server.sessions.removePart(context.instance, id, messageID, partID);
        return Response.json(true);
      });
    }),
  ),
  scopedRoute('POST', '/session/:sessionID/prompt_async', (context) =>
    withPrompt(context, (body) =>
      withSession(context, (session) => {
        void context.server.turns.promptAsync(context.instance, session, body);
        return noContent();
      }),
    ),
  ),
  scopedRoute('POST', '/session/:sessionID/message', (context) =>
    withPrompt(context, (body) =>
      withSession(context, async (session) => {
        const answer = await context.server.turns.prompt(context.instance, session, body);
        return answer === undefined ? unknownError() : Response.json(answer);
      }),
    ),
  ),
  scopedRoute('POST', '/session/:sessionID/command', (context) => {
    const body = readBody(context.bodyText, ['command', 'arguments', 'agent?']);
    if (body instanceof Response) return body;
    return runCommand(context, body['command'] as string, body);
  }),
  scopedRoute('POST', '/session/:sessionID/init', async (context) => {
    const body = readBody(context.bodyText, ['providerID', 'modelID', 'messageID']);
    if (body instanceof Response) return body;
    const { providerID, modelID, messageID } = body;
    const model = { providerID, modelID };
    const answer = await runCommand(context, 'init', { messageID, arguments: '', model });
    return answer.ok ? Response.json(true) : answer;
  }),
  scopedRoute('POST', '/session/:sessionID/shell', (context) => {
    const body = readBody(context.bodyText, ['agent', 'command', 'messageID?']);
    if (body instanceof Response) return body;
    const { agent, command, messageID, model } = body as unknown as ShellBody;
    return withSession(context, (session) =>
      whenIdle(context, session, async () => {
        const input = { agent, command, messageID, model };
        return Response.json(await context.server.turns.shell(context.instance, session, input));
      }),
    );
  }),
  scopedRoute('POST', '/session/:sessionID/summarize', (context) => {
    const body = readBody(context.bodyText, ['providerID', 'modelID']);
    if (body instanceof Response) return body;
    const { providerID, modelID } = body as { providerID: string; modelID: string };
    return withSession(context, (session) =>
      whenIdle(context, session, async () => {
        const model = { providerID, modelID };
        await context.server.turns.summarize(context.instance, session, model, body['auto'] === true);
        return Response.json(true);
      }),
    );
  }),
];

interface ShellBody {
  readonly agent: string;
  readonly command: string;
  readonly messageID: string | undefined;
  readonly model: PromptBody['model'];
}

/** Prompts with the template of a command; for an unknown command it sends a `session.error`. */
function runCommand(
  context: InstanceContext,
  name: string,
  body: Readonly<Record<string, unknown>>,
): Promise<Response> {
  const { server, instance } = context;
  return withSession(context, async (session) => {
    const { id: sessionID } = session;
    const command = server.commands.find((one) => one.name === name);
    if (command === undefined) {
      const names = server.commands.map((one) => one.name).join(', ');
      const message = `Command not found: ${JSON.stringify(name)}. Available commands: ${names}`;
      const error = { name: 'UnknownError' as const, data: { message } };
      server.events.emit(instance, 'session.error', { sessionID, error });
      return unknownError();
    }
    const given = typeof body['arguments'] === 'string' ? body['arguments'] : '';
    const files = Array.isArray(body['parts']) ? (body['parts'] as unknown[]) : [];
    const text = command.template.replaceAll('$ARGUMENTS', given);
    const prompt = parsePromptBody({ ...body, parts: [{ type: 'text', text }, ...files] });
    if (prompt instanceof Response) return prompt;
    const answer = await server.turns.prompt(instance, session, prompt);
    if (answer === undefined) return unknownError();
    const properties = { name, sessionID, arguments: given, messageID: answer.info.id };
    server.events.emit(instance, 'command.executed', properties);
    return Response.json(answer);
  });
}

function withMessageID(
  { params }: InstanceContext,
  answer: (messageID: string) => Response | Promise<Response>,
): Response | Promise<Response> {
  const messageID = params['messageID'] ?? '';
  return messageID.startsWith('msg') ? answer(messageID) : notAnID('msg', 'messageID', messageID, 'Params');
}

function withPrompt(
  { contentType, bodyText }: InstanceContext,
  answer: (body: PromptBody) => Response | Promise<Response>,
): Response | Promise<Response> {
  if (!contentType.startsWith('application/json')) return unsupportedType(contentType);
  const json = parseJson(bodyText);
  if (json === undefined) return unknownError();
  const body = parsePromptBody(json);
  return body instanceof Response ? body : answer(body);
}

function isPart(value: unknown): value is Part {
  if (!isRecord(value)) return false;
  return ['id', 'sessionID', 'messageID', 'type'].every((key) => typeof value[key] === 'string');
}
