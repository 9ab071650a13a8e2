import { isRecord } from '../http/prompt-body.js';
import { parseJson } from '../http/body.js';
import { invalid, invalidCursor } from './replies.js';

/** How many a page has by itself. */
const PAGE_SIZE = 50;

/** How the items of a list are named in a cursor. */
export interface Paging<T extends { readonly id: string }> {
  /** What a cursor says of the item where a page begins or ends. */
  readonly anchor: (item: T, direction: 'previous' | 'next') => Readonly<Record<string, unknown>>;
  /** The id and the direction that a cursor says. */
  readonly read: (cursor: Readonly<Record<string, unknown>>) => unknown;
}

/** Answers a page of a list: `{ data, cursor: { previous, next } }`; both are `null` without data. */
export function pageOf<T extends { readonly id: string }>(
  items: readonly T[],
  query: URLSearchParams,
  { anchor, read }: Paging<T>,
  show: (item: T) => unknown,
): Response {
  const limit = query.get('limit') === null ? PAGE_SIZE : Number(query.get('limit'));
  if (!Number.isInteger(limit)) return invalid('Expected an integer\n  at ["limit"]', 'Query');
  const text = query.get('cursor');
  let start = 0;
  let end = limit;
  if (text !== null) {
    const cursor = decodeCursor(text);
    const at = cursor === undefined ? undefined : read(cursor);
    if (!isRecord(at) || (at['direction'] !== 'next' && at['direction'] !== 'previous'))
      return invalidCursor();
    const index = items.findIndex(({ id }) => id === at['id']);
    if (index === -1) return invalidCursor();
    start = at['direction'] === 'next' ? index + 1 : Math.max(0, index - limit);
    end = at['direction'] === 'next' ? start + limit : index;
  }
  const page = items.slice(start, end);
  const [first] = page;
  const last = page.at(-1);
  return Response.json({
    data: page.map(show),
    cursor: {
      previous: first === undefined ? null : encodeCursor(anchor(first, 'previous')),
      next: last === undefined ? null : encodeCursor(anchor(last, 'next')),
    },
  });
}

function encodeCursor(cursor: object): string {
  const bytes = new TextEncoder().encode(JSON.stringify(cursor));
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function decodeCursor(text: string): Record<string, unknown> | undefined {
  try {
    const bytes = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    const json = new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
    const cursor = parseJson(json);
    return isRecord(cursor) ? cursor : undefined;
  } catch {
    return undefined;
  }
}
