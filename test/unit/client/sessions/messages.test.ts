import { describe, expect, it } from 'vitest';
import { RequestError } from 'jarvis-opencode';
import type { RepoTransport } from '../../../../src/client/http/repo-transport.js';
import { readMessage, readMessagePage } from '../../../../src/client/sessions/messages.js';

const sessionID = 'ses_1';

interface Request {
  readonly path: string;
  readonly query?: { readonly limit?: number; readonly before?: string };
}

/** What reads a session whose messages are these: `u` and `a` for user and assistant, `F` for a prompt with a format. */
function session(
  kinds: string,
  { body }: { readonly body?: unknown } = {},
): { readonly transport: RepoTransport; readonly requests: string[] } {
  const requests: string[] = [];
  const messages = [...kinds].map((kind, at) => ({
    info: {
      id: `msg_${at}`,
      role: kind === 'a' ? 'assistant' : 'user',
      ...(kind === 'a' && { parentID: `msg_${at - 1}` }),
      ...(kind === 'F' && { format: { type: 'json_schema' } }),
    },
    parts: [],
  }));
  const refusal = (path: string): RequestError => {
    const data = { message: 'Expected OutputFormatJsonSchema, got {}', kind: 'Body' };
    return new RequestError({
      method: 'GET',
      path,
      status: 400,
      body: body ?? { name: 'BadRequest', data },
    });
  };
  const hasFormat = ({ info }: (typeof messages)[number]): boolean => 'format' in info;
  const transport = {
    send: async ({ path }: Request) => {
      requests.push(path);
      const found = messages.find(({ info }) => path.endsWith(`/${info.id}`));
      if (found === undefined) throw new RequestError({ method: 'GET', path, status: 404 });
      if (hasFormat(found)) throw refusal(path);
      return found;
    },
    sendPage: async ({ path, query = {} }: Request) => {
      const { limit = Number.POSITIVE_INFINITY, before } = query;
      requests.push(`${limit} before ${before ?? 'the end'}`);
      const end = before === undefined ? messages.length : Number(before);
      const start = Math.max(0, end - limit);
      const items = messages.slice(start, end);
      // OpenCode 1.18.33 encodes the last page only.
      if (start === 0 && items.some(hasFormat)) throw refusal(path);
      return { items, next: start === 0 ? undefined : String(start) };
    },
  } as unknown as RepoTransport;
  return { transport, requests };
}

const idsOf = (items: readonly { readonly info: { readonly id: string } }[]): string[] =>
  items.map(({ info }) => info.id);

describe('the messages of a session', () => {
  it('reads all messages of a session in one request when the server can send all', async () => {
    const { transport, requests } = session('uaua');
    const { items } = await readMessagePage(transport, { sessionID });
    expect(idsOf(items)).toEqual(['msg_0', 'msg_1', 'msg_2', 'msg_3']);
    expect(requests).toHaveLength(1);
  });

  it.each(['Fa', 'Faua', 'uaFa', 'uaFaua', 'F', 'FF', 'FaFaFa', `${'ua'.repeat(300)}Fa`])(
    'returns all messages of a session, whatever the limit, of %s',
    async (kinds) => {
      for (const limit of [undefined, 1, 2, 3, 4, 5, 6, 7, 32, 700]) {
        const { transport } = session(kinds);
        const { items, next } = await readMessagePage(transport, { sessionID, limit });
        const all = [...kinds].map((_, at) => `msg_${at}`);
        const expected = all.slice(limit === undefined ? 0 : -limit);
        // The first message of a session is named by its answer.
        if (expected[0] === 'msg_0' && kinds[0] === 'F' && kinds[1] !== 'a') expected[0] = '';
        expect(idsOf(items)).toEqual(expected);
        expect(next).toBe(expected.length < all.length ? String(all.length - expected.length) : undefined);
      }
    },
  );

  it('reads messages around an unreadable one in a number of requests that grows with the logarithm', async () => {
    const { transport, requests } = session('Fa');
    await readMessagePage(transport, { sessionID, limit: 32 });
    expect(requests.length).toBeLessThanOrEqual(8);
  });

  it('names an unreadable prompt without an answer by the id that is expected', async () => {
    const { transport } = session('F');
    const { items } = await readMessagePage(transport, { sessionID, limit: 4, expectedID: 'msg_0' });
    expect(items).toMatchObject([{ info: { role: 'unreadable', id: 'msg_0', sessionID }, parts: [] }]);
    const other = await readMessagePage(transport, { sessionID, limit: 4, expectedID: 'msg_9' });
    expect(other.items).toMatchObject([{ info: { role: 'unreadable', id: '' } }]);
  });

  it('reads the messages around one whose schema is too long for the body of an error', async () => {
    const { transport } = session('uaFa', {
      body: `{"name":"BadRequest","data":{"message":"${'x'.repeat(99)}`,
    });
    expect((await readMessagePage(transport, { sessionID })).items).toHaveLength(4);
  });

  it('does not read the messages again after another refusal', async () => {
    const { transport, requests } = session('Fa', {
      body: { name: 'BadRequest', data: { message: 'limit', kind: 'Query' } },
    });
    await expect(readMessagePage(transport, { sessionID })).rejects.toMatchObject({ status: 400 });
    expect(requests).toHaveLength(1);
  });
});

describe('one message', () => {
  it('finds a message in the list when the server cannot send it alone', async () => {
    const { transport } = session('uaFa');
    expect(await readMessage(transport, sessionID, 'msg_2')).toMatchObject({
      info: { id: 'msg_2', role: 'user', format: {} },
    });
  });

  it('marks a message as unreadable when it is the first of its session', async () => {
    const { transport } = session('FaFa');
    expect(await readMessage(transport, sessionID, 'msg_0')).toMatchObject({
      info: { id: 'msg_0', role: 'unreadable', error: expect.stringContaining('OutputFormat') as string },
    });
  });

  it('rejects when the session has no such message', async () => {
    const { transport } = session('Fa');
    await expect(readMessage(transport, sessionID, 'msg_9')).rejects.toMatchObject({ status: 404 });
  });
});
