import type { OutputFormat } from '../../client/schema/message.js';
import type { ModelRef, PromptPartInput } from '../../client/schema/prompt.js';
import { badRequest } from './replies.js';

/** The `retryCount` that OpenCode 1.18.33 stores when a format has none. */
const DEFAULT_RETRIES = 2;

/** The fields of a prompt's body that the mock uses. */
export interface PromptBody {
  readonly messageID: string | undefined;
  readonly parts: readonly PromptPartInput[];
  readonly agent: string | undefined;
  readonly model: ModelRef | undefined;
  /** Whether the prompt is stored and gets no answer. */
  readonly noReply: boolean;
  /** The tools that the prompt allows (`true`) and denies (`false`). */
  readonly tools: Readonly<Record<string, boolean>>;
  /** The format of the answer. */
  readonly format: OutputFormat | undefined;
}

/** Reads the body of a prompt, or refuses it as the server does. */
export function parsePromptBody(json: unknown): PromptBody | Response {
  if (!isRecord(json)) return badRequest(`Expected object, got ${JSON.stringify(json)}`, 'Payload');
  const { messageID, parts, agent, model, noReply, tools, format } = json;
  if (messageID !== undefined && !(typeof messageID === 'string' && messageID.startsWith('msg'))) {
    return notAnID('msg', 'messageID', messageID, 'Payload');
  }
  if (parts === undefined) return badRequest('Missing key\n  at ["parts"]', 'Payload');
  if (!Array.isArray(parts)) {
    return badRequest(`Expected array, got ${JSON.stringify(parts)}\n  at ["parts"]`, 'Payload');
  }
  const wrong = parts.findIndex((part) => !isRecord(part) || typeof part.type !== 'string');
  if (wrong !== -1) return badRequest(`Missing key\n  at ["parts"][${wrong}]["type"]`, 'Payload');
  const formatAsked = parseFormat(format);
  if (formatAsked instanceof Response) return formatAsked;
  return {
    messageID,
    parts: parts as PromptPartInput[],
    agent: typeof agent === 'string' ? agent : undefined,
    model: isRecord(model) ? (model as unknown as ModelRef) : undefined,
    noReply: noReply === true,
    tools: isRecord(tools) ? (tools as Record<string, boolean>) : {},
    format: formatAsked,
  };
}

function parseFormat(format: unknown): OutputFormat | Response | undefined {
  if (format === undefined) return undefined;
  const { type, schema, retryCount = DEFAULT_RETRIES } = isRecord(format) ? format : {};
  if (type === 'text') return { type };
  if (type !== 'json_schema') {
    return badRequest(`Expected OutputFormat, got ${JSON.stringify(format)}\n  at ["format"]`, 'Payload');
  }
  if (!isRecord(schema)) {
    const got = JSON.stringify(schema);
    return badRequest(`Expected JSONSchema, got ${got}\n  at ["format"]["schema"]`, 'Payload');
  }
  return { type, schema, retryCount: retryCount as number };
}

/** Refuses an id that does not begin with its prefix. */
export function notAnID(prefix: string, name: string, got: unknown, kind: 'Payload' | 'Params'): Response {
  const message = `Expected a string starting with "${prefix}", got ${JSON.stringify(got)}\n  at ["${name}"]`;
  return badRequest(message, kind);
}

/** The text of a prompt: its text parts, joined by line breaks. */
export function textOf(parts: readonly PromptPartInput[]): string {
  return parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
