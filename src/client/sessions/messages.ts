import { RequestError } from '../../errors.js';
import type { Page } from '../http/request.js';
import type { RequestOptions } from '../http/request-options.js';
import type { RepoTransport } from '../http/repo-transport.js';
import { route } from '../http/route.js';
import { messageListSchema, messageSchema, type StoredMessage } from '../schema/message.js';

// OpenCode 1.18.33 cannot encode a user message that was sent with a `format`: the list of messages and the route of
// that message answer 400 for good. The server sends a page without encoding it when older messages follow, so only the
// oldest message of a session stays unreadable. Every reader of messages goes through this file.

/** How many messages to ask for at a time when a list cannot be read as a whole. */
const MAX_WINDOW = 256;

/** Which messages of a session to read. */
export interface MessageWindow {
  readonly sessionID: string;
  /** The newest ones; all by default. */
  readonly limit?: number | undefined;
  /** Cursor of an earlier page. */
  readonly before?: string | undefined;
  /** The id to assume for an unreadable message that has no answer. */
  readonly expectedID?: string | undefined;
}

/** Reads one page of messages, oldest first. It is one request unless a message of the page cannot be encoded. */
export async function readMessagePage(
  transport: RepoTransport,
  window: MessageWindow,
  options?: RequestOptions,
): Promise<Page<StoredMessage>> {
  try {
    return await sendPage(transport, window, options);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return readAround(transport, window, error, options);
  }
}

/** Reads one message with its parts. */
export async function readMessage(
  transport: RepoTransport,
  sessionID: string,
  messageID: string,
  options?: RequestOptions,
): Promise<StoredMessage> {
  try {
    const path = messagePath(sessionID, messageID);
    return await transport.send({ method: 'GET', path, schema: messageSchema }, options);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    let before: string | undefined;
    do {
      const window = { sessionID, limit: MAX_WINDOW, before };
      const { items, next } = await readMessagePage(transport, window, options);
      const found = items.find(({ info }) => info.id === messageID);
      if (found !== undefined) return found;
      before = next;
    } while (before !== undefined);
    return unreadable(sessionID, messageID, error);
  }
}

/**
 * Makes sure that a message has a part.
 *
 * @throws {RequestError} with status 404 when it has not, as for a message that does not exist.
 */
export function assertPart({ info, parts }: StoredMessage, partID: string): void {
  if (parts.some(({ id }) => id === partID)) return;
  const body = { name: 'NotFoundError', data: { message: `Part not found: ${partID}` } };
  throw new RequestError({ method: 'GET', path: messagePath(info.sessionID, info.id), status: 404, body });
}

/** Reads smaller and smaller windows, until only the message that cannot be encoded is left. */
async function readAround(
  transport: RepoTransport,
  { sessionID, limit = Number.POSITIVE_INFINITY, before, expectedID }: MessageWindow,
  refusal: RequestError,
  options: RequestOptions | undefined,
): Promise<Page<StoredMessage>> {
  const items: StoredMessage[] = [];
  let error = refusal;
  let next = before;
  let size = Math.min(MAX_WINDOW, Math.floor(limit / 2));
  while (size > 0) {
    const count = Math.min(size, limit - items.length);
    try {
      const page = await sendPage(transport, { sessionID, limit: count, before: next }, options);
      items.unshift(...page.items);
      next = page.next;
      if (next === undefined || items.length >= limit) return { items, next };
    } catch (failure) {
      if (!isUnreadable(failure)) throw failure;
      error = failure;
      size = Math.floor(count / 2);
    }
  }
  const messageID = parentOf(items) ?? (await existing(transport, sessionID, expectedID, options)) ?? '';
  items.unshift(unreadable(sessionID, messageID, error));
  return { items, next: undefined };
}

/** The id of the message before these, if the oldest of them answers it. */
function parentOf([oldest]: readonly StoredMessage[]): string | undefined {
  return oldest?.info.role === 'assistant' ? oldest.info.parentID : undefined;
}

/** Returns the id if the server has a message of that id and cannot encode it. */
async function existing(
  transport: RepoTransport,
  sessionID: string,
  messageID: string | undefined,
  options: RequestOptions | undefined,
): Promise<string | undefined> {
  if (messageID === undefined) return undefined;
  try {
    const path = messagePath(sessionID, messageID);
    await transport.send({ method: 'GET', path, schema: messageSchema }, options);
  } catch (error) {
    if (isUnreadable(error)) return messageID;
    if (!(error instanceof RequestError) || error.status !== 404) throw error;
  }
  return undefined;
}

function sendPage(
  transport: RepoTransport,
  { sessionID, limit, before }: MessageWindow,
  options: RequestOptions | undefined,
): Promise<Page<StoredMessage>> {
  const path = route`/session/${sessionID}/message`;
  const query = { limit, before };
  return transport.sendPage({ method: 'GET', path, query, schema: messageListSchema }, options);
}

function messagePath(sessionID: string, messageID: string): string {
  return route`/session/${sessionID}/message/${messageID}`;
}

/** Whether the server has the message and cannot encode it. */
function isUnreadable(error: unknown): error is RequestError {
  if (!(error instanceof RequestError) || error.status !== 400) return false;
  const { body, data, serverError } = error;
  // The error repeats the schema. With a long schema the library cuts the body, which then is no JSON and stays text.
  if (typeof body === 'string') return body.startsWith('{"name":"BadRequest"');
  return serverError === 'BadRequest' && (data as { readonly kind?: unknown } | undefined)?.kind === 'Body';
}

function unreadable(sessionID: string, id: string, { message }: RequestError): StoredMessage {
  return { info: { role: 'unreadable', id, sessionID, error: message }, parts: [] };
}
