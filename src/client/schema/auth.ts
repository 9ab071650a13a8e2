import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/** Credentials of a provider, a union on `type`: an API key, an OAuth grant, or a token of a well-known endpoint. */
export type AuthInput =
  | {
      /** An API key. */
      type: 'api';
      key: string;
      /** What else the provider needs to know, e.g. the name of a resource. */
      metadata?: Record<string, string>;
    }
  | {
      /** What a sign-in gave. */
      type: 'oauth';
      /** The token that gets new access tokens. */
      refresh: string;
      /** The token of the requests. */
      access: string;
      /** Epoch milliseconds. */
      expires: number;
      /** The provider's id of the account. */
      accountId?: string;
      /** URL of a GitHub Enterprise server, for Copilot. */
      enterpriseUrl?: string;
    }
  | {
      /** A token of an organisation that announces itself at `/.well-known/opencode`. */
      type: 'wellknown';
      /** Name of the environment variable that its configuration reads the token from. */
      key: string;
      token: string;
    };

export const authInputSchema = lazy(() =>
  wire<AuthInput>(
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
  ),
);
