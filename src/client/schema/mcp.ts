import * as z from 'zod';
import { lazy } from '../../core/lazy.js';
import { wire } from './wire.js';

/**
 * How an MCP server is doing, a union on `status`. `needs_auth` asks for `authStart()` or `authenticate()`;
 * `needs_client_registration` for a `clientId` in its configuration.
 */
export type McpStatus =
  | { status: 'connected' }
  | { status: 'disabled' }
  | { status: 'failed'; error: string }
  | { status: 'needs_auth' }
  | { status: 'needs_client_registration'; error: string };
export const mcpStatusSchema = lazy(() => wire<McpStatus>(z.looseObject({ status: z.string() })));
export const mcpStatusMapSchema = lazy(() =>
  wire<Record<string, McpStatus>>(z.record(z.string(), mcpStatusSchema())),
);

/** Where to send the user to sign in. */
export interface McpAuthorization {
  authorizationUrl: string;
  oauthState: string;
}
export const mcpAuthorizationSchema = lazy(() =>
  wire<McpAuthorization>(z.looseObject({ authorizationUrl: z.string() })),
);

export const mcpAuthRemovedSchema = lazy(() => z.looseObject({}));

const timeoutSchema = lazy(() => z.number().int().positive().optional());

const localSchema = lazy(() =>
  z.strictObject({
    type: z.literal('local'),
    command: z.array(z.string()).min(1),
    cwd: z.string().optional(),
    environment: z.record(z.string(), z.string()).optional(),
    enabled: z.boolean().optional(),
    timeout: timeoutSchema(),
  }),
);

const remoteSchema = lazy(() =>
  z.strictObject({
    type: z.literal('remote'),
    url: z.string().min(1),
    enabled: z.boolean().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    oauth: z
      .union([
        z.literal(false),
        z.strictObject({
          clientId: z.string().optional(),
          clientSecret: z.string().optional(),
          scope: z.string().optional(),
          callbackPort: z.number().int().min(1).max(65_535).optional(),
          redirectUri: z.string().optional(),
        }),
      ])
      .optional(),
    timeout: timeoutSchema(),
  }),
);

export const addMcpInputSchema = lazy(() =>
  z.strictObject({
    name: z.string().min(1),
    config: z.discriminatedUnion('type', [localSchema(), remoteSchema()]),
  }),
);
/**
 * An MCP server, `local` (a command, which runs until the instance is disposed) or `remote` (a URL).
 *
 * - `config.timeout`: milliseconds for each request to it.
 * - `config.oauth`: `false` for a remote one that is never asked whether it wants a sign-in.
 *
 * @useDeclaredType
 */
export type AddMcpInput = z.infer<ReturnType<typeof addMcpInputSchema>>;

export const mcpAuthCallbackInputSchema = lazy(() => z.strictObject({ code: z.string().min(1) }));
/** The code that the sign-in page handed out. @useDeclaredType */
export type McpAuthCallbackInput = z.infer<ReturnType<typeof mcpAuthCallbackInputSchema>>;
