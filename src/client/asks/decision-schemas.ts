import * as z from 'zod';
import type { PermissionDecision, QuestionDecision } from './policy.js';

const denialSchema = z.looseObject({ deny: z.string().regex(/\S/) });

/** The shape of a {@link PermissionDecision}, e.g. to check one that comes from a page. */
export const permissionDecisionSchema: z.ZodType<PermissionDecision> = z.union([
  z.enum(['allow', 'always', 'deny', 'stop']),
  denialSchema,
]);

/** The shape of a {@link QuestionDecision}. Whether it answers as many questions as were asked, the call that sends it checks. */
export const questionDecisionSchema: z.ZodType<QuestionDecision> = z.union([
  z.enum(['deny', 'stop']),
  denialSchema,
  z.looseObject({ answers: z.array(z.array(z.string())) }),
]);
