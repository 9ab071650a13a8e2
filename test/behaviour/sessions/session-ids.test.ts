import { describe, expect, it, onTestFinished } from 'vitest';
import {
  JarvisOpenCode,
  SessionDirectoryError,
  type FetchFunction,
  type RepoClient,
  type Session,
} from 'jarvis-opencode';
import { fakeHandle } from '../../support/server-handle.js';

const MODEL = { providerID: 'p', modelID: 'm' };

/** Every method of a session that sends something, and how the path goes on behind the id. */
const METHODS: readonly [name: string, call: (session: Session) => unknown, suffix: readonly string[]][] = [
  ['refresh', (session) => session.refresh(), []],
  ['prompt', (session) => session.prompt('hi'), ['prompt_async']],
  ['stream', (session) => session.stream('hi').result, ['prompt_async']],
  ['command', (session) => session.command({ command: 'c' }), ['command']],
  ['shell', (session) => session.shell({ command: 'c', agent: 'a' }), ['shell']],
  ['init', (session) => session.init(MODEL), ['init']],
  ['addContext', (session) => session.addContext('hi'), ['message']],
  ['messages', (session) => session.messages(), ['message']],
  ['message', (session) => session.message('msg_1'), ['message', 'msg_1']],
  ['deleteMessage', (session) => session.deleteMessage('msg_1'), ['message', 'msg_1']],
  ['deletePart', (session) => session.deletePart('msg_1', 'prt_1'), ['message', 'msg_1', 'part', 'prt_1']],
  [
    'updatePart',
    (session) =>
      session.updatePart({
        ...{ id: 'prt_1', messageID: 'msg_1', sessionID: session.id },
        ...{ type: 'snapshot', snapshot: '' },
      }),
    ['message', 'msg_1', 'part', 'prt_1'],
  ],
  [
    'replyPermission',
    (session) => session.replyPermission('per_1', { reply: 'once' }),
    ['permissions', 'per_1'],
  ],
  // It first looks whether the answer has begun.
  ['abort', (session) => session.abort(), ['message']],
  ['children', (session) => session.children(), ['children']],
  ['todos', (session) => session.todos(), ['todo']],
  ['diff', (session) => session.diff(), ['diff']],
  ['summarize', (session) => session.summarize(MODEL), ['summarize']],
  ['share', (session) => session.share(), ['share']],
  ['unshare', (session) => session.unshare(), ['share']],
  ['revert', (session) => session.revert({ messageID: 'msg_1' }), ['revert']],
  ['unrevert', (session) => session.unrevert(), ['unrevert']],
  ['fork', (session) => session.fork(), ['fork']],
  ['update', (session) => session.update({ title: 't' }), []],
  ['delete', (session) => session.delete(), []],
];

/** A repository whose server knows one session, of `directory`, with a message, and refuses all else; and what it was asked. */
function repoWith(directory: string): { readonly repo: RepoClient; readonly paths: string[] } {
  const paths: string[] = [];
  let sessionID = '';
  const fetch: FetchFunction = async (input, init) => {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    if (pathname === '/global/event') {
      const frame = 'data: {"payload":{"id":"evt_1","type":"server.connected","properties":{}}}\n\n';
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode(frame)),
      });
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    }
    if (pathname === '/global/health') return Response.json({ healthy: true, version: '1.18.33' });
    // Loads the instance.
    if (pathname === '/path') return Response.json({});
    // The request that `replyPermission` answers is of whichever session was asked for last.
    if (pathname === '/permission') return Response.json([{ id: 'per_1', sessionID, permission: 'bash' }]);
    paths.push(pathname);
    const [, collection, id = '', ...rest] = pathname.split('/');
    const isRead = request.method === 'GET' && collection === 'session';
    if (isRead && rest[0] === 'children') return Response.json([]);
    if (isRead && rest.length === 2) {
      const info = { id: 'msg_1', sessionID: id, role: 'user' };
      return Response.json({ info, parts: [{ id: 'prt_1', messageID: 'msg_1', type: 'snapshot' }] });
    }
    if (isRead && rest.length === 0 && id !== 'status') {
      const time = { created: 1, updated: 1 };
      sessionID = decodeURIComponent(id);
      return Response.json({ id: sessionID, directory, title: 't', time });
    }
    return Response.json({ name: 'BadRequest', data: {} }, { status: 400 });
  };
  const jarvis = new JarvisOpenCode(fakeHandle(), { fetch, idle: false });
  onTestFinished(() => jarvis.close());
  return { repo: jarvis.forRepo('/srv/app'), paths };
}

/** Runs it to its end, whatever that is. */
async function settle(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return error;
  }
}

describe.each(METHODS)('session.%s()', (_name, call, suffix) => {
  it.each(['a/b', '../../global/config', '%2e%2e', '%2F', 'a?b#c', '100%', ' ', '日🦊', '__proto__'])(
    'keeps the session id %j in one segment of the path',
    async (id) => {
      const { repo, paths } = repoWith('/srv/app');
      await settle(() => call(repo.sessions.session(id)));
      const segments = paths.map((path) => path.split('/').slice(1).map(decodeURIComponent));
      expect(segments).toContainEqual(['session', id, ...suffix]);
      for (const [collection, sent] of segments) {
        expect(collection).toBe('session');
        expect([id, 'status']).toContain(sent);
      }
    },
  );

  it('sends nothing to a session of another repository, once its owner is known', async () => {
    const { repo, paths } = repoWith('/srv/other');
    const session = repo.sessions.session('ses_1');
    expect(await settle(() => call(session))).toBeInstanceOf(SessionDirectoryError);
    expect(paths).toEqual(['/session/ses%5F1']);
    expect(await settle(() => call(session))).toBeInstanceOf(SessionDirectoryError);
    expect(() => repo.sessions.session('ses_1')).toThrow(SessionDirectoryError);
    expect(paths).toEqual(['/session/ses%5F1']);
  });
});

describe('an id that is none', () => {
  it.each(['', '.', '..', '\ud800', undefined, null, 1, {}, ['ses_1'], Symbol('ses_1')])(
    'refuses an invalid session id before it sends anything: %s',
    async (id) => {
      const { repo, paths } = repoWith('/srv/app');
      expect(() => repo.sessions.session(id as string)).toThrow(TypeError);
      await expect(repo.sessions.get(id as string)).rejects.toThrow(TypeError);
      expect(paths).toEqual([]);
    },
  );
});

describe('a file part', () => {
  it.each(['', 'not a url', '../notes.txt', '//host/x', 'http://[', undefined, 1])(
    'refuses a file part with the URL %j before it sends anything',
    async (url) => {
      const { repo, paths } = repoWith('/srv/app');
      const file = { type: 'file', mime: 'text/plain', url: url as string } as const;
      const session = repo.sessions.session('ses_1');
      expect(await settle(() => session.addContext({ parts: [file] }))).toBeInstanceOf(TypeError);
      expect(() => session.stream({ parts: [{ type: 'text', text: 'hi' }, file] })).toThrow(/parts.*url/);
      expect(paths).toEqual([]);
    },
  );
});
