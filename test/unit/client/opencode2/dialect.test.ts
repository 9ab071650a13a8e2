import { RequestError, UnsupportedOperationError } from 'jarvis-opencode';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../../src/client/dialect/dialect.js';
import { OpenCode2 } from '../../../../src/client/opencode2/dialect.js';

/** An exchange that answers by method and path, and what it was asked. */
function exchangeOf(answers: Readonly<Record<string, unknown>>): Exchange & { readonly sent: string[] } {
  const sent: string[] = [];
  return {
    sent,
    send: ({ method, path, query }) => {
      const search = new URLSearchParams(
        Object.entries(query ?? {}).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, String(value)]],
        ),
      );
      sent.push(`${method} ${path}${search.size > 0 ? `?${decodeURIComponent(search.toString())}` : ''}`);
      return Promise.resolve(answers[`${method} ${path}`] as never);
    },
  };
}

const info = (id: string, directory: string): object => ({
  data: { id, location: { directory }, time: { created: 1, updated: 2 } },
});

describe('the dialect of OpenCode 2', () => {
  it('refuses an operation that OpenCode 2 has not, without its ids', () => {
    const operation = { method: 'GET', path: '/session/ses_abc/todo', directory: '/r' } as const;
    expect(() => new OpenCode2().operation(operation)).toThrow(UnsupportedOperationError);
    expect(() => new OpenCode2().operation(operation)).toThrow('GET /session/{ses}/todo');
  });

  it('names the directory of a new session in its body, and refuses a session of another one', async () => {
    const operation = { method: 'POST', path: '/session', directory: '/r', json: { title: 'T' } } as const;
    const location = { directory: '/r', project: { id: 'p', directory: '/r' } };
    const right = exchangeOf({ 'GET /api/location': location, 'POST /api/session': info('ses_1', '/r') });
    const { body } = await new OpenCode2().operation(operation)(right);
    expect(body).toMatchObject({ id: 'ses_1', directory: '/r' });
    expect(right.sent).toEqual(['GET /api/location?location[directory]=/r', 'POST /api/session']);
    const wrong = exchangeOf({ 'GET /api/location': location, 'POST /api/session': info('ses_1', '/cwd') });
    await expect(new OpenCode2().operation(operation)(wrong)).rejects.toMatchObject({
      name: 'SessionDirectoryError',
    });
  });

  it('tells which sessions of a directory are at work, and asks for the directory of each once', async () => {
    const dialect = new OpenCode2();
    const operation = { method: 'GET', path: '/session/status', directory: '/r' } as const;
    const exchange = exchangeOf({
      'GET /api/session/active': { data: { ses_1: { type: 'running' }, ses_2: { type: 'running' } } },
      'GET /api/session/ses_1': info('ses_1', '/r'),
      'GET /api/session/ses_2': info('ses_2', '/other'),
    });
    for (let asked = 0; asked < 2; asked += 1) {
      expect((await dialect.operation(operation)(exchange)).body).toEqual({ ses_1: { type: 'busy' } });
    }
    expect(exchange.sent.filter((request) => request.includes('ses_'))).toHaveLength(2);
  });

  it('leaves a session out of those at work that was deleted meanwhile', async () => {
    const operation = { method: 'GET', path: '/session/status', directory: '/r' } as const;
    const exchange: Exchange = {
      send: ({ method, path }) =>
        path === '/api/session/active'
          ? Promise.resolve({ data: { ses_1: { type: 'running' } } } as never)
          : Promise.reject(new RequestError({ method, path, status: 404, body: undefined })),
    };
    expect((await new OpenCode2().operation(operation)(exchange)).body).toEqual({});
  });

  it('reports an instance as gone that is not loaded when it is to be disposed', async () => {
    const gone: string[] = [];
    const dialect = new OpenCode2((directory) => gone.push(directory));
    const operation = { method: 'POST', path: '/instance/dispose', directory: '/r' } as const;
    const loaded = exchangeOf({ 'GET /api/debug/location': [{ directory: '/r' }] });
    await dialect.operation(operation)(loaded);
    expect(gone).toEqual([]);
    expect(loaded.sent.at(-1)).toBe('DELETE /api/debug/location?location[directory]=/r');
    await dialect.operation(operation)(exchangeOf({ 'GET /api/debug/location': [] }));
    expect(gone).toEqual(['/r']);
  });

  it('switches the agent of a session for one prompt and back for the next', async () => {
    const dialect = new OpenCode2();
    const exchange = exchangeOf({ 'GET /api/session/ses_1': info('ses_1', '/r') });
    const prompt = async (agent?: string): Promise<string[]> => {
      exchange.sent.length = 0;
      const json = {
        messageID: `msg_${agent}`,
        parts: [{ type: 'text', text: 'Hi' }],
        ...(agent && { agent }),
      };
      const path = '/session/ses_1/prompt_async';
      await dialect.operation({ method: 'POST', path, directory: '/r', json })(exchange);
      return exchange.sent.filter((request) => request.endsWith('/agent'));
    };
    expect(await prompt()).toEqual([]);
    expect(await prompt('plan')).toEqual(['POST /api/session/ses_1/agent']);
    expect(await prompt('plan')).toEqual([]);
    expect(await prompt()).toEqual(['POST /api/session/ses_1/agent']);
    expect(await prompt()).toEqual([]);
  });
});
