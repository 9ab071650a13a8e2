import type { Message } from '../../client/schema/message.js';
import { badRequest, badCursor } from './replies.js';

/** Answers a list of messages: all of them, or the newest `limit`, with the cursor of the next older page in a header. */
export function messagePage(messages: readonly Message[], query: URLSearchParams): Response {
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit)) {
    return badRequest(`Expected an integer, got ${limit}\n  at ["limit"]`, 'Query');
  }
  if (limit < 0) {
    return badRequest(`Expected a value greater than or equal to 0, got ${limit}\n  at ["limit"]`, 'Query');
  }
  const before = query.get('before');
  const end =
    before === null ? messages.length : messages.findIndex((message) => cursorOf(message) === before);
  if (before !== null && (limit === 0 || end === -1)) return badCursor();
  const start = limit === 0 ? 0 : Math.max(0, end - limit);
  const page = messages.slice(start, end);
  const oldest = page[0];
  // OpenCode 1.18.33 sends a page with a next cursor as it is stored.
  if (start > 0 && oldest !== undefined) {
    return Response.json(page, { headers: { 'x-next-cursor': cursorOf(oldest) } });
  }
  const at = page.findIndex(hasFormat);
  return page[at] === undefined ? Response.json(page) : notEncoded(page[at], `[${at}]["info"]["format"]`);
}

/** Answers one message. */
export function singleMessage(message: Message): Response {
  return hasFormat(message) ? notEncoded(message, '["info"]["format"]') : Response.json(message);
}

/** Whether OpenCode 1.18.33 cannot encode the message: it is a prompt with a format. */
export function hasFormat({ info }: Message): boolean {
  return info.role === 'user' && info.format !== undefined;
}

function notEncoded({ info }: Message, path: string): Response {
  const format = info.role === 'user' ? info.format : undefined;
  const expected = format?.type === 'text' ? 'OutputFormatText' : 'OutputFormatJsonSchema';
  return badRequest(`Expected ${expected}, got ${JSON.stringify(format)}\n  at ${path}`, 'Body');
}

/** An opaque cursor, encoded as the server encodes it. */
function cursorOf({ info }: Message): string {
  const text = btoa(JSON.stringify({ id: info.id, time: info.time.created }));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
