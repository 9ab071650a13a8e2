import * as z from 'zod';
import { lazy } from '../../../core/lazy.js';
import type { Logger } from '../../../core/logger.js';
import { sessionIDOf } from '../../events/event-stream.js';
import type { RepoTransport } from '../../http/repo-transport.js';
import type { OpenCodeEvent } from '../../schema/event.js';
import type { FailureDetails } from '../result/verdict.js';

/** Of a long answer, what is needed here. */
const configuredSchema = lazy(() => z.looseObject({ providers: z.array(z.looseObject({ id: z.string() })) }));

/** How long the server may take to say which providers it has. */
const LIMIT_MS = 5_000;
const MAX_NAMED = 10;
const MAX_ID_CHARS = 50;

/** What OpenCode 1.18.33 says when no provider, or not the one that was asked for, can be used. */
const NO_PROVIDER =
  /No providers are available|ProviderNoProvidersError|ProviderModelNotFoundError|Model not found/;
const REFUSED: ReadonlySet<number | undefined> = new Set([401, 403]);

/** Logs why the server asks the provider again, each time it says so. */
export function logRetry(
  event: OpenCodeEvent,
  { sessionID, logger }: { readonly sessionID: string; readonly logger: Logger },
): void {
  if (event.type !== 'session.status' || sessionIDOf(event) !== sessionID) return;
  const { status } = event.properties;
  if (status.type !== 'retry') return;
  const { attempt, message } = status;
  logger.warn('the model provider failed, the server asks it again', { sessionID, attempt, message });
}

/** The details of a failure, with what to do when the provider cannot be used. Never rejects. */
export async function withAdvice(
  failure: FailureDetails,
  transport: Pick<RepoTransport, 'send'>,
  signal: AbortSignal,
): Promise<FailureDetails> {
  const { serverError } = failure;
  if (serverError === undefined || !isUnusable(serverError)) return failure;
  return { ...failure, advice: await adviceFrom(transport, signal) };
}

async function adviceFrom(
  transport: Pick<RepoTransport, 'send'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const request = { method: 'GET', path: '/config/providers', schema: configuredSchema } as const;
  const options = { signal, timeoutMs: LIMIT_MS, retry: false } as const;
  const answer = await transport.send(request, options).catch(() => undefined);
  if (answer === undefined) return undefined;
  const ids = answer.providers.map(({ id }) => id.slice(0, MAX_ID_CHARS));
  if (ids.length === 0) {
    return (
      'No provider is configured: run `opencode auth login`, set the key of one in the environment of the server, ' +
      'or give one in the option `config`'
    );
  }
  const more = ids.length > MAX_NAMED ? ` and ${ids.length - MAX_NAMED} more` : '';
  return (
    `Configured providers: ${ids.slice(0, MAX_NAMED).join(', ')}${more}. Check the key of the one that was asked, ` +
    "or name a model of another one as 'provider/model'"
  );
}

/** The answer of the server was checked for the name alone. */
function isUnusable({ name, data }: { readonly name: string; readonly data?: unknown }): boolean {
  const { statusCode, message } = (data ?? {}) as {
    readonly statusCode?: number;
    readonly message?: unknown;
  };
  if (name === 'APIError') return REFUSED.has(statusCode);
  if (name === 'UnknownError') return typeof message === 'string' && NO_PROVIDER.test(message);
  return name === 'ProviderAuthError';
}
