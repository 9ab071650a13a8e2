import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import type { ShapeIssue } from '../../errors.js';
import type { AnswerFormat, JsonSchema } from '../schema/prompt.js';

/** The result of checking an answer. */
export type ParsedAnswer =
  { readonly value: unknown } | { readonly issues: readonly ShapeIssue[]; readonly cause?: unknown };

/** The format of a turn's answer, parsed. */
export interface ParsedFormat {
  /** The format as the server takes it. */
  readonly wire: {
    readonly type: 'json_schema';
    readonly schema: JsonSchema;
    readonly retryCount?: number | undefined;
  };
  /** Checks the object that the model gave; never rejects. */
  readonly parse: (structured: unknown) => Promise<ParsedAnswer>;
}

const formatSchema = lazy(() =>
  z.union([
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({
      type: z.literal('json_schema').optional(),
      schema: z.unknown(),
      retryCount: z.number().int().nonnegative().optional(),
    }),
  ]),
);

const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
const subschema: () => z.ZodType = lazy(() => z.lazy(() => z.union([z.boolean(), jsonSchemaSchema()])));
const subschemas = lazy(() => z.record(z.string(), subschema()).optional());
const alternatives = lazy(() => z.array(subschema()).min(1).optional());
/** The keywords that hold other schemas, and those whose shape providers rely on. */
const jsonSchemaSchema = lazy(() =>
  z.looseObject({
    type: z.union([z.enum(TYPES), z.array(z.enum(TYPES)).min(1)]).optional(),
    properties: subschemas(),
    patternProperties: subschemas(),
    $defs: subschemas(),
    definitions: subschemas(),
    additionalProperties: subschema().optional(),
    items: z.union([subschema(), z.array(subschema())]).optional(),
    prefixItems: alternatives(),
    anyOf: alternatives(),
    oneOf: alternatives(),
    allOf: alternatives(),
    not: subschema().optional(),
    enum: z.array(z.unknown()).min(1).optional(),
    required: z.array(z.string()).optional(),
    $ref: z.string().optional(),
  }),
);

/**
 * Reads the format of a prompt; `undefined` for one that asks for text.
 *
 * @throws {TypeError} if the format or its schema is invalid, or if no answer of a model can match the schema.
 */
export function parseFormat(format: AnswerFormat | undefined): ParsedFormat | undefined {
  if (format === undefined) return undefined;
  const parsed = formatSchema().safeParse(format);
  if (!parsed.success) throw invalid(EXPECTED_FORMAT);
  if (parsed.data.type === 'text') return undefined;
  const { schema, retryCount } = parsed.data;
  const isZod = isZodSchema(schema);
  const json = isZod ? toJsonSchema(schema) : parseJsonSchema(schema);
  // The model gives the answer as the input of a tool, which is always an object.
  if (json['type'] !== undefined && json['type'] !== 'object') {
    throw invalid(`the schema must describe an object, not ${JSON.stringify(json['type'])}`);
  }
  return {
    wire: { type: 'json_schema', schema: json, ...(retryCount !== undefined && { retryCount }) },
    parse: async (structured) => {
      if (structured === undefined) return { issues: [{ path: '', message: 'the model gave no object' }] };
      return isZod ? validate(schema, structured) : { value: structured };
    },
  };
}

const EXPECTED_FORMAT =
  "expected { schema, retryCount? } with a zod 4 schema or a JSON schema, or { type: 'json_schema', schema, retryCount? }";

function invalid(what: string, options?: ErrorOptions): TypeError {
  return new TypeError(`Invalid format of a prompt: ${what}.`, options);
}

function isZodSchema(schema: unknown): schema is z.core.$ZodType {
  return typeof schema === 'object' && schema !== null && '_zod' in schema;
}

function toJsonSchema(schema: z.core.$ZodType): JsonSchema {
  try {
    // The model gives the input of the schema; its output is the result.
    return { ...z.toJSONSchema(schema, { io: 'input' }) };
  } catch (cause) {
    throw invalid(`the zod schema has no JSON schema (${messageOf(cause)})`, { cause });
  }
}

function parseJsonSchema(schema: unknown): JsonSchema {
  if (typeof schema !== 'object' || schema === null || '~standard' in schema || '_def' in schema) {
    throw invalid(EXPECTED_FORMAT);
  }
  try {
    // Takes the JSON that is sent. A circular object has none; a recursive schema uses `$ref`.
    const json: unknown = JSON.parse(JSON.stringify(schema));
    const parsed = jsonSchemaSchema().safeParse(json);
    if (parsed.success) return json as JsonSchema;
    const { path = [], message = '' } = parsed.error.issues[0] ?? {};
    throw new TypeError(`${path.join('.') || 'it'}: ${message}`);
  } catch (cause) {
    throw invalid(`the schema is no JSON schema (${messageOf(cause)})`, { cause });
  }
}

async function validate(schema: z.core.$ZodType, structured: unknown): Promise<ParsedAnswer> {
  try {
    const parsed = await z.safeParseAsync(schema, structured);
    if (parsed.success) return { value: parsed.data };
    const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
    return { issues, cause: parsed.error };
  } catch (cause) {
    // A check in the caller's schema threw.
    return { issues: [{ path: '', message: messageOf(cause) }], cause };
  }
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]?.slice(0, 200) ?? '';
}
