import type {
  AssistantMessage,
  FilePart,
  Message,
  Part,
  ServerErrorInfo,
  ToolState,
  UserMessage,
} from '../schema/message.js';
import type { Tokens } from '../schema/session.js';
import type {
  StepEntry,
  StepContent,
  StepModel,
  StepError,
  ToolContent,
  StepTool,
  StepToolState,
  UserEntry,
} from './wire.js';

const NO_TOKENS: Tokens = { input: 0, output: 0, reasoning: 0, cache: { read: 0, write: 0 } };

/** What OpenCode 2.0.14 says of a tool call that the user refused without a word: the turn ends with it. */
const REFUSALS = /^The user (declined this tool call|dismissed this question)$/;

/** Translates the error of a step or an execution. */
export function toServerError({ type, message, status }: StepError): ServerErrorInfo {
  if (type === 'aborted') return { name: 'MessageAbortedError', data: { message } };
  if (type.startsWith('provider.') && type !== 'provider.no-route') {
    const isRetryable = status !== undefined && (status === 429 || status >= 500);
    return {
      name: 'APIError',
      data: { message, isRetryable, ...(status !== undefined && { statusCode: status }), metadata: { type } },
    };
  }
  return { name: 'UnknownError', data: { message: `${type}: ${message}` } };
}

/** Translates a prompt. @param answer - the first step that answers it, if one is known. */
export function toUserMessage(sessionID: string, entry: UserEntry, answer?: StepEntry): Message {
  const { id, time, text, files = [], agents = [] } = entry;
  const { id: modelID = '', providerID = '', variant } = answer?.model ?? ({} as Partial<StepModel>);
  const info: UserMessage = {
    id,
    sessionID,
    role: 'user',
    time: { created: time.created },
    agent: answer?.agent ?? '',
    model: { providerID, modelID, ...(variant !== undefined && { variant }) },
  };
  const base = { sessionID, messageID: id };
  const parts: Part[] = [
    { ...base, id: partID(id, 'text', 0), type: 'text', text },
    ...files.map(({ data, mime, source, name }, index): FilePart => ({
      ...base,
      id: partID(id, 'file', index),
      type: 'file',
      mime,
      url: source.type === 'uri' ? source.uri : `data:${mime};base64,${data}`,
      ...(name !== undefined && { filename: name }),
    })),
    ...agents.map(({ name }, index): Part => ({
      ...base,
      id: partID(id, 'agent', index),
      type: 'agent',
      name,
    })),
  ];
  return { info, parts };
}

/**
 * Translates one step.
 *
 * @param parentID - id of the prompt that it answers.
 */
export function toAssistantMessage(
  session: { readonly id: string; readonly directory: string },
  entry: StepEntry,
  parentID: string,
): Message {
  return { info: toAssistantInfo(session, entry, parentID), parts: partsOf(session.id, entry) };
}

/** Translates a step without its parts. */
export function toAssistantInfo(
  { id: sessionID, directory }: { readonly id: string; readonly directory: string },
  entry: StepEntry,
  parentID: string,
): AssistantMessage {
  const { id, time, agent, model, cost = 0, tokens = NO_TOKENS } = entry;
  // OpenCode 1.18 ends a turn whose tool call was refused after that call, without an error.
  const wasRefused = entry.error?.type === 'aborted' && entry.content.some(isRefused);
  const finish = wasRefused ? 'tool-calls' : entry.finish;
  return {
    id,
    sessionID,
    role: 'assistant',
    parentID,
    time: { created: time.created, ...(time.completed !== undefined && { completed: time.completed }) },
    ...(entry.error !== undefined && !wasRefused && { error: toServerError(entry.error) }),
    modelID: model.id,
    providerID: model.providerID,
    mode: agent,
    agent,
    path: { cwd: directory, root: directory },
    cost,
    tokens: { ...NO_TOKENS, ...tokens, cache: { ...NO_TOKENS.cache, ...tokens.cache } },
    ...(model.variant !== undefined && { variant: model.variant }),
    ...(finish !== undefined && { finish }),
  };
}

/** Translates the content of a step. */
export function partsOf(sessionID: string, entry: StepEntry): Part[] {
  const counts = { text: 0, reasoning: 0 };
  const parts = entry.content.flatMap((content): Part[] => {
    if (content.type === 'tool') return [toToolPart(sessionID, entry.id, content)];
    // A kind of content that a later server adds.
    if (!Object.hasOwn(counts, content.type)) return [];
    const part = toTextPart(sessionID, entry, content, counts[content.type]);
    counts[content.type] += 1;
    return [part];
  });
  const finish = toStepFinish(sessionID, entry);
  return finish === undefined ? parts : [...parts, finish];
}

/**
 * Translates a piece of text.
 *
 * @param ordinal - its position among the pieces of its type in the step, from 0.
 */
export function toTextPart(
  sessionID: string,
  { id: messageID, time }: Pick<StepEntry, 'id' | 'time'>,
  content: Exclude<StepContent, { type: 'tool' }>,
  ordinal: number,
): Part {
  const { type, text } = content;
  const base = { id: partID(messageID, type, ordinal), sessionID, messageID };
  if (content.type === 'text') return { ...base, type: 'text', text };
  const { created: start, completed: end } = content.time ?? time;
  return { ...base, type: 'reasoning', text, time: { start, ...(end !== undefined && { end }) } };
}

/** Translates a tool call. */
export function toToolPart(sessionID: string, messageID: string, { id, name, state, time }: StepTool): Part {
  const base = { id: partID(messageID, 'tool', id), sessionID, messageID };
  return { ...base, type: 'tool', callID: id, tool: name, state: toToolState(state, time, base) };
}

function toToolState(
  state: StepToolState,
  time: StepTool['time'],
  part: Pick<FilePart, 'id' | 'sessionID' | 'messageID'>,
): ToolState {
  const start = time.ran ?? time.created;
  const end = time.completed ?? start;
  switch (state.status) {
    case 'streaming':
      return { status: 'pending', input: {}, raw: state.input };
    case 'running':
      return { status: 'running', input: state.input, metadata: state.metadata ?? {}, time: { start } };
    case 'completed': {
      const attachments = state.content.flatMap((each, index) => toAttachment(each, index, part));
      return {
        status: 'completed',
        input: state.input,
        output: state.content.map((each) => (each.type === 'text' ? each.text : '')).join(''),
        title: '',
        metadata: state.metadata ?? {},
        time: { start, end },
        ...(attachments.length > 0 && { attachments }),
      };
    }
    case 'error':
      return {
        status: 'error',
        input: state.input,
        error: state.error.message,
        ...(state.metadata !== undefined && { metadata: state.metadata }),
        time: { start, end },
      };
    default:
      // A state that a later server adds: the call has begun, and nobody knows its end.
      return { status: 'running', input: {}, metadata: {}, time: { start } };
  }
}

function toAttachment(
  content: ToolContent,
  index: number,
  { id, sessionID, messageID }: Pick<FilePart, 'id' | 'sessionID' | 'messageID'>,
): FilePart[] {
  if (content.type !== 'file') return [];
  const { uri = '', mime = 'application/octet-stream', name } = content;
  const base = { id: `${id}_${index}`, sessionID, messageID, type: 'file', mime, url: uri } as const;
  return [{ ...base, ...(name !== undefined && { filename: name }) }];
}

/** The part that ends a step in OpenCode 1.18; `undefined` while the step has no end. */
export function toStepFinish(sessionID: string, entry: StepEntry): Part | undefined {
  const { id: messageID, time, finish = 'unknown', cost = 0, tokens } = entry;
  if (time.completed === undefined || tokens === undefined) return undefined;
  return {
    id: partID(messageID, 'finish', 0),
    sessionID,
    messageID,
    type: 'step-finish',
    reason: finish,
    cost,
    tokens,
  };
}

/** OpenCode 2 gives the content of a message no ids. */
export function partID(messageID: string, type: string, index: number | string): string {
  return `${messageID.replace('msg_', 'prt_')}_${type}_${index}`;
}

function isRefused(content: StepContent): boolean {
  return (
    content.type === 'tool' && content.state.status === 'error' && REFUSALS.test(content.state.error.message)
  );
}
