import type { PermissionRequest, QuestionRequest } from '../client/schema/ask.js';
import type { EventProperties, EventType } from '../client/schema/event.js';
import type {
  AssistantMessage,
  FilePart,
  Message,
  MessageInfo,
  Part,
  ReasoningPart,
  StepFinishPart,
  StepStartPart,
  TextPart,
  ToolPart,
  ToolState,
  UserMessage,
} from '../client/schema/message.js';
import type { Pty } from '../client/schema/pty.js';
import type { SessionInfo, Todo, Tokens } from '../client/schema/session.js';
import { Ids } from './state/ids.js';

/** The fields that replace those of a builder. */
type Given<T> = Readonly<Partial<T>>;

const ids = new Ids();
/** 1 January 2026: a fixture is the same at any time. */
const SOME_TIME = 1_767_225_600_000;

function someTokens(): Tokens {
  return { input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } };
}

/** A session of the directory `/repo`. */
export function aSession(given: Given<SessionInfo> = {}): SessionInfo {
  return {
    id: ids.next('ses'),
    slug: 'mock-session',
    projectID: 'project',
    directory: '/repo',
    path: '',
    title: 'A session',
    version: '1.18.33',
    cost: 0,
    tokens: someTokens(),
    time: { created: SOME_TIME, updated: SOME_TIME },
    ...given,
  };
}

/** The message of a prompt, without its parts. */
export function aUserMessage(given: Given<UserMessage> = {}): UserMessage {
  return {
    id: ids.next('msg'),
    sessionID: given.sessionID ?? ids.next('ses'),
    role: 'user',
    time: { created: SOME_TIME },
    agent: 'build',
    model: { providerID: 'mock', modelID: 'mock' },
    ...given,
  };
}

/** The message of a finished answer, without its parts. */
export function anAssistantMessage(given: Given<AssistantMessage> = {}): AssistantMessage {
  return {
    id: ids.next('msg'),
    sessionID: given.sessionID ?? ids.next('ses'),
    role: 'assistant',
    parentID: given.parentID ?? ids.next('msg'),
    time: { created: SOME_TIME, completed: SOME_TIME + 1_000 },
    modelID: 'mock',
    providerID: 'mock',
    mode: 'build',
    agent: 'build',
    path: { cwd: '/repo', root: '/repo' },
    cost: 0,
    tokens: someTokens(),
    finish: 'stop',
    ...given,
  };
}

/** A message with parts, which get the ids of the message. @param parts - a string stands for a text part. */
export function aMessage(
  info: MessageInfo = anAssistantMessage(),
  parts: readonly (Part | string)[] = ['ok'],
): Message {
  const { id: messageID, sessionID } = info;
  return {
    info,
    parts: parts.map((part) => ({
      ...(typeof part === 'string' ? aTextPart({ text: part }) : part),
      messageID,
      sessionID,
    })),
  };
}

/** A part with answer text. */
export function aTextPart(given: Given<TextPart> = {}): TextPart {
  return { ...partIDs(given), type: 'text', text: 'ok', ...given };
}

/** A part with the model's reasoning, ended. */
export function aReasoningPart(given: Given<ReasoningPart> = {}): ReasoningPart {
  const time = { start: SOME_TIME, end: SOME_TIME };
  return { ...partIDs(given), type: 'reasoning', text: 'Let me see.', time, ...given };
}

/** A part with a text file in a data URL. */
export function aFilePart(given: Given<FilePart> = {}): FilePart {
  const file = { mime: 'text/plain', filename: 'a.txt', url: 'data:text/plain,a' };
  return { ...partIDs(given), type: 'file', ...file, ...given };
}

/** A tool call, completed unless `state` is given. */
export function aToolPart(given: Given<ToolPart> = {}): ToolPart {
  return {
    ...partIDs(given),
    type: 'tool',
    tool: 'bash',
    callID: ids.next('call'),
    state: aToolState('completed'),
    ...given,
  };
}

/** The state of a tool call. */
export function aToolState<S extends ToolState['status']>(status: S): Extract<ToolState, { status: S }> {
  const input = { command: 'ls' };
  const time = { start: SOME_TIME, end: SOME_TIME + 100 };
  const states: { readonly [K in ToolState['status']]: Extract<ToolState, { status: K }> } = {
    pending: { status: 'pending', input: {}, raw: '' },
    running: { status: 'running', input, time: { start: SOME_TIME } },
    completed: { status: 'completed', input, output: 'README.md\n', title: 'ls', metadata: {}, time },
    error: { status: 'error', input, error: 'It failed.', time },
  };
  return states[status];
}

/** The part that begins a call of the model. */
export function aStepStartPart(given: Given<StepStartPart> = {}): StepStartPart {
  return { ...partIDs(given), type: 'step-start', ...given };
}

/** The part that ends a call of the model. */
export function aStepFinishPart(given: Given<StepFinishPart> = {}): StepFinishPart {
  return { ...partIDs(given), type: 'step-finish', reason: 'stop', cost: 0, tokens: someTokens(), ...given };
}

/** A permission request of a tool. */
export function aPermissionRequest(given: Given<PermissionRequest> = {}): PermissionRequest {
  return {
    id: ids.next('per'),
    sessionID: ids.next('ses'),
    permission: 'bash',
    patterns: ['ls'],
    metadata: { command: 'ls' },
    always: ['ls *'],
    tool: { messageID: ids.next('msg'), callID: ids.next('call') },
    ...given,
  };
}

/** A question of the model to the user. */
export function aQuestionRequest(given: Given<QuestionRequest> = {}): QuestionRequest {
  return {
    id: ids.next('que'),
    sessionID: ids.next('ses'),
    questions: [
      {
        question: 'Which colour?',
        header: 'Colour',
        options: [
          { label: 'red', description: 'as a rose' },
          { label: 'blue', description: 'as the sea' },
        ],
      },
    ],
    tool: { messageID: ids.next('msg'), callID: ids.next('call') },
    ...given,
  };
}

/** A running terminal. */
export function aPty(given: Given<Pty> = {}): Pty {
  return {
    id: ids.next('pty'),
    title: 'Terminal',
    command: '/bin/bash',
    args: ['-l'],
    cwd: '/repo',
    status: 'running',
    pid: 1001,
    ...given,
  };
}

/** A pending item of a todo list. */
export function aTodo(given: Given<Todo> = {}): Todo {
  return { content: 'Mend the fence', status: 'pending', priority: 'high', ...given };
}

/** An event of one type, as a client receives it. */
export interface BuiltEvent<T extends EventType> {
  readonly directory: string | undefined;
  readonly id: string;
  readonly type: T;
  readonly properties: EventProperties[T];
}

/** The events that belong to no repository. */
const WHOLE_SERVER: ReadonlySet<EventType> = new Set<EventType>([
  'server.connected',
  'server.heartbeat',
  'global.disposed',
  'jarvis.gap',
]);

/**
 * An event as `repo.events()` yields it.
 *
 * @param directory - the repository of the event. @default '/repo', or none for an event of the whole server
 */
export function anEvent<T extends EventType>(
  type: T,
  properties: EventProperties[T],
  directory: string | undefined = WHOLE_SERVER.has(type) ? undefined : '/repo',
): BuiltEvent<T> {
  return { directory, id: ids.next('evt'), type, properties };
}

function partIDs(given: { readonly sessionID?: string; readonly messageID?: string }): {
  id: string;
  sessionID: string;
  messageID: string;
} {
  return {
    id: ids.next('prt'),
    sessionID: given.sessionID ?? ids.next('ses'),
    messageID: given.messageID ?? ids.next('msg'),
  };
}
