import { z } from 'zod';

/** Token counts of a message, a session or a turn. */
export const tokensSchema = z.looseObject({
  total: z.number().optional(),
  input: z.number(),
  output: z.number(),
  reasoning: z.number(),
  cache: z.looseObject({ read: z.number(), write: z.number() }),
});
export type Tokens = z.infer<typeof tokensSchema>;

/** One rule of a session's permission list; the last matching rule wins on the server. */
export const permissionRuleSchema = z.looseObject({
  permission: z.string(),
  pattern: z.string(),
  action: z.string() as z.ZodType<'allow' | 'deny' | 'ask'>,
});
export type PermissionRule = z.infer<typeof permissionRuleSchema>;

/** A session as the server sends it. `time.*` are epoch milliseconds; `directory` is the one it belongs to for good. */
export const sessionSchema = z.looseObject({
  id: z.string(),
  slug: z.string().optional(),
  projectID: z.string(),
  directory: z.string(),
  path: z.string().optional(),
  parentID: z.string().optional(),
  title: z.string(),
  version: z.string(),
  time: z.looseObject({
    created: z.number(),
    updated: z.number(),
    compacting: z.number().optional(),
    archived: z.number().optional(),
  }),
  cost: z.number().optional(),
  tokens: tokensSchema.optional(),
  agent: z.string().optional(),
  model: z.looseObject({ id: z.string(), providerID: z.string(), variant: z.string().optional() }).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  permission: z.array(permissionRuleSchema).optional(),
  share: z.looseObject({ url: z.string() }).optional(),
  revert: z
    .looseObject({
      messageID: z.string(),
      partID: z.string().optional(),
      snapshot: z.string().optional(),
      diff: z.string().optional(),
    })
    .optional(),
});
export type SessionInfo = z.infer<typeof sessionSchema>;

export const sessionListSchema = z.array(sessionSchema);

/** What a session is doing. A session that is idle is absent from the status map. */
export type SessionStatus =
  | { readonly type: 'idle' }
  | { readonly type: 'busy' }
  | {
      readonly type: 'retry';
      readonly attempt: number;
      readonly message: string;
      /** When the provider is asked again, epoch milliseconds. */
      readonly next: number;
    };

/** A status of a type this library does not know is passed through: it is not idle, and that is what counts. */
export const sessionStatusSchema = z.looseObject({ type: z.string() }) as unknown as z.ZodType<SessionStatus>;

/** The sessions of one directory that are not idle, by session id. */
export const sessionStatusMapSchema = z.record(z.string(), sessionStatusSchema);
