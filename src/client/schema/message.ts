import { z } from 'zod';
import { tokensSchema } from './session.js';

const metadataSchema = z.record(z.string(), z.unknown());

/** An error as the server stores it on a message or sends it in `session.error`. */
export const serverErrorSchema = z.looseObject({ name: z.string(), data: z.unknown().optional() });
export type ServerErrorInfo = z.infer<typeof serverErrorSchema>;

const userMessageSchema = z.looseObject({
  id: z.string(),
  sessionID: z.string(),
  role: z.literal('user'),
  time: z.looseObject({ created: z.number() }),
  agent: z.string(),
  model: z.looseObject({ providerID: z.string(), modelID: z.string(), variant: z.string().optional() }),
  system: z.string().optional(),
  tools: z.record(z.string(), z.boolean()).optional(),
});
/** What was prompted. `time.created` is epoch milliseconds. */
export type UserMessage = z.infer<typeof userMessageSchema>;

const assistantMessageSchema = z.looseObject({
  id: z.string(),
  sessionID: z.string(),
  role: z.literal('assistant'),
  /** Id of the user message it answers. A turn has one assistant message per model call. */
  parentID: z.string(),
  time: z.looseObject({ created: z.number(), completed: z.number().optional() }),
  modelID: z.string(),
  providerID: z.string(),
  mode: z.string(),
  agent: z.string(),
  path: z.looseObject({ cwd: z.string(), root: z.string() }),
  cost: z.number(),
  tokens: tokensSchema,
  error: serverErrorSchema.optional(),
  finish: z.string().optional(),
  structured: z.unknown().optional(),
  summary: z.boolean().optional(),
  variant: z.string().optional(),
});
/** What the model answered in one step. It is unfinished as long as `time.completed` is absent. */
export type AssistantMessage = z.infer<typeof assistantMessageSchema>;

export const messageInfoSchema = z.discriminatedUnion('role', [userMessageSchema, assistantMessageSchema]);
export type MessageInfo = z.infer<typeof messageInfoSchema>;

const partBase = { id: z.string(), sessionID: z.string(), messageID: z.string() };
const partTimeSchema = z.looseObject({ start: z.number(), end: z.number().optional() });

const textPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('text'),
  text: z.string(),
  /** Made by the server, not by the user or the model. */
  synthetic: z.boolean().optional(),
  ignored: z.boolean().optional(),
  time: partTimeSchema.optional(),
  metadata: metadataSchema.optional(),
});
export type TextPart = z.infer<typeof textPartSchema>;

const reasoningPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('reasoning'),
  text: z.string(),
  time: partTimeSchema,
  metadata: metadataSchema.optional(),
});
export type ReasoningPart = z.infer<typeof reasoningPartSchema>;

const filePartSchema = z.looseObject({
  ...partBase,
  type: z.literal('file'),
  mime: z.string(),
  url: z.string(),
  filename: z.string().optional(),
});
export type FilePart = z.infer<typeof filePartSchema>;

const toolInputSchema = z.record(z.string(), z.unknown());
const toolStateSchema = z.discriminatedUnion('status', [
  z.looseObject({ status: z.literal('pending'), input: toolInputSchema, raw: z.string() }),
  z.looseObject({
    status: z.literal('running'),
    input: toolInputSchema,
    title: z.string().optional(),
    metadata: metadataSchema.optional(),
    time: partTimeSchema,
  }),
  z.looseObject({
    status: z.literal('completed'),
    input: toolInputSchema,
    output: z.string(),
    title: z.string(),
    metadata: metadataSchema,
    time: z.looseObject({ start: z.number(), end: z.number() }),
  }),
  z.looseObject({
    status: z.literal('error'),
    input: toolInputSchema,
    error: z.string(),
    metadata: metadataSchema.optional(),
    time: z.looseObject({ start: z.number(), end: z.number() }),
  }),
]);
export type ToolState = z.infer<typeof toolStateSchema>;

const toolPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('tool'),
  callID: z.string(),
  tool: z.string(),
  state: toolStateSchema,
  metadata: metadataSchema.optional(),
});
export type ToolPart = z.infer<typeof toolPartSchema>;

const subtaskPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('subtask'),
  prompt: z.string(),
  description: z.string(),
  agent: z.string(),
});
export type SubtaskPart = z.infer<typeof subtaskPartSchema>;

const stepStartPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('step-start'),
  snapshot: z.string().optional(),
});
export type StepStartPart = z.infer<typeof stepStartPartSchema>;

const stepFinishPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('step-finish'),
  reason: z.string(),
  cost: z.number(),
  tokens: tokensSchema,
  snapshot: z.string().optional(),
});
export type StepFinishPart = z.infer<typeof stepFinishPartSchema>;

const snapshotPartSchema = z.looseObject({ ...partBase, type: z.literal('snapshot'), snapshot: z.string() });
export type SnapshotPart = z.infer<typeof snapshotPartSchema>;

const patchPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('patch'),
  hash: z.string(),
  files: z.array(z.string()),
});
export type PatchPart = z.infer<typeof patchPartSchema>;

const agentPartSchema = z.looseObject({ ...partBase, type: z.literal('agent'), name: z.string() });
export type AgentPart = z.infer<typeof agentPartSchema>;

const retryPartSchema = z.looseObject({
  ...partBase,
  type: z.literal('retry'),
  attempt: z.number(),
  error: serverErrorSchema,
  time: z.looseObject({ created: z.number() }),
});
export type RetryPart = z.infer<typeof retryPartSchema>;

const compactionPartSchema = z.looseObject({ ...partBase, type: z.literal('compaction'), auto: z.boolean() });
export type CompactionPart = z.infer<typeof compactionPartSchema>;

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

const knownPartSchema = z.discriminatedUnion('type', [
  textPartSchema,
  reasoningPartSchema,
  filePartSchema,
  toolPartSchema,
  subtaskPartSchema,
  stepStartPartSchema,
  stepFinishPartSchema,
  snapshotPartSchema,
  patchPartSchema,
  agentPartSchema,
  retryPartSchema,
  compactionPartSchema,
]);
const anyPartSchema = z.looseObject({ ...partBase, type: z.string() });
export const partSchema = z.union([knownPartSchema, anyPartSchema]) as unknown as z.ZodType<Part>;

export const messageSchema = z.object({ info: messageInfoSchema, parts: z.array(partSchema) });
/** A message with its parts, as `session.messages()` lists them. */
export type Message = z.infer<typeof messageSchema>;

export const messageListSchema = z.array(messageSchema);
