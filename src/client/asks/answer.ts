import { delay } from '../../core/abort.js';
import { isPermanent } from '../../errors.js';
import type { Logger } from '../../core/logger.js';
import { decide, type ParsedPolicy } from './policy.js';
import type { Ask, AskOutcome } from './reply.js';

/** How often, and with which first pause, a decision is sent. */
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 200;

/** What is needed to answer an ask by a policy. */
export interface AnswerInit<Request, Decision> {
  readonly ask: Ask;
  readonly request: Request;
  /** @throws {TypeError} for what is no decision on the request. */
  readonly parse: (name: string, value: unknown) => Decision;
  readonly reply: (decision: Decision) => Promise<AskOutcome>;
  /** Aborts when no answer is needed any more. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/**
 * Has a policy decide, once, and sends the decision until it arrives. Never rejects.
 *
 * @returns `false` when the ask is left to others: the policy says so, or the decision cannot be sent.
 */
export async function answerBy<Request, Decision>(
  policy: ParsedPolicy<Request, Decision>,
  init: AnswerInit<Request, Decision>,
): Promise<boolean> {
  const { ask, request, parse, reply, signal, logger } = init;
  const { id: requestID, sessionID } = ask.request;
  const failed = (what: string, error: unknown): void =>
    logger.warn(what, { sessionID, requestID, error: String(error) });
  const decided = await decide(
    policy,
    request,
    { directory: ask.directory, signal },
    (value) => parse('the decision', value),
    (error) => failed('policy failed, its default decides', error),
  );
  if (decided === undefined) return true;
  if (decided === 'ask') return false;
  let decision = decided as Decision;
  let pauseMs = FIRST_PAUSE_MS;
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      await reply(decision);
      return true;
    } catch (error) {
      if (signal.aborted) break;
      failed('decision not sent', error);
      if (attempt === ATTEMPTS || isPermanent(error)) return false;
      // A fixed answer that does not fit this request.
      if (error instanceof TypeError) decision = parse('the decision', 'deny');
      else await delay(pauseMs, signal).catch(() => undefined);
      pauseMs *= 2;
    }
  }
  return true;
}
