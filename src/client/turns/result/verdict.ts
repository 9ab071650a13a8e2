import type { ConnectionError, ShapeIssue, TimeoutError, TurnErrorReason } from '../../../errors.js';
import type { ServerErrorInfo } from '../../schema/message.js';
import { isBetweenCalls, reasonOf, type TurnEvidence } from './result.js';
import type { TurnResult } from './turn-result.js';

/** How soon to look again when the stored messages are not final yet. */
export const RECHECK_MS = 250;
/** How long an idle session may take to store the end of its turn, after the last event of the session. */
export const SETTLE_LIMIT_MS = 5_000;
/** How long an accepted prompt may take to begin, after the last event of the session. */
export const START_LIMIT_MS = 15_000;
/**
 * For how long an accepted prompt can be invisible: on a cold instance OpenCode 1.18.33 shows neither status nor
 * message for up to 0.9 s. An abort in that time aborts nothing, so it is repeated when the turn does begin.
 */
export const COLD_START_MS = 3_000;
/** How long to wait for a second event that explains the first: the end of an aborted message, or a disposal. */
const REASON_MS = 2 * RECHECK_MS;

/** What the client knows about the turn of an idle session besides the stored messages. */
export interface TurnFacts {
  /** Milliseconds since the last event of the turn. */
  readonly quietMs: number;
  /** The error that the server has reported for the session since its last answer began. */
  readonly sessionError: ServerErrorInfo | undefined;
  /** Whether this run itself asked the server to abort the turn. */
  readonly isAborted: boolean;
  /** Whether an event reported the disposal of its instance. */
  readonly isDisposed: boolean;
  /**
   * Whether the event stream broke during the turn, so that the client may have missed the end of the instance or the
   * server.
   */
  readonly hadGap: boolean;
  /** The failure that leaves open whether the prompt arrived. */
  readonly sendError: ConnectionError | TimeoutError | undefined;
  /** Whether the turn may still be waiting for the request that carries the prompt. */
  readonly isUnderWay: boolean;
}

/** What the client knows about the reason of a failure. */
export interface FailureDetails {
  readonly serverError?: ServerErrorInfo;
  readonly detail?: string;
  readonly issues?: readonly ShapeIssue[];
  /** What the caller can do about it. */
  readonly advice?: string | undefined;
}

/** How a turn ended, if it did. */
export type TurnVerdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'answered'; readonly result: TurnResult }
  | ({ readonly kind: 'failed'; readonly reason: TurnErrorReason } & FailureDetails)
  /** The prompt did not arrive. */
  | { readonly kind: 'not-sent'; readonly error: ConnectionError | TimeoutError };

const WAIT: TurnVerdict = { kind: 'wait' };

/** Judges the turn of an idle session by its stored messages and the facts. */
export function verdictOf(evidence: TurnEvidence, facts: TurnFacts): TurnVerdict {
  switch (evidence.kind) {
    case 'answered':
      return ofAnswer(evidence, facts);
    case 'error':
      return ofError(evidence.error, facts);
    case 'summarized':
      return { kind: 'failed', reason: 'summarized' };
    case 'unfinished':
      return ofUnfinished(facts);
    case 'not-stored':
    case 'unanswered':
      return ofNoAnswer(evidence.kind, facts);
  }
}

function ofAnswer(
  { result, endsInSummary }: Extract<TurnEvidence, { kind: 'answered' }>,
  facts: TurnFacts,
): TurnVerdict {
  const { sessionError, quietMs } = facts;
  const { finish, structured } = result.message;
  const isLast = structured !== undefined || (finish !== undefined && finish !== 'tool-calls');
  if (!isLast && sessionError !== undefined) return ofError(sessionError, facts);
  if (!isBetweenCalls(result)) return { kind: 'answered', result };
  if (facts.isAborted) return { kind: 'failed', reason: 'aborted' };
  if (facts.isDisposed || facts.hadGap) return { kind: 'failed', reason: 'interrupted' };
  // An event tells why the server does not call the model again; this answer may have overtaken it.
  if (quietMs < REASON_MS) return WAIT;
  if (!endsInSummary) return { kind: 'answered', result };
  const detail =
    'the session was summarized between two calls of the model, and the model was not called again';
  return { kind: 'failed', reason: 'unfinished', detail };
}

function ofError(stored: ServerErrorInfo, facts: TurnFacts): TurnVerdict {
  const { sessionError, isAborted, isDisposed, quietMs } = facts;
  // A cut-off answer counts as aborted, whatever cut it off.
  const isCut = stored.name === 'MessageAbortedError';
  const serverError = isCut && !isAborted && sessionError !== undefined ? sessionError : stored;
  const isAbort = serverError.name === 'MessageAbortedError';
  // A disposal first aborts the turn; its own event comes a moment later.
  if (isAbort && !isAborted && !isDisposed && quietMs < REASON_MS) return WAIT;
  const reason = reasonOf(serverError, isDisposed && !isAborted);
  const { name, data } = serverError;
  const issues = name === 'StructuredOutputError' ? [{ path: '', message: data.message }] : [];
  return { kind: 'failed', reason, serverError, issues };
}

function ofUnfinished(facts: TurnFacts): TurnVerdict {
  const { sessionError, isAborted, isDisposed, hadGap, quietMs } = facts;
  // After an abort or an error, the server completes the answer a moment later.
  if (sessionError !== undefined && quietMs >= REASON_MS) return ofError(sessionError, facts);
  if (quietMs < (isDisposed && !isAborted ? COLD_START_MS : SETTLE_LIMIT_MS)) return WAIT;
  if (isAborted) return { kind: 'failed', reason: 'aborted' };
  if (isDisposed || hadGap) return { kind: 'failed', reason: 'interrupted' };
  return { kind: 'failed', reason: 'unfinished', detail: 'its answer has neither an end nor an error' };
}

function ofNoAnswer(kind: 'not-stored' | 'unanswered', facts: TurnFacts): TurnVerdict {
  const { sessionError, isAborted, isDisposed, sendError, quietMs } = facts;
  // When a prompt never began, e.g. for an unknown agent, only an event carries the error.
  if (sessionError !== undefined && quietMs >= REASON_MS) return ofError(sessionError, facts);
  if ((isAborted || isDisposed) && quietMs >= COLD_START_MS) {
    return { kind: 'failed', reason: isAborted ? 'aborted' : 'interrupted' };
  }
  if (kind === 'not-stored') {
    if (sendError !== undefined && quietMs >= SETTLE_LIMIT_MS) return { kind: 'not-sent', error: sendError };
    if (facts.isUnderWay) return WAIT;
  }
  if (quietMs < START_LIMIT_MS) return WAIT;
  const detail =
    kind === 'unanswered'
      ? 'the prompt is stored without an answer, and the session is idle'
      : 'the prompt is not stored, and the session is idle';
  return { kind: 'failed', reason: 'not-started', detail };
}
