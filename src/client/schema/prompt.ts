import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { modelSchema, type ChosenModel, type ModelInput } from './model.js';

export type { ChosenModel, ModelInput, ModelRef } from './model.js';

/** Where a variant cannot be chosen. */
function refOf({ providerID, modelID }: ChosenModel) {
  return { providerID, modelID };
}

const textInputSchema = lazy(() => z.strictObject({ type: z.literal('text'), text: z.string() }));
const fileInputSchema = lazy(() =>
  z.strictObject({
    type: z.literal('file'),
    mime: z.string().min(1),
    // OpenCode 1.18.33 fails the turn on any other.
    url: z.string().refine((url) => URL.canParse(url), { error: 'expected an absolute URL' }),
    filename: z.string().optional(),
  }),
);
const agentInputSchema = lazy(() => z.strictObject({ type: z.literal('agent'), name: z.string().min(1) }));
const subtaskInputSchema = lazy(() =>
  z.strictObject({
    type: z.literal('subtask'),
    prompt: z.string(),
    description: z.string(),
    agent: z.string().min(1),
  }),
);

/** A JSON schema, as JSON. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The object that is asked for as the answer, by its schema. It must describe an object. OpenCode 1.18.33 gives the model a
 * tool that takes it, so `tools: { '*': false }` takes that away too.
 */
export interface ObjectFormat<S> {
  readonly type?: 'json_schema' | undefined;
  readonly schema: S;
  /** How often the model may try again. @default the server's, 2 in OpenCode 1.18.33 */
  readonly retryCount?: number | undefined;
}

/** An object by a zod 4 schema: the answer is validated, and `result.structured` is what the schema makes of it. */
export type ZodFormat<T> = ObjectFormat<z.core.$ZodType<T>>;

/**
 * What the answer of a turn is to be: an object, by a zod 4 schema or by a JSON schema, or text. By a JSON schema the answer
 * is what the model gave: neither OpenCode 1.18.33 nor this library validates it.
 */
export type AnswerFormat = { readonly type: 'text' } | ZodFormat<unknown> | ObjectFormat<JsonSchema>;

const promptPartInputSchema = lazy(() =>
  z.discriminatedUnion('type', [
    textInputSchema(),
    fileInputSchema(),
    agentInputSchema(),
    subtaskInputSchema(),
  ]),
);
/**
 * One piece of a prompt, a union on `type`: `text`, `file` (a `data:` URL, or a `file:` URL that the server reads on its
 * own disk, also outside the repository and without asking; `filePart()` makes one on Node), `agent` (mention an agent by name) or `subtask` (run one
 * in a child session).
 *
 * @useDeclaredType
 */
export type PromptPartInput = z.infer<ReturnType<typeof promptPartInputSchema>>;

export const promptInputSchema = lazy(() =>
  z.strictObject({
    parts: z.array(promptPartInputSchema()).min(1),
    model: modelSchema().optional(),
    agent: z.string().min(1).optional(),
    system: z.string().optional(),
    tools: z.record(z.string(), z.boolean()).optional(),
    variant: z.string().optional(),
    // Checked where it is turned into what the server takes.
    format: z.custom<AnswerFormat>().optional(),
  }),
);
/**
 * A prompt with everything the server accepts.
 *
 * - `model`, `agent`, `variant`: for this turn; the session's own otherwise, as they were before the first prompt of this client
 *   that named others. OpenCode 1.18.33 alone would keep the model for later prompts, and run them as `build`.
 * - `system`: appended to the system prompt for this message.
 * - `tools`: `{ bash: false }` takes a tool away. The server writes it into the session's permission list, so it also
 *   holds for later turns.
 * - `format`: asks for an object as the answer, found in `result.structured`.
 *
 * @useDeclaredType
 */
export type PromptInput = z.input<ReturnType<typeof promptInputSchema>>;
/** A prompt whose model is written in one way. */
export type ParsedPrompt = z.output<ReturnType<typeof promptInputSchema>>;

export const contextInputSchema = lazy(() => promptInputSchema().omit({ format: true }));

export const createSessionInputSchema = lazy(() =>
  z.strictObject({
    title: z.string().optional(),
    parentID: z.string().optional(),
    agent: z.string().optional(),
    model: modelSchema()
      .transform(({ modelID: id, ...rest }) => ({ id, ...rest }))
      .optional(),
    metadata: z.record(z.string(), z.unknown()).optional(),
    permission: z
      .array(
        z.strictObject({
          permission: z.string(),
          pattern: z.string(),
          action: z.enum(['allow', 'deny', 'ask']),
        }),
      )
      .optional(),
  }),
);
/** What a new session starts with; everything is optional. @useDeclaredType */
export type CreateSessionInput = z.input<ReturnType<typeof createSessionInputSchema>>;

export const listSessionsInputSchema = lazy(() =>
  z.strictObject({
    roots: z.boolean().optional(),
    start: z.number().int().nonnegative().optional(),
    search: z.string().optional(),
    path: z.string().optional(),
    limit: z.number().int().positive().optional(),
  }),
);
/**
 * Filters of a session list.
 *
 * - `roots`: leave out child sessions.
 * - `start`: updated at or after this time, epoch milliseconds.
 * - `search`: text in the title, case-insensitive.
 * - `path`: of this path within the project, as `info.path` shows it.
 * - `limit`: at most this many, newest updated first; 100 by default.
 *
 * @useDeclaredType
 */
export type ListSessionsInput = z.infer<ReturnType<typeof listSessionsInputSchema>>;

export const listMessagesInputSchema = lazy(() =>
  z.strictObject({
    limit: z.number().int().positive().optional(),
    before: z.string().min(1).optional(),
  }),
);
/**
 * Which messages to list. `limit` keeps the newest ones, and is the page size when the list is iterated; all by default.
 * `before` is the cursor of an earlier page.
 *
 * @useDeclaredType
 */
export type ListMessagesInput = z.infer<ReturnType<typeof listMessagesInputSchema>>;

export const commandInputSchema = lazy(() =>
  z.strictObject({
    command: z.string().min(1),
    arguments: z.string().optional(),
    agent: z.string().min(1).optional(),
    model: modelSchema().optional(),
    variant: z.string().optional(),
    parts: z.array(fileInputSchema()).optional(),
  }),
);
/** A command by its name without the slash, and the text that replaces its `$ARGUMENTS`. @useDeclaredType */
export type CommandInput = z.input<ReturnType<typeof commandInputSchema>>;

export const shellInputSchema = lazy(() =>
  z.strictObject({
    command: z.string().min(1),
    agent: z.string().min(1).optional(),
    model: modelSchema().transform(refOf).optional(),
  }),
);
/** A command line for the server's shell, and the agent in whose name it is recorded: by default the session's. @useDeclaredType */
export type ShellInput = z.input<ReturnType<typeof shellInputSchema>>;

export const initInputSchema = lazy(() => modelSchema().transform(refOf));
/** The model that writes `AGENTS.md`. */
export type InitInput = ModelInput;

const autoSchema = lazy(() => z.boolean().optional());
export const summarizeInputSchema = lazy(() =>
  z.unknown().transform((input, context) => {
    const { auto, ...model } =
      typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : { auto: undefined };
    const parsed = z
      .object({ model: modelSchema().transform(refOf), auto: autoSchema() })
      .safeParse({ model: typeof input === 'string' ? input : model, auto });
    if (parsed.success)
      return { ...parsed.data.model, ...(parsed.data.auto !== undefined && { auto: parsed.data.auto }) };
    for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }),
);
/** The model that summarizes. `auto` marks it as not asked for by the user. */
export type SummarizeInput = string | (Exclude<ModelInput, string> & { readonly auto?: boolean | undefined });

export const updateSessionInputSchema = lazy(() =>
  z.strictObject({
    title: z.string().optional(),
    metadata: z.record(z.string(), z.unknown()).optional(),
    permission: createSessionInputSchema().shape.permission,
    time: z.strictObject({ archived: z.number().optional() }).optional(),
  }),
);
/**
 * What to change of a session. `permission` rules are appended to those it has; `time.archived`, epoch milliseconds, marks
 * it as archived, which does not take it off the list.
 *
 * @useDeclaredType
 */
export type UpdateSessionInput = z.infer<ReturnType<typeof updateSessionInputSchema>>;

export const forkInputSchema = lazy(() => z.strictObject({ messageID: z.string().min(1).optional() }));
/** Where the copy ends: before this message. The whole session by default. @useDeclaredType */
export type ForkInput = z.infer<ReturnType<typeof forkInputSchema>>;

export const revertInputSchema = lazy(() =>
  z.strictObject({
    messageID: z.string().min(1),
    partID: z.string().min(1).optional(),
  }),
);
/** The message, or the part of it, to go back to. @useDeclaredType */
export type RevertInput = z.infer<ReturnType<typeof revertInputSchema>>;

export const diffInputSchema = lazy(() => z.strictObject({ messageID: z.string().min(1).optional() }));
/** The user message whose changes to show. Without it OpenCode 1.18.33 answers an empty list. @useDeclaredType */
export type DiffInput = z.infer<ReturnType<typeof diffInputSchema>>;
