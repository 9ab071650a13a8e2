import { route } from '../http/route.js';
import type { Message } from '../schema/message.js';
import { param, type Call, type Handler } from './call.js';
import { toAssistantMessage, toUserMessage } from './messages.js';
import { entriesPath } from './paged-entries.js';
import { directoryOf } from './session-operations.js';
import {
  entryPageSchema,
  entryResponseSchema,
  type StepEntry,
  type SessionEntry,
  type UserEntry,
} from './wire.js';

/** How many entries to read at a time when the caller names no limit. */
const PAGE_SIZE = 200;
/** How far to look for the prompt of a step beyond the entries that were asked for. */
const MAX_LOOK_AHEAD = 2_000;

/** Reads the history of a session from the newest entry on, or from a cursor on. */
async function* entriesOf(
  { exchange }: Call,
  sessionID: string,
  start: string | undefined,
  size: () => number,
): AsyncGenerator<{ readonly entries: readonly SessionEntry[]; readonly next: string | undefined }> {
  const path = entriesPath(sessionID);
  let cursor = start;
  do {
    const query = { limit: size(), cursor };
    const page = await exchange.send({ method: 'GET', path, query, schema: entryPageSchema });
    cursor = page.data.length < query.limit ? undefined : (page.cursor.next ?? undefined);
    yield { entries: page.data, next: cursor };
  } while (cursor !== undefined);
}

/** Whether an entry is a message of OpenCode 1.18. The others are marks in the history, and what the server tells the model. */
function isMessage(entry: SessionEntry): entry is UserEntry | StepEntry {
  return entry.type === 'user' || entry.type === 'assistant';
}

/**
 * Reads the newest messages of a session, oldest first. A step of OpenCode 2 does not name the prompt that it answers: that is the
 * prompt before it.
 */
const list: Handler = async (call) => {
  const sessionID = param(call, 'sessionID');
  const { limit, before } = call.query as { readonly limit?: number; readonly before?: string };
  const wanted = limit ?? Number.POSITIVE_INFINITY;
  const directory = await directoryOf(call, sessionID);
  const newestFirst: (UserEntry | StepEntry)[] = [];
  let next: string | undefined;
  const size = (): number => Math.min(PAGE_SIZE, wanted - newestFirst.length);
  for await (const page of entriesOf(call, sessionID, before, size)) {
    newestFirst.push(...page.entries.filter(isMessage));
    next = page.next;
    if (newestFirst.length >= wanted) break;
  }
  const oldest = newestFirst.at(-1);
  const prompt =
    oldest?.type === 'assistant' && next !== undefined
      ? await promptBefore(call, sessionID, next)
      : undefined;
  if (before === undefined) notePrompt(call, sessionID, newestFirst, prompt);
  return { body: toMessages({ id: sessionID, directory }, newestFirst.toReversed(), prompt), next };
};

/** The id of the prompt before a place in the history; `undefined` when none is found. */
async function promptBefore(call: Call, sessionID: string, cursor: string): Promise<string | undefined> {
  let seen = 0;
  for await (const { entries } of entriesOf(call, sessionID, cursor, () => PAGE_SIZE)) {
    const prompt = entries.find(({ type }) => type === 'user');
    seen += entries.length;
    if (prompt !== undefined || seen >= MAX_LOOK_AHEAD) return prompt?.id;
  }
  return undefined;
}

/** Remembers which prompt the session answers, for the events of its steps. */
function notePrompt(
  { memory }: Call,
  sessionID: string,
  newestFirst: readonly SessionEntry[],
  older: string | undefined,
): void {
  const prompt = newestFirst.find(({ type }) => type === 'user')?.id ?? older;
  if (prompt !== undefined && !memory.prompts.has(sessionID)) memory.prompts.set(sessionID, prompt);
}

function toMessages(
  session: { readonly id: string; readonly directory: string },
  entries: readonly (UserEntry | StepEntry)[],
  firstPrompt = '',
): Message[] {
  let prompt = firstPrompt;
  return entries.map((entry, index) => {
    if (entry.type === 'assistant') return toAssistantMessage(session, entry, prompt);
    prompt = entry.id;
    const answer = entries[index + 1];
    return toUserMessage(session.id, entry, answer?.type === 'assistant' ? answer : undefined);
  });
}

const get: Handler = async (call) => {
  const sessionID = param(call, 'sessionID');
  const messageID = param(call, 'messageID');
  const path = route`/api/session/${sessionID}/message/${messageID}`;
  const { data } = await call.exchange.send({ method: 'GET', path, schema: entryResponseSchema });
  const directory = await directoryOf(call, sessionID);
  if (data.type === 'user') return { body: toUserMessage(sessionID, data) };
  const parentID = await parentOf(call, sessionID, messageID);
  return { body: toAssistantMessage({ id: sessionID, directory }, data as StepEntry, parentID) };
};

/** The id of the prompt that a step answers; empty when it is too far back. */
async function parentOf(call: Call, sessionID: string, messageID: string): Promise<string> {
  let seen = 0;
  let isFound = false;
  for await (const { entries } of entriesOf(call, sessionID, undefined, () => PAGE_SIZE)) {
    for (const { id, type } of entries) {
      isFound ||= id === messageID;
      if (isFound && type === 'user') return id;
    }
    seen += entries.length;
    if (seen >= MAX_LOOK_AHEAD) return '';
  }
  return '';
}

/** Reads the history as OpenCode 2 has it. */
const entries: Handler = async (call) => {
  const { limit, cursor } = call.query;
  const path = entriesPath(param(call, 'sessionID'));
  const query = { limit, cursor };
  const page = await call.exchange.send({ method: 'GET', path, query, schema: entryPageSchema });
  return { body: page.data, next: page.data.length === 0 ? undefined : (page.cursor.next ?? undefined) };
};

/** The operations on messages. */
export const messageOperations: Readonly<Record<string, Handler>> = {
  'GET /session/:sessionID/message': list,
  'GET /session/:sessionID/message/:messageID': get,
  'GET /api/session/:sessionID/message': entries,
};
