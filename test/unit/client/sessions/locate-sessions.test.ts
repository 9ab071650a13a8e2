import { describe, expect, it } from 'vitest';
import { Http } from '../../../../src/client/http/http.js';
import { locateSessions } from '../../../../src/client/sessions/locate-sessions.js';

interface Stored {
  readonly id: string;
  readonly directory: string;
}

/** An Http whose server has these sessions, newest first, and the queries it was asked. */
function setUp(stored: readonly Stored[]): { http: Http; queries: string[] } {
  const queries: string[] = [];
  const http = new Http({
    endpoint: () => ({ url: 'http://127.0.0.1:9' }),
    signal: new AbortController().signal,
    fetch: (input) => {
      const { searchParams } = new URL(input as string);
      const cursor = searchParams.get('cursor');
      // The cursor has the directory in it.
      const [start, directory] =
        cursor === null
          ? [0, searchParams.get('directory')]
          : (JSON.parse(cursor) as [number, string | null]);
      queries.push(`${cursor === null ? '' : 'more of '}${directory ?? 'all'}`);
      expect(searchParams.has('cursor') && searchParams.has('directory')).toBe(false);
      const limit = Number(searchParams.get('limit'));
      const matching = stored.filter((session) => directory === null || session.directory === directory);
      const data = matching
        .slice(start, start + limit)
        .map((session) => ({ id: session.id, location: { directory: session.directory } }));
      return Promise.resolve(
        Response.json({ data, cursor: { next: JSON.stringify([start + limit, directory]) } }),
      );
    },
  });
  return { http, queries };
}

const many = (count: number, directory: string): Stored[] =>
  Array.from({ length: count }, (_, index) => ({ id: `ses_${directory.slice(1)}_${index}`, directory }));

describe('locateSessions', () => {
  it('asks each directory once when every session is where it should be', async () => {
    const { http, queries } = setUp([...many(3, '/a'), ...many(3, '/b')]);
    const found = await locateSessions(http, [
      { sessionID: 'ses_a_0', directory: '/a' },
      { sessionID: 'ses_a_2', directory: '/a' },
      { sessionID: 'ses_b_1', directory: '/b' },
    ]);
    expect([...found]).toEqual([
      ['ses_a_0', '/a'],
      ['ses_a_2', '/a'],
      ['ses_b_1', '/b'],
    ]);
    expect(queries).toEqual(['/a', '/b']);
  });

  it('reads pages of sessions only as far as needed', async () => {
    const { http, queries } = setUp(many(2_000, '/a'));
    await locateSessions(http, [{ sessionID: 'ses_a_700', directory: '/a' }]);
    expect(queries).toEqual(['/a', 'more of /a']);
  });

  it('searches everywhere for a session that is not where it should be, and leaves out one that is nowhere', async () => {
    const { http, queries } = setUp([...many(1, '/a'), ...many(1_200, '/b')]);
    const found = await locateSessions(http, [
      { sessionID: 'ses_b_1100', directory: '/a' },
      { sessionID: 'ses_gone', directory: '/a' },
    ]);
    expect([...found]).toEqual([['ses_b_1100', '/b']]);
    expect(queries).toEqual(['/a', 'all', 'more of all', 'more of all']);
  });

  it('sends no request for an empty list of sessions', async () => {
    const { http, queries } = setUp([]);
    expect((await locateSessions(http, [])).size).toBe(0);
    expect(queries).toEqual([]);
  });
});
