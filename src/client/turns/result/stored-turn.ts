import type { RequestOptions } from '../../http/request-options.js';
import type { RepoTransport } from '../../http/repo-transport.js';
import type { AssistantMessage, StoredMessage } from '../../schema/message.js';
import { readMessagePage, type MessageWindow } from '../../sessions/messages.js';
import { answersOf } from './turn-messages.js';

/** How many messages to read first, and by how much more each further time. */
const FIRST_WINDOW = 32;
const WINDOW_GROWTH = 4;

/** Reads the newest messages of a session, oldest first: as many as `isEnough` asks for, or all. */
export async function readNewest(
  transport: RepoTransport,
  session: Pick<MessageWindow, 'sessionID' | 'expectedID'>,
  isEnough: (messages: readonly StoredMessage[]) => boolean,
  options?: RequestOptions,
): Promise<StoredMessage[]> {
  for (let limit = FIRST_WINDOW; ; limit *= WINDOW_GROWTH) {
    const { items } = await readMessagePage(transport, { ...session, limit }, options);
    if (items.length < limit || isEnough(items)) return items;
  }
}

/**
 * The id of the prompt that the session works on, if it is stored.
 *
 * @param messages - the newest messages of a session that is at work.
 */
export function runningPromptOf(messages: readonly StoredMessage[]): string | undefined {
  const index = messages.findLastIndex(({ info }) => info.role === 'assistant');
  const last = messages[index]?.info;
  const next = messages.slice(index + 1).findLast(isPrompt)?.info;
  if (next === undefined || (last?.role === 'assistant' && isOpen(last))) return promptOf(messages, last?.id);
  // The answer that comes next tells whether the newest prompt continues the turn before it, e.g. after a compaction.
  const coming = { role: 'assistant', id: 'the answer that comes next', parentID: next.id, time: {} };
  const answer = { info: coming as AssistantMessage, parts: [] };
  return promptOf([...messages, answer], coming.id);
}

/**
 * The id of the prompt of the last turn that was answered, well or not; summaries that a client asked for are no turns.
 *
 * @param messages - the newest messages of a session, without those of a turn that runs.
 */
export function answeredPromptOf(messages: readonly StoredMessage[]): string | undefined {
  const last = messages.findLast(({ info }) => info.role === 'assistant' && info.summary !== true);
  return promptOf(messages, last?.info.id);
}

/** The messages before those of a turn. */
export function messagesBefore(messages: readonly StoredMessage[], messageID: string): StoredMessage[] {
  return messages.slice(
    0,
    messages.findIndex(({ info }) => info.id === messageID),
  );
}

/** Whether the messages reach back beyond a prompt to an earlier one, so that nothing older can be part of its turn. */
export function reachesBeyond(messages: readonly StoredMessage[], messageID: string | undefined): boolean {
  return messageID !== undefined && messagesBefore(messages, messageID).some(isPrompt);
}

/** The id of the prompt that began the turn of an answer. */
function promptOf(messages: readonly StoredMessage[], answerID: string | undefined): string | undefined {
  const end = messages.findIndex(({ info }) => info.id === answerID);
  let found: string | undefined;
  for (const { info } of messages.slice(0, Math.max(0, end)).filter(isPrompt).toReversed()) {
    const isIts = answersOf(info.id, messages).some((answer) => answer.info.id === answerID);
    if (!isIts && found !== undefined) return found;
    if (isIts) found = info.id;
  }
  return found;
}

/** Whether the message is a prompt, of somebody or of the server itself. */
function isPrompt({ info }: StoredMessage): boolean {
  return info.role !== 'assistant' && info.id !== '';
}

/** Whether the model still works on an answer. */
function isOpen({ error, time }: AssistantMessage): boolean {
  return error === undefined && time.completed === undefined;
}
