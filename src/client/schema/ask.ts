import { z } from 'zod';

const toolCallSchema = z.looseObject({ messageID: z.string(), callID: z.string() });

export const permissionRequestSchema = z.looseObject({
  id: z.string(),
  sessionID: z.string(),
  permission: z.string(),
  patterns: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
  always: z.array(z.string()),
  tool: toolCallSchema.optional(),
});
/**
 * The server asks whether a tool may run: `permission` names what for (`bash`, `edit`, `external_directory`, …),
 * `patterns` what exactly, and `always` what an answer of `always` would allow from then on.
 */
export type PermissionRequest = z.infer<typeof permissionRequestSchema>;

export const permissionResponseSchema = z.strictObject({ reply: z.enum(['once', 'always', 'reject']) });
/** An answer to a permission request without a word to the model, see {@link PermissionReplyInput}. */
export type PermissionResponse = z.infer<typeof permissionResponseSchema>;

export const permissionReplyInputSchema = permissionResponseSchema.extend({ message: z.string().optional() });
/**
 * An answer to a permission request.
 *
 * - `once` allows this call; `always` also what the request names in `always`, until the instance is disposed.
 * - `reject` without `message` ends the turn and rejects every pending request of the session; with one the model reads it
 *   and goes on.
 */
export type PermissionReplyInput = z.infer<typeof permissionReplyInputSchema>;

export const questionRequestSchema = z.looseObject({
  id: z.string(),
  sessionID: z.string(),
  questions: z.array(
    z.looseObject({
      question: z.string(),
      header: z.string(),
      options: z.array(z.looseObject({ label: z.string(), description: z.string() })),
      multiple: z.boolean().optional(),
      custom: z.boolean().optional(),
    }),
  ),
  tool: toolCallSchema.optional(),
});
/** The model asks the user one or more questions. */
export type QuestionRequest = z.infer<typeof questionRequestSchema>;

export const questionReplyInputSchema = z.strictObject({ answers: z.array(z.array(z.string())) });
/** The answers to a question request: for each question the chosen labels, or free text. */
export type QuestionReplyInput = z.infer<typeof questionReplyInputSchema>;
