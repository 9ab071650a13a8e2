import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import type { PermissionRule, Tokens } from '../schema/session.js';
import { wire } from '../schema/wire.js';

// What OpenCode 2.0.14 sends, as far as it is read here.

/** A session. `time.*` are epoch milliseconds. */
export interface WireSession {
  readonly id: string;
  readonly parentID?: string;
  readonly projectID: string;
  readonly agent?: string;
  readonly model?: StepModel;
  readonly cost?: number;
  readonly tokens?: Tokens;
  readonly time: { readonly created: number; readonly updated: number; readonly archived?: number };
  readonly title?: string;
  readonly subpath?: string;
  readonly metadata?: Record<string, unknown>;
  readonly permissions?: readonly WireRule[];
  readonly location: { readonly directory: string };
}

export interface StepModel {
  readonly id: string;
  readonly providerID: string;
  readonly variant?: string;
}

export interface WireRule {
  readonly action: string;
  readonly resource: string;
  readonly effect: PermissionRule['action'];
}

const sessionInfoSchema = lazy(() =>
  z.looseObject({
    id: z.string(),
    location: z.looseObject({ directory: z.string() }),
    time: z.looseObject({ created: z.number(), updated: z.number() }),
  }),
);
export const sessionSchema = lazy(() =>
  wire<{ data: WireSession }>(z.looseObject({ data: sessionInfoSchema() })),
);
const cursorSchema = lazy(() => z.looseObject({ next: z.string().nullish() }));
export const sessionPageSchema = lazy(() =>
  wire<{ data: WireSession[]; cursor: { next?: string | null } }>(
    z.looseObject({ data: z.array(sessionInfoSchema()), cursor: cursorSchema() }),
  ),
);

/** An error of a step or of an execution. */
export interface StepError {
  readonly type: string;
  readonly message: string;
  /** The HTTP status of the model's provider. */
  readonly status?: number;
}

/** What a tool has put out. */
export type ToolContent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'file'; readonly uri?: string; readonly mime?: string; readonly name?: string };

/** Where a tool call is, a union on `status`. */
export type StepToolState =
  | { readonly status: 'streaming'; readonly input: string }
  | {
      readonly status: 'running';
      readonly input: Record<string, unknown>;
      readonly metadata?: Record<string, unknown>;
    }
  | {
      readonly status: 'completed';
      readonly input: Record<string, unknown>;
      readonly content: readonly ToolContent[];
      readonly metadata?: Record<string, unknown>;
    }
  | {
      readonly status: 'error';
      readonly input: Record<string, unknown>;
      readonly error: StepError;
      readonly metadata?: Record<string, unknown>;
    };

/** A call of a tool in a step. */
export interface StepTool {
  readonly type: 'tool';
  /** Id of the call. */
  readonly id: string;
  readonly name: string;
  readonly state: StepToolState;
  readonly time: { readonly created: number; readonly ran?: number; readonly completed?: number };
}

/** A piece of what the model answered in one step, a union on `type`. */
export type StepContent =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'reasoning';
      readonly text: string;
      readonly time?: { readonly created: number; readonly completed?: number };
    }
  | StepTool;

interface EntryBase {
  readonly id: string;
  readonly time: { readonly created: number };
}

/** A prompt. */
export interface UserEntry extends EntryBase {
  readonly type: 'user';
  readonly text: string;
  readonly files?: readonly {
    readonly data: string;
    readonly mime: string;
    readonly source: { readonly type: 'inline' } | { readonly type: 'uri'; readonly uri: string };
    readonly name?: string;
  }[];
  readonly agents?: readonly { readonly name: string }[];
}

/** What the model answered in one step. It is unfinished as long as `time.completed` is absent. */
export interface StepEntry extends EntryBase {
  readonly type: 'assistant';
  readonly time: { readonly created: number; readonly streamed?: number; readonly completed?: number };
  readonly agent: string;
  readonly model: StepModel;
  readonly content: readonly StepContent[];
  readonly finish?: string;
  readonly cost?: number;
  readonly tokens?: Tokens;
  readonly error?: StepError;
}

/** The end of an execution. */
export interface IdleEntry extends EntryBase {
  readonly type: 'idle';
  readonly outcome: 'succeeded' | 'failed' | 'interrupted';
}

/** Anything else in a session's history, e.g. a switch of its model, as the server sends it. */
export interface OtherEntry extends EntryBase {
  readonly type:
    | 'agent-switched'
    | 'model-switched'
    | 'location-switched'
    | 'synthetic'
    | 'system'
    | 'skill'
    | 'shell'
    | 'compaction';
}

/** One entry of the history of a session on OpenCode 2, a union on `type`. It has one assistant entry for each step. */
export type SessionEntry = UserEntry | StepEntry | IdleEntry | OtherEntry;

/** Checks what the content of each known type is read for; others pass. */
const contentSchema = lazy(() =>
  z.looseObject({ type: z.string() }).refine(
    ({ type, ...content }) => {
      if (type === 'text' || type === 'reasoning') return typeof content['text'] === 'string';
      return type !== 'tool' || toolSchema().safeParse(content).success;
    },
    { error: 'Invalid input: content of an unknown shape' },
  ),
);
const toolSchema = lazy(() =>
  z.looseObject({
    id: z.string(),
    name: z.string(),
    state: z.union([
      z.looseObject({
        status: z.literal('completed'),
        content: z.array(z.looseObject({ type: z.string() })),
      }),
      z.looseObject({ status: z.literal('error'), error: z.looseObject({ message: z.string() }) }),
      z.looseObject({ status: z.string().refine((status) => status !== 'completed' && status !== 'error') }),
    ]),
    time: z.looseObject({ created: z.number() }),
  }),
);

const entrySchema = lazy(() => {
  const base = { id: z.string(), time: z.looseObject({ created: z.number() }) };
  return z.union([
    z.looseObject({ ...base, type: z.literal('user'), text: z.string() }),
    z.looseObject({
      ...base,
      type: z.literal('assistant'),
      agent: z.string(),
      model: z.looseObject({ id: z.string(), providerID: z.string() }),
      content: z.array(contentSchema()),
    }),
    z.looseObject({ ...base, type: z.string().refine((type) => type !== 'user' && type !== 'assistant') }),
  ]);
});
export const entryListSchema = lazy(() => wire<SessionEntry[]>(z.array(entrySchema())));
export const entryResponseSchema = lazy(() =>
  wire<{ data: SessionEntry }>(z.looseObject({ data: entrySchema() })),
);
export const entryPageSchema = lazy(() =>
  wire<{ data: SessionEntry[]; cursor: { next?: string | null } }>(
    z.looseObject({ data: z.array(entrySchema()), cursor: cursorSchema() }),
  ),
);

/** A permission request. */
export interface WirePermissionRequest {
  readonly id: string;
  readonly sessionID: string;
  readonly action: string;
  readonly resources: readonly string[];
  readonly save?: readonly string[];
  readonly metadata?: Record<string, unknown>;
  readonly source?: { readonly type: string; readonly messageID: string; readonly id: string };
  readonly message?: string;
}
const permissionRequestSchema = lazy(() =>
  z.looseObject({
    id: z.string(),
    sessionID: z.string(),
    action: z.string(),
    resources: z.array(z.string()),
  }),
);
export const permissionListSchema = lazy(() =>
  wire<{ data: WirePermissionRequest[] }>(z.looseObject({ data: z.array(permissionRequestSchema()) })),
);

/** One field of a form. */
export interface FormField {
  readonly key: string;
  readonly title?: string;
  readonly description?: string;
  readonly type: 'string' | 'number' | 'integer' | 'boolean' | 'multiselect' | 'external';
  readonly options?: readonly {
    readonly value: string;
    readonly label: string;
    readonly description?: string;
  }[];
  readonly custom?: boolean;
  readonly url?: string;
}

/** A form that waits for its answer; the questions of a model are one. */
export interface Form {
  readonly id: string;
  readonly sessionID: string;
  readonly title?: string;
  readonly metadata?: {
    readonly kind?: string;
    readonly tool?: { readonly messageID: string; readonly id: string };
  };
  readonly fields: readonly FormField[];
}
const formSchema = lazy(() =>
  z.looseObject({
    id: z.string(),
    sessionID: z.string(),
    fields: z.array(z.looseObject({ key: z.string(), type: z.string() })),
  }),
);
export const formListSchema = lazy(() =>
  wire<{ data: Form[] }>(z.looseObject({ data: z.array(formSchema()) })),
);

/** One event, as its frame carries it. */
export interface WireEvent {
  readonly id: string;
  readonly type: string;
  readonly created?: number;
  readonly location?: { readonly directory: string };
  readonly data: Readonly<Record<string, unknown>>;
}
