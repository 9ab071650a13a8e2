import { TurnError } from '../../errors.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import type { AssistantMessage, StoredMessage } from '../schema/message.js';
import type { ModelRef } from '../schema/model.js';
import { booleanSchema } from '../schema/server.js';
import { readMessagePage } from './messages.js';
import { reasonOf, textOf } from '../turns/result/result.js';

/**
 * How many messages to look back for a summary that was just made: a turn that went on by itself adds messages after
 * it.
 */
const MAX_LATER = 32;

/**
 * Has a model summarize a session, and makes sure that it did: OpenCode 1.18.33 answers `true` also when the provider
 * refused, and would then let the next prompt make the summary instead of answering it. An empty summary would take the
 * place of the whole history. This deletes a failed attempt, so that the session is as before.
 *
 * @throws {TurnError} when there is no summary.
 */
export async function summarizeSession(
  transport: RepoTransport,
  sessionID: string,
  json: ModelRef & { readonly auto?: boolean },
  options?: RequestOptions,
): Promise<void> {
  const path = route`/session/${sessionID}/summarize`;
  const unlimited = { timeoutMs: false, ...options } as const;
  await transport.send({ method: 'POST', path, json, schema: booleanSchema }, unlimited);
  const { items } = await readMessagePage(transport, { sessionID, limit: MAX_LATER }, options);
  const request = items.findLast(isRequest);
  const messageID = request?.info.id ?? '';
  const summary = items.findLast((message) => isSummaryOf(messageID, message));
  const failure = failureOf(summary);
  if (failure === undefined) return;
  for (const message of [request, summary]) {
    if (message === undefined) continue;
    const messagePath = route`/session/${sessionID}/message/${message.info.id}`;
    const deletion = { method: 'DELETE', path: messagePath, schema: booleanSchema } as const;
    // While somebody else's prompt runs, the server refuses the deletion; that prompt then fails as not answered.
    await transport.send(deletion, options).catch(() => undefined);
  }
  throw new TurnError({ sessionID, messageID, ...failure });
}

function failureOf(
  summary: StoredMessage | undefined,
): Pick<ConstructorParameters<typeof TurnError>[0], 'reason' | 'serverError' | 'detail'> | undefined {
  if (summary === undefined) return { reason: 'failed', detail: 'no summary was stored' };
  const { error } = summary.info as AssistantMessage;
  if (error !== undefined) return { reason: reasonOf(error, false), serverError: error };
  if (textOf(summary.parts).trim() === '') return { reason: 'failed', detail: 'the summary is empty' };
  return undefined;
}

function isRequest({ parts }: StoredMessage): boolean {
  return parts.some((part) => part.type === 'compaction');
}

function isSummaryOf(messageID: string, { info }: StoredMessage): boolean {
  return info.role === 'assistant' && info.summary === true && info.parentID === messageID;
}
