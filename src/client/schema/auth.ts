import * as z from 'zod';
import { wire } from './wire.js';

/** Credentials of a provider, a union on `type`: an API key, an OAuth grant, or a token of a well-known endpoint. */
export type AuthInput =
  | { type: 'api'; key: string; metadata?: Record<string, string> }
  | {
      type: 'oauth';
      refresh: string;
      access: string;
      /** Epoch milliseconds. */
      expires: number;
      accountId?: string;
      enterpriseUrl?: string;
    }
  | { type: 'wellknown'; key: string; token: string };

export const authInputSchema = wire<AuthInput>(
  z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('api'),
      key: z.string().min(1),
      metadata: z.record(z.string(), z.string()).optional(),
    }),
    z.strictObject({
      type: z.literal('oauth'),
      refresh: z.string(),
      access: z.string(),
      expires: z.number(),
      accountId: z.string().optional(),
      enterpriseUrl: z.string().optional(),
    }),
    z.strictObject({ type: z.literal('wellknown'), key: z.string().min(1), token: z.string().min(1) }),
  ]),
);
