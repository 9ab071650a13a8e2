import type { TurnErrorReason } from '../../../errors.js';
import type { RequestOptions } from '../../http/request-options.js';
import type { RepoTransport } from '../../http/repo-transport.js';
import type { Part, ServerErrorInfo, StoredMessage, TextPart } from '../../schema/message.js';
import type { Tokens } from '../../schema/session.js';
import { isAtWork, readStatuses } from '../../sessions/statuses.js';
import type { TurnResult } from './turn-result.js';
import { readNewest } from './stored-turn.js';
import { answersOf, type AssistantEntry } from './turn-messages.js';

/** Names of server errors that come from the model provider. */
const PROVIDER_ERRORS = new Set([
  'APIError',
  'ProviderAuthError',
  'MessageOutputLengthError',
  'ContextOverflowError',
  'ContentFilterError',
]);

/** What the stored messages say about a turn of an idle session. */
export type TurnEvidence =
  /** The server has not stored the user message. */
  | { readonly kind: 'not-stored' }
  /** The user message is stored, and nothing answers it. */
  | { readonly kind: 'unanswered' }
  /** The server summarized the session, which was due, instead of answering. */
  | { readonly kind: 'summarized' }
  /** The last answer has neither an end nor an error. */
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'error'; readonly error: ServerErrorInfo }
  | {
      readonly kind: 'answered';
      readonly result: TurnResult;
      /**
       * Whether the turn ends with a compaction of the context. After one that a client asked for, OpenCode 1.18.33
       * does not go on with the turn.
       */
      readonly endsInSummary: boolean;
      /** Whether the model has said all it wanted to. */
      readonly isFinal: boolean;
    };

/** A turn and its session. */
interface TurnIDs {
  readonly sessionID: string;
  /** Id of the user message. */
  readonly messageID: string;
}

const ABORTED: ServerErrorInfo = { name: 'MessageAbortedError', data: { message: 'Aborted' } };

/** Asks the server how a turn ended; `undefined` while its session is at work. */
export async function readTurn(
  transport: RepoTransport,
  { sessionID, messageID }: TurnIDs,
  options?: RequestOptions,
): Promise<TurnEvidence | undefined> {
  const statuses = await readStatuses(transport, options);
  if (isAtWork(statuses[sessionID])) return undefined;
  return evidenceOf(sessionID, messageID, await readMessages(transport, { sessionID, messageID }, options));
}

/** Reads the newest messages of a turn's session, back to its user message if that is stored. */
export function readMessages(
  transport: RepoTransport,
  { sessionID, messageID }: TurnIDs,
  options?: RequestOptions,
): Promise<StoredMessage[]> {
  const isEnough = (items: readonly StoredMessage[]): boolean =>
    items.some((message) => message.info.id === messageID);
  return readNewest(transport, { sessionID, expectedID: messageID }, isEnough, options);
}

/** Reads from the messages how a turn ended. They must reach back to its user message. */
export function evidenceOf(
  sessionID: string,
  messageID: string,
  messages: readonly StoredMessage[],
): TurnEvidence {
  if (!messages.some((message) => message.info.id === messageID)) return { kind: 'not-stored' };
  const entries = answersOf(messageID, messages);
  const last = entries.at(-1);
  if (last === undefined) return { kind: 'unanswered' };
  // An answer after the final one answers the server's own "Continue …".
  const final = entries.find((entry, index) => isFinalAnswer(entry) && endsBefore(entries[index + 1]));
  const endsInSummary = last.info.summary === true;
  if (final !== undefined)
    return { kind: 'answered', result: toResult(sessionID, entries, final), endsInSummary, isFinal: true };
  if (last.info.error !== undefined) return { kind: 'error', error: last.info.error };
  if (last.info.time.completed === undefined) return { kind: 'unfinished' };
  // When a turn is aborted between two attempts to reach the provider, OpenCode 1.18.33 completes an empty answer.
  if (last.info.finish === undefined && last.parts.length === 0) return { kind: 'error', error: ABORTED };
  const answer = entries.findLast(({ info }) => info.summary !== true);
  if (answer === undefined) return { kind: 'summarized' };
  return { kind: 'answered', result: toResult(sessionID, entries, answer), endsInSummary, isFinal: false };
}

/** Whether a turn has ended with all that the model wanted to say. */
export function isFinal(evidence: TurnEvidence): evidence is TurnEvidence & { readonly kind: 'answered' } {
  return evidence.kind === 'answered' && evidence.isFinal;
}

/** Whether this is the model's final answer to the prompt. */
function isFinalAnswer({ info: { error, finish, structured, summary, time } }: AssistantEntry): boolean {
  if (error !== undefined || summary === true || time.completed === undefined) return false;
  return (
    structured !== undefined || (finish !== undefined && finish !== 'tool-calls' && finish !== 'unknown')
  );
}

/** Whether the turn ends before `next`: there is none, or it is a summary. */
function endsBefore(next: AssistantEntry | undefined): boolean {
  return next === undefined || next.info.summary === true;
}

/**
 * Whether the server has yet to call the model again: the last answer called tools, and none of them failed or was
 * refused.
 */
export function isBetweenCalls({ message, parts }: TurnResult): boolean {
  const tools = parts.filter((part) => part.type === 'tool');
  const areDone = tools.every(({ state }) => state.status === 'completed');
  return message.finish === 'tool-calls' && message.structured === undefined && areDone;
}

/** The reason of the `TurnError` for an error that the server reports. */
export function reasonOf(error: ServerErrorInfo, wasInterrupted: boolean): TurnErrorReason {
  if (error.name === 'MessageAbortedError') return wasInterrupted ? 'interrupted' : 'aborted';
  if (error.name === 'StructuredOutputError') return 'format';
  return PROVIDER_ERRORS.has(error.name) ? 'provider' : 'failed';
}

function toResult(sessionID: string, entries: readonly AssistantEntry[], last: AssistantEntry): TurnResult {
  return {
    sessionID,
    message: last.info,
    parts: last.parts,
    text: textOf(last.parts),
    transcript: entries
      .map(({ info, parts }) => (info.summary === true ? '' : textOf(parts)))
      .filter((text) => text !== '')
      .join('\n\n'),
    structured: last.info.structured,
    messages: entries,
    cost: entries.reduce((sum, entry) => sum + entry.info.cost, 0),
    tokens: entries.map((entry) => entry.info.tokens).reduce(addTokens),
  };
}

/** The text that the model wrote in a message. */
export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.type === 'text' && isSaid(part) ? part.text : '')).join('');
}

/** What the tools of a result put out. */
export function outputOf({ parts }: TurnResult): string {
  const outputs = parts.map((part) => {
    if (part.type !== 'tool') return '';
    const { state } = part;
    return state.status === 'completed' ? state.output : state.status === 'error' ? state.error : '';
  });
  return outputs.join('');
}

/** Whether the model wrote the text, not the server. */
export function isSaid({ synthetic, ignored }: TextPart): boolean {
  return synthetic !== true && ignored !== true;
}

function addTokens(a: Tokens, b: Tokens): Tokens {
  return {
    ...(a.total === undefined && b.total === undefined ? {} : { total: (a.total ?? 0) + (b.total ?? 0) }),
    input: a.input + b.input,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
    cache: { read: a.cache.read + b.cache.read, write: a.cache.write + b.cache.write },
  };
}
