import type { Logger } from '../../core/logger.js';
import { attemptRepeatedly, OWN_REQUEST } from './attempts.js';
import { ASK_KINDS, type AnswerableAsk, type DecisionOf, type RequestOf } from './kinds.js';
import { decide, type ParsedPolicy } from './policy.js';
import type { AskKind } from './reply.js';

/** What is needed to answer an ask by a policy. */
export interface AnswerInit<K extends AskKind> {
  readonly ask: AnswerableAsk<K>;
  /** Aborts when no answer is needed any more. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/**
 * Has a policy decide, once, and sends the decision until it arrives. Never rejects.
 *
 * @returns `false` when the ask is left to others: the policy says so, or the decision cannot be sent.
 */
export async function answerBy<K extends AskKind>(
  kind: K,
  policy: ParsedPolicy<RequestOf<K>, DecisionOf<K>>,
  { ask, signal, logger }: AnswerInit<K>,
): Promise<boolean> {
  const { id: requestID, sessionID } = ask.request;
  const parse = (value: unknown): DecisionOf<K> => ASK_KINDS[kind].parse('the decision', value, ask.request);
  const failed = (what: string, error: unknown): void =>
    logger.warn(what, { sessionID, requestID, error: String(error) });
  const decided = await decide(policy, ask.request, { directory: ask.directory, signal }, parse, (error) =>
    failed('policy failed, its default decides', error),
  );
  if (decided === undefined || signal.aborted) return true;
  if (decided === 'ask') return false;
  let decision: DecisionOf<K>;
  try {
    decision = parse(decided);
  } catch (error) {
    // A fixed answer that does not fit this request.
    failed('decision not sent', error);
    decision = parse('deny');
  }
  const isSent = await attemptRepeatedly(() => ask.reply(decision, OWN_REQUEST), {
    signal,
    onFailure: (error) => failed('decision not sent', error),
  });
  return isSent || signal.aborted;
}
