import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/**
 * The server asks whether a tool may run: `permission` names what for (`bash`, `edit`, `external_directory`, …),
 * `patterns` what exactly, and `always` what an answer of `always` would allow from then on.
 */
export interface PermissionRequest {
  id: string;
  sessionID: string;
  permission: string;
  patterns: string[];
  metadata: Record<string, unknown>;
  always: string[];
  tool?: { messageID: string; callID: string };
}
export const permissionRequestSchema = lazy(() =>
  wire<PermissionRequest>(z.looseObject({ id: z.string(), sessionID: z.string(), permission: z.string() })),
);

export const permissionResponseSchema = lazy(() =>
  z.strictObject({ reply: z.enum(['once', 'always', 'reject']) }),
);
/** An answer to a permission request without a word to the model, see {@link PermissionReplyInput}. @useDeclaredType */
export type PermissionResponse = z.infer<ReturnType<typeof permissionResponseSchema>>;

export const permissionReplyInputSchema = lazy(() =>
  permissionResponseSchema().extend({ message: z.string().optional() }),
);
/**
 * An answer to a permission request.
 *
 * - `once` allows this call; `always` also what the request names in `always`, until the instance is disposed.
 * - `reject` without `message` ends the turn and rejects every pending request of the session; with one the model reads it
 *   and goes on.
 *
 * @useDeclaredType
 */
export type PermissionReplyInput = z.infer<ReturnType<typeof permissionReplyInputSchema>>;

/** The model asks the user one or more questions. */
export interface QuestionRequest {
  id: string;
  sessionID: string;
  questions: {
    question: string;
    header: string;
    options: { label: string; description: string }[];
    /** Whether several options may be chosen. */
    multiple?: boolean;
    /** Whether an answer of one's own is welcome. */
    custom?: boolean;
  }[];
  tool?: { messageID: string; callID: string };
}
export const questionRequestSchema = lazy(() =>
  wire<QuestionRequest>(
    z.looseObject({ id: z.string(), sessionID: z.string(), questions: z.array(z.looseObject({})) }),
  ),
);

export const permissionListSchema = lazy(() => z.array(permissionRequestSchema()));
export const questionListSchema = lazy(() => z.array(questionRequestSchema()));

export const questionReplyInputSchema = lazy(() => z.strictObject({ answers: z.array(z.array(z.string())) }));
/** The answers to a question request: for each question the chosen labels, or free text. @useDeclaredType */
export type QuestionReplyInput = z.infer<ReturnType<typeof questionReplyInputSchema>>;
