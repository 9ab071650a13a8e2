import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import type { ApiErrorInfo, ServerErrorInfo } from '../../core/server-error.js';
import { tokensSchema, type FileDiff, type Tokens } from './session.js';
import { wire } from './wire.js';

export type { ApiErrorInfo, ServerErrorInfo } from '../../core/server-error.js';

/** The shape the answer of a turn may be asked for. */
export type OutputFormat =
  { type: 'text' } | { type: 'json_schema'; schema: Record<string, unknown>; retryCount?: number };

/** What was prompted. `time.created` is epoch milliseconds. */
export interface UserMessage {
  id: string;
  sessionID: string;
  role: 'user';
  time: { created: number };
  format?: OutputFormat;
  summary?: { title?: string; body?: string; diffs: FileDiff[] };
  agent: string;
  model: { providerID: string; modelID: string; variant?: string };
  system?: string;
  tools?: Record<string, boolean>;
}

/** What the model answered in one step. It is unfinished as long as `time.completed` is absent. */
export interface AssistantMessage {
  id: string;
  sessionID: string;
  role: 'assistant';
  /** Id of the user message it answers. A turn has one assistant message per model call. */
  parentID: string;
  time: { created: number; completed?: number };
  error?: ServerErrorInfo;
  modelID: string;
  providerID: string;
  mode: string;
  agent: string;
  path: { cwd: string; root: string };
  summary?: boolean;
  cost: number;
  tokens: Tokens;
  structured?: unknown;
  variant?: string;
  finish?: string;
}

/** A message without its parts, a union on `role`. */
export type MessageInfo = UserMessage | AssistantMessage;

interface PartBase {
  id: string;
  sessionID: string;
  messageID: string;
}

export interface TextPart extends PartBase {
  type: 'text';
  text: string;
  /** Made by the server, not by the user or the model. */
  synthetic?: boolean;
  ignored?: boolean;
  time?: { start: number; end?: number };
  metadata?: Record<string, unknown>;
}

export interface ReasoningPart extends PartBase {
  type: 'reasoning';
  text: string;
  metadata?: Record<string, unknown>;
  time: { start: number; end?: number };
}

/** What was quoted of a file, from `start` to `end`. @inline */
interface FileSourceText {
  value: string;
  start: number;
  end: number;
}

/** Where in the repository, or at which MCP server, a file part comes from. */
export type FilePartSource =
  | { type: 'file'; text: FileSourceText; path: string }
  | {
      type: 'symbol';
      text: FileSourceText;
      path: string;
      range: { start: { line: number; character: number }; end: { line: number; character: number } };
      name: string;
      kind: number;
    }
  | { type: 'resource'; text: FileSourceText; clientName: string; uri: string };

export interface FilePart extends PartBase {
  type: 'file';
  mime: string;
  filename?: string;
  url: string;
  source?: FilePartSource;
}

/** Where a tool call is, a union on `status`. */
export type ToolState =
  | { status: 'pending'; input: Record<string, unknown>; raw: string }
  | {
      status: 'running';
      input: Record<string, unknown>;
      title?: string;
      metadata?: Record<string, unknown>;
      time: { start: number };
    }
  | {
      status: 'completed';
      input: Record<string, unknown>;
      output: string;
      title: string;
      metadata: Record<string, unknown>;
      time: { start: number; end: number; compacted?: number };
      attachments?: FilePart[];
    }
  | {
      status: 'error';
      input: Record<string, unknown>;
      error: string;
      metadata?: Record<string, unknown>;
      time: { start: number; end: number };
    };

export interface ToolPart extends PartBase {
  type: 'tool';
  callID: string;
  tool: string;
  state: ToolState;
  metadata?: Record<string, unknown>;
}

export interface SubtaskPart extends PartBase {
  type: 'subtask';
  prompt: string;
  description: string;
  agent: string;
  model?: { providerID: string; modelID: string };
  command?: string;
}

export interface StepStartPart extends PartBase {
  type: 'step-start';
  snapshot?: string;
}

export interface StepFinishPart extends PartBase {
  type: 'step-finish';
  reason: string;
  snapshot?: string;
  cost: number;
  tokens: Tokens;
}

export interface SnapshotPart extends PartBase {
  type: 'snapshot';
  snapshot: string;
}

export interface PatchPart extends PartBase {
  type: 'patch';
  hash: string;
  files: string[];
}

export interface AgentPart extends PartBase {
  type: 'agent';
  name: string;
  source?: FileSourceText;
}

export interface RetryPart extends PartBase {
  type: 'retry';
  attempt: number;
  error: ApiErrorInfo;
  time: { created: number };
}

export interface CompactionPart extends PartBase {
  type: 'compaction';
  auto: boolean;
  overflow?: boolean;
  tail_start_id?: string;
}

/**
 * One piece of a message, a union on `type`. A part of a type the server adds later arrives as it is, so a `switch`
 * over `type` should have a `default`.
 */
export type Part =
  | TextPart
  | ReasoningPart
  | FilePart
  | ToolPart
  | SubtaskPart
  | StepStartPart
  | StepFinishPart
  | SnapshotPart
  | PatchPart
  | AgentPart
  | RetryPart
  | CompactionPart;

const KNOWN_ROLES = ['user', 'assistant'];
const knownMessageSchema = lazy(() =>
  z.discriminatedUnion('role', [
    z.looseObject({ role: z.literal('user'), id: z.string(), sessionID: z.string() }),
    z.looseObject({
      role: z.literal('assistant'),
      id: z.string(),
      sessionID: z.string(),
      parentID: z.string(),
      time: z.looseObject({ completed: z.number().optional() }),
      error: z.looseObject({ name: z.string() }).optional(),
      cost: z.number(),
      tokens: tokensSchema(),
    }),
  ]),
);
const otherMessageSchema = lazy(() =>
  z.looseObject({
    role: z.string().refine((role) => !KNOWN_ROLES.includes(role)),
    id: z.string(),
    sessionID: z.string(),
  }),
);
export const messageInfoSchema = lazy(() =>
  wire<MessageInfo>(z.union([knownMessageSchema(), otherMessageSchema()])),
);

/** A turn's answer is made of its text parts, so their text is checked. */
export const partSchema = lazy(() =>
  wire<Part>(
    z
      .looseObject({ id: z.string(), messageID: z.string(), type: z.string() })
      .refine((part) => part.type !== 'text' || typeof part['text'] === 'string', {
        path: ['text'],
        error: 'Invalid input: expected string',
      }),
  ),
);

/** A message with its parts. */
export interface Message {
  info: MessageInfo;
  parts: Part[];
}

/**
 * A message that OpenCode 1.18.33 stores and cannot send: the first one of a session whose prompt had a `format`. There is
 * nothing else to read of it.
 */
export interface UnreadableMessage {
  info: {
    role: 'unreadable';
    /** Known from its answer; empty while it has none. */
    id: string;
    sessionID: string;
    /** What the server said instead. */
    error: string;
  };
  parts: [];
}

/** What `session.messages()` lists, a union on `info.role`. */
export type StoredMessage = Message | UnreadableMessage;

export const messageSchema = lazy(() =>
  wire<Message>(z.looseObject({ info: messageInfoSchema(), parts: z.array(partSchema()) })),
);
export const messageListSchema = lazy(() => z.array(messageSchema()));
