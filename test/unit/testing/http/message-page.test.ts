import { aMessage, aUserMessage } from 'jarvis-opencode/testing';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../../../src/client/schema/message.js';
import { messagePage, singleMessage } from '../../../../src/testing/http/message-page.js';

const messages = ['msg_1', 'msg_2', 'msg_3'].map((id) => aMessage(aUserMessage({ id })));
const withFormat = aMessage(aUserMessage({ format: { type: 'text' } }));

async function idsOf(response: Response): Promise<string[]> {
  return ((await response.json()) as Message[]).map(({ info }) => info.id);
}

function page(query: Record<string, string>, of = messages): Response {
  return messagePage(of, new URLSearchParams(query));
}

describe('messagePage()', () => {
  it('answers all messages without a limit, and with the limit 0', async () => {
    for (const query of [{}, { limit: '0' }]) {
      const response = page(query);
      expect(response.headers.get('x-next-cursor')).toBeNull();
      expect(await idsOf(response)).toEqual(['msg_1', 'msg_2', 'msg_3']);
    }
  });

  it('answers the newest messages first, page by page', async () => {
    const newest = page({ limit: '2' });
    expect(await idsOf(newest.clone())).toEqual(['msg_2', 'msg_3']);
    const before = newest.headers.get('x-next-cursor') ?? '';
    const oldest = page({ limit: '2', before });
    expect(await idsOf(oldest.clone())).toEqual(['msg_1']);
    expect(oldest.headers.get('x-next-cursor')).toBeNull();
  });

  it.each([{ limit: '-1' }, { limit: '1.5' }, { limit: 'x' }, { before: 'x', limit: '1' }, { before: 'x' }])(
    'refuses %j with status 400',
    (query: Record<string, string>) => {
      expect(page(query).status).toBe(400);
    },
  );

  it('refuses a last page with a format, and sends it in a page with a next cursor', () => {
    expect(page({}, [withFormat]).status).toBe(400);
    expect(page({ limit: '1' }, [...messages, withFormat]).status).toBe(200);
  });
});

describe('singleMessage()', () => {
  it('refuses a prompt with a format', () => {
    expect(singleMessage(withFormat).status).toBe(400);
    expect(singleMessage(aMessage()).status).toBe(200);
  });
});
