import { RequestError } from '../../errors.js';
import { route } from '../http/route.js';
import type { ModelRef, ParsedPrompt } from '../schema/prompt.js';
import { DEFAULT_AGENT } from '../sessions/default-model.js';
import { param, refuse, type Call, type Handler } from './call.js';
import { readSession } from './session-operations.js';
import type { StepModel } from './wire.js';
import { anything } from '../schema/wire.js';

/** The body of a prompt as the library writes it for OpenCode 1.18. */
interface PromptBody extends Pick<ParsedPrompt, 'parts' | 'system' | 'tools'> {
  readonly messageID: string;
  readonly agent?: string;
  readonly model?: ModelRef;
  readonly variant?: string;
  readonly format?: unknown;
}

const NO_VARIANT = 'default';

/**
 * Begins a turn. Agent and model belong to the session in OpenCode 2: a prompt with others switches the session first.
 *
 * @throws {UnsupportedOperationError} for what OpenCode 2 has not for one prompt.
 */
const prompt: Handler = async (call) => {
  const body = call.json as PromptBody;
  if (body.system !== undefined) refuse('prompt({ system })');
  if (body.tools !== undefined) refuse('prompt({ tools })');
  if (body.format !== undefined) refuse('prompt({ format })');
  const sessionID = param(call, 'sessionID');
  const json = { id: body.messageID, ...contentOf(body.parts) };
  await switchTo(call, sessionID, body);
  await withdrawLeftover(call, sessionID, body.messageID);
  const path = route`/api/session/${sessionID}/prompt`;
  await call.exchange.send({ method: 'POST', path, json, schema: anything });
  return { body: undefined };
};

function contentOf(parts: PromptBody['parts']): {
  readonly text: string;
  readonly files?: object[];
  readonly agents?: object[];
} {
  const texts: string[] = [];
  const files: object[] = [];
  const agents: object[] = [];
  for (const part of parts) {
    if (part.type === 'text') texts.push(part.text);
    else if (part.type === 'file')
      files.push({ uri: part.url, ...(part.filename !== undefined && { name: part.filename }) });
    else if (part.type === 'agent') agents.push({ name: part.name });
    else refuse('prompt({ parts: [{ type: "subtask" }] })');
  }
  return {
    text: texts.join('\n\n'),
    ...(files.length > 0 && { files }),
    ...(agents.length > 0 && { agents }),
  };
}

/** Switches the session to the agent and the model that are to answer, where they are not its own at the moment. */
async function switchTo(
  call: Call,
  sessionID: string,
  { agent, model, variant }: Pick<PromptBody, 'agent' | 'model' | 'variant'>,
): Promise<void> {
  const { exchange, memory } = call;
  // After a prompt that named an agent, one that names none goes back to the agent of the session.
  const wanted = agent ?? memory.ownAgents.get(sessionID);
  if (wanted === undefined && model === undefined && variant === undefined) return;
  const session = memory.sessions.get(sessionID) ?? (await readSession(call, sessionID));
  const post = async (what: 'agent' | 'model', json: object): Promise<void> => {
    const path = `${route`/api/session/${sessionID}`}/${what}`;
    await exchange.send({ method: 'POST', path, json, schema: anything });
  };
  if (wanted !== undefined && wanted !== session.agent) {
    if (!memory.ownAgents.has(sessionID)) memory.ownAgents.set(sessionID, session.agent ?? DEFAULT_AGENT);
    await post('agent', { agent: wanted });
  }
  const chosen: StepModel | undefined =
    model === undefined ? session.model : { id: model.modelID, providerID: model.providerID };
  const next = chosen && { ...chosen, ...(variant !== undefined && { variant }) };
  if (next !== undefined && !isSameModel(next, session.model)) await post('model', { model: next });
  memory.sessions.set(sessionID, {
    ...session,
    ...(wanted !== undefined && { agent: wanted }),
    ...(next && { model: next }),
  });
}

function isSameModel(a: StepModel, b: StepModel | undefined): boolean {
  return (
    a.id === b?.id && a.providerID === b.providerID && (a.variant ?? NO_VARIANT) === (b.variant ?? NO_VARIANT)
  );
}

/**
 * Takes back an earlier prompt of this client that the server accepted and never began, because it was killed: its turn was reported
 * as interrupted, and OpenCode 2.0.14 would run it after the next prompt.
 */
async function withdrawLeftover(
  { exchange, memory }: Call,
  sessionID: string,
  messageID: string,
): Promise<void> {
  const leftover = memory.undelivered.get(sessionID);
  memory.undelivered.set(sessionID, messageID);
  if (leftover === undefined || leftover === messageID) return;
  const path = route`/api/session/${sessionID}/inbox/${leftover}`;
  try {
    await exchange.send({ method: 'DELETE', path, schema: anything });
  } catch (error) {
    // It was delivered after all.
    if (!(error instanceof RequestError) || error.status !== 404) throw error;
  }
}

/** The operations that begin a turn. */
export const promptOperations: Readonly<Record<string, Handler>> = {
  'POST /session/:sessionID/prompt_async': prompt,
};
