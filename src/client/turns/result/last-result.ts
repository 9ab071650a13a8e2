import { TurnError } from '../../../errors.js';
import type { RepoTransport } from '../../http/repo-transport.js';
import type { RequestOptions } from '../../http/request-options.js';
import type { StoredMessage } from '../../schema/message.js';
import { isAtWork, readStatuses } from '../../sessions/statuses.js';
import { evidenceOf } from './result.js';
import {
  answeredPromptOf,
  messagesBefore,
  readNewest,
  reachesBeyond,
  runningPromptOf,
} from './stored-turn.js';
import type { TurnResult } from './turn-result.js';
import { verdictOf, type TurnFacts } from './verdict.js';

/** A turn of which nothing more will come, and of which nothing is known but its messages. */
const LONG_OVER: TurnFacts = {
  quietMs: Number.POSITIVE_INFINITY,
  sessionError: undefined,
  isAborted: false,
  isDisposed: false,
  hadGap: false,
  sendError: undefined,
  isUnderWay: false,
};

/**
 * Reads the result of the last turn of a session that has ended; `undefined` when there is none.
 *
 * @throws {TurnError} when that turn ended without an answer.
 */
export async function readLastResult(
  transport: RepoTransport,
  sessionID: string,
  options?: RequestOptions,
): Promise<TurnResult | undefined> {
  const isBusy = isAtWork((await readStatuses(transport, options))[sessionID]);
  const ended = (messages: readonly StoredMessage[]): readonly StoredMessage[] => {
    const running = isBusy ? runningPromptOf(messages) : undefined;
    return running === undefined ? messages : messagesBefore(messages, running);
  };
  const isEnough = (messages: readonly StoredMessage[]): boolean =>
    reachesBeyond(messages, answeredPromptOf(ended(messages)));
  const messages = ended(await readNewest(transport, { sessionID }, isEnough, options));
  const messageID = answeredPromptOf(messages);
  if (messageID === undefined) return undefined;
  const verdict = verdictOf(evidenceOf(sessionID, messageID, messages), LONG_OVER);
  if (verdict.kind === 'answered') return verdict.result;
  const { reason, ...details } = verdict.kind === 'failed' ? verdict : ({ reason: 'unfinished' } as const);
  throw new TurnError({ ...details, reason, sessionID, messageID });
}
