import fc from 'fast-check';
import {
  JarvisError,
  JarvisOpenCode,
  RepoPathError,
  ResponseShapeError,
  type FetchFunction,
  type RepoClient,
  type RequestOptions,
} from 'jarvis-opencode';
import { fakeHandle } from '../support/server-handle.js';
import { describe, expect, it, vi } from 'vitest';

// Whatever comes in, nothing but typed errors comes out. An unhandled rejection fails the run by itself.

// The same values in every run; another seed by hand finds more.
fc.configureGlobal({ seed: Number(process.env['FUZZ_SEED'] ?? 1) });
vi.setConfig({ testTimeout: 60_000 });

const RUNS = { numRuns: 300 };

const handle = fakeHandle();

function client(answer: (url: URL) => Response | Promise<Response>): JarvisOpenCode {
  const fetch: FetchFunction = async (input, init) => answer(new URL(new Request(input, init).url));
  return new JarvisOpenCode(handle, { fetch, idle: false });
}

/** What a call ended with: `undefined` when it succeeded. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error ?? new Error(`${String(error)} was thrown`);
  }
}

/** A mistake of the library shows as the engine's own `TypeError`. What `new Headers()` says of the caller's is good enough. */
const ENGINE_ERROR =
  /^(?!Headers).*(Cannot (read|set|destructure|use|convert (undefined|object|a Symbol))|is not (a function|iterable|defined|a constructor))/;

function expectTyped(error: unknown): void {
  if (error === undefined || error instanceof JarvisError) return;
  if ((error instanceof TypeError || error instanceof RangeError) && !ENGINE_ERROR.test(error.message))
    return;
  expect.fail(`not a typed error: ${error instanceof Error ? error.stack : typeof error}`);
}

const SESSION = {
  id: 'ses_1',
  directory: '/repo',
  title: 't',
  time: { created: 1, updated: 1 },
};

function isSession({ pathname }: URL): boolean {
  return decodeURIComponent(pathname) === '/session/ses_1';
}

function messageWith(partID: string): object {
  const info = { id: 'msg_1', sessionID: 'ses_1', role: 'user' };
  return { info, parts: [{ id: partID, messageID: 'msg_1', type: 'snapshot' }] };
}

/** Texts of all kinds, the dangerous ones often. */
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    ...[
      '',
      '.',
      '..',
      '/',
      '%',
      '%2e%2e',
      '%2F',
      '..%2f',
      'a/../b',
      'a?b#c',
      '\\',
      '\0',
      ' ',
      '\ud800',
      'x\udc00y',
    ],
    ...['ses_1', '🦊', '\u202e', '../../etc', 'http://other/', '//other', ';a=b', '__proto__', 'constructor'],
  ),
);
const notText = fc.anything().filter((value) => typeof value !== 'string');

/** Every method that takes an id, with how its path looks around the ids. */
const METHODS_WITH_IDS: readonly {
  readonly name: string;
  readonly call: (repo: RepoClient, ids: readonly [string, string]) => unknown;
  readonly path: (ids: readonly [string, string]) => readonly string[];
}[] = [
  { name: 'get', call: (repo, [a]) => repo.sessions.get(a), path: ([a]) => ['session', a] },
  {
    name: 'message',
    call: (repo, [a]) => repo.sessions.session('ses_1').message(a),
    path: ([a]) => ['session', 'ses_1', 'message', a],
  },
  {
    name: 'deleteMessage',
    call: (repo, [a]) => repo.sessions.session('ses_1').deleteMessage(a),
    path: ([a]) => ['session', 'ses_1', 'message', a],
  },
  {
    name: 'deletePart',
    call: (repo, [a, b]) => repo.sessions.session('ses_1').deletePart(a, b),
    path: ([a, b]) => ['session', 'ses_1', 'message', a, 'part', b],
  },
  {
    name: 'updatePart',
    call: (repo, [a, b]) =>
      repo.sessions
        .session('ses_1')
        .updatePart({ id: b, messageID: a, sessionID: 'ses_1', type: 'snapshot', snapshot: '' }),
    path: ([a, b]) => ['session', 'ses_1', 'message', a, 'part', b],
  },
  {
    name: 'replyPermission',
    call: (repo, [a]) => repo.sessions.session('ses_1').replyPermission(a, { reply: 'once' }),
    path: ([a]) => ['session', 'ses_1', 'permissions', a],
  },
  {
    name: 'permissions.reply',
    call: (repo, [a]) => repo.permissions.reply(a, { reply: 'once' }),
    path: ([a]) => ['permission', a, 'reply'],
  },
  {
    name: 'questions.reject',
    call: (repo, [a]) => repo.questions.reject(a),
    path: ([a]) => ['question', a, 'reject'],
  },
  {
    name: 'project.directories',
    call: (repo, [a]) => repo.project.directories(a),
    path: ([a]) => ['project', a, 'directories'],
  },
  {
    name: 'providers.oauthCallback',
    call: (repo, [a]) => repo.providers.oauthCallback(a, { method: 0 }),
    path: ([a]) => ['provider', a, 'oauth', 'callback'],
  },
  { name: 'pty.get', call: (repo, [a]) => repo.pty.get(a), path: ([a]) => ['pty', a] },
  {
    name: 'mcp.connect',
    call: (repo, [a]) => repo.mcp.connect(a),
    path: ([a]) => ['mcp', a, 'connect'],
  },
];

/** Methods whose answers are read in different ways. */
const METHODS: readonly [string, (repo: RepoClient, options?: RequestOptions) => unknown][] = [
  ['path', (repo, options) => repo.path(options)],
  ['sessions.create', (repo, options) => repo.sessions.create({}, options)],
  ['sessions.list', (repo, options) => repo.sessions.list({}, options)],
  ['sessions.get', (repo, options) => repo.sessions.get('ses_1', options)],
  ['sessions.status', (repo, options) => repo.sessions.status(options)],
  ['session.messages', (repo, options) => repo.sessions.session('ses_1').messages({}, options)],
  ['session.abort', (repo, options) => repo.sessions.session('ses_1').abort(options)],
  ['permissions.list', (repo, options) => repo.permissions.list(options)],
  ['questions.list', (repo, options) => repo.questions.list(options)],
  ['agents.list', (repo, options) => repo.agents.list(options)],
  ['config.get', (repo, options) => repo.config.get(options)],
  ['files.read', (repo, options) => repo.files.read('a', options)],
  ['providers.list', (repo, options) => repo.providers.list(options)],
  ['vcs.get', (repo, options) => repo.vcs.get(options)],
  ['vcs.diffRaw', (repo, options) => repo.vcs.diffRaw(options)],
];
const anyMethod = fc.constantFrom(...METHODS);

describe('forRepo', () => {
  it('makes a client of any directory text, or throws an error that says what is wrong with it', async () => {
    await using jarvis = client(() => Response.json({}));
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          text.map((path) => `/${path}`),
          text.map((path) => `C:\\${path}`),
        ),
        (path) => {
          let repo: RepoClient;
          try {
            repo = jarvis.forRepo(path);
          } catch (error) {
            expect(error).toBeInstanceOf(RepoPathError);
            return;
          }
          expect(jarvis.forRepo(repo.directory)).toBe(repo);
          expect(repo.directory).toMatch(/^(\/|[A-Z]:\\|\\\\)/);
          expect(`${repo.directory}/`).not.toMatch(/\/\.\.?\//);
          expect(repo.directory.isWellFormed()).toBe(true);
        },
      ),
      RUNS,
    );
  });

  it('refuses a directory that is no text', async () => {
    await using jarvis = client(() => Response.json({}));
    fc.assert(
      fc.property(notText, (path) => {
        expect(() => jarvis.forRepo(path as string)).toThrow(TypeError);
      }),
      RUNS,
    );
  });

  it('names the directory in a header that says exactly that directory', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (name) => {
        const seen: (string | null)[] = [];
        const fetch: FetchFunction = async (input, init) => {
          const header = new Request(input, init).headers.get('x-opencode-directory');
          seen.push(header);
          return Response.json({ directory: decodeURIComponent(header ?? ''), worktree: 'w' });
        };
        await using jarvis = new JarvisOpenCode(handle, { fetch, idle: false });
        let repo: RepoClient;
        try {
          repo = jarvis.forRepo(`/${name}`);
        } catch (error) {
          expectTyped(error);
          return;
        }
        await repo.path({ headers: { 'x-opencode-directory': '/other' } });
        expect(new Set(seen.map((header) => decodeURIComponent(header ?? '')))).toEqual(
          new Set([repo.directory]),
        );
      }),
      RUNS,
    );
  });
});

describe.each(METHODS_WITH_IDS)('the ids of $name', ({ call, path }) => {
  it('keeps each id in one segment of the path, or refuses it before it sends anything', async () => {
    await fc.assert(
      fc.asyncProperty(text, text, async (a, b) => {
        const sent: URL[] = [];
        await using jarvis = client((url) => {
          if (isSession(url)) return Response.json(SESSION);
          if (url.pathname === '/path') return Response.json({});
          if (url.pathname === '/permission')
            return Response.json([{ id: a, sessionID: 'ses_1', permission: 'bash' }]);
          if (url.pathname === '/project/current') return Response.json({ id: a, worktree: '/repo' });
          sent.push(url);
          if (url.pathname.split('/').length === 5) return Response.json(messageWith(b));
          return Response.json({ name: 'NotFoundError', data: {} }, { status: 404 });
        });
        const error = await errorOf(() => call(jarvis.forRepo('/repo'), [a, b]));
        expectTyped(error);
        if (error instanceof TypeError) expect(sent).toEqual([]);
        for (const url of sent) {
          expect(url.origin).toBe('http://127.0.0.1:9');
          expect(url.search + url.hash).toBe('');
          const segments = url.pathname.split('/').slice(1).map(decodeURIComponent);
          // A message is read before it is changed.
          expect(segments).toEqual(path([a, b]).slice(0, segments.length));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('refuses an id that is no text', async () => {
    await using jarvis = client((url) => (isSession(url) ? Response.json(SESSION) : Response.error()));
    const repo = jarvis.forRepo('/repo');
    await fc.assert(
      fc.asyncProperty(notText, async (id) => {
        const error = await errorOf(() => call(repo, [id as string, 'x']));
        expect(error).toBeInstanceOf(TypeError);
        expectTyped(error);
      }),
      { numRuns: 100 },
    );
  });
});

describe('answers', () => {
  const body = fc.oneof(
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array(),
    fc.constantFrom(
      '',
      'null',
      '[]',
      '[null]',
      '{}',
      '{"name":1,"data":null}',
      '{"_tag":"X"}',
      '{"data":{"message":3}}',
      '<!doctype html>',
      '{"id":',
      '\ufeff{}',
      JSON.stringify(SESSION),
      JSON.stringify([SESSION, null]),
      '{"__proto__":{"polluted":true}}',
    ),
  );
  const contentType = fc.oneof(
    fc.constantFrom('application/json', 'text/html', 'text/plain', 'text/event-stream', 'image/png', ''),
    fc.string().filter((value) => /^[\x21-\x7e]*$/.test(value)),
  );
  const status = fc.oneof(
    fc.constantFrom(200, 204, 205, 301, 304, 400, 401, 404, 409, 415, 429, 500, 503),
    fc.integer({ min: 200, max: 599 }),
  );

  it('ends in a result or a typed error for an answer of any status, type and content', async () => {
    await fc.assert(
      fc.asyncProperty(anyMethod, status, contentType, body, async ([, call], code, type, content) => {
        const isEmpty = [204, 205, 304].includes(code);
        const payload = typeof content === 'string' ? content : new Uint8Array(content);
        await using jarvis = client(
          () => new Response(isEmpty ? null : payload, { status: code, headers: { 'content-type': type } }),
        );
        expectTyped(await errorOf(() => call(jarvis.forRepo('/repo'), { retry: 0 })));
        expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it('says that an answer of JSON was cut, wherever the cut is', async () => {
    const whole = JSON.stringify([SESSION]);
    const readsJson = METHODS.filter(([name]) => name !== 'vcs.diffRaw');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...readsJson),
        fc.nat({ max: whole.length - 1 }),
        async ([, call], length) => {
          await using jarvis = client(() => new Response(whole.slice(0, length)));
          const error = await errorOf(() => call(jarvis.forRepo('/repo')));
          expect(error).toBeInstanceOf(ResponseShapeError);
          expect(error).toMatchObject({
            issues: [{ path: '', message: expect.stringMatching(/^the body is/) }],
          });
        },
      ),
      RUNS,
    );
  });

  it('ends in a typed error when an answer never comes or breaks off', async () => {
    await fc.assert(
      fc.asyncProperty(anyMethod, fc.anything(), fc.boolean(), async ([, call], reason, breaksOff) => {
        await using jarvis = client(() => {
          if (!breaksOff) throw reason;
          const stream = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(reason) });
          return new Response(stream, { headers: { 'content-type': 'application/json' } });
        });
        const error = await errorOf(() => call(jarvis.forRepo('/repo'), { retry: 0 }));
        expect(error).toBeInstanceOf(JarvisError);
      }),
      RUNS,
    );
  });

  it('delivers or skips any frame of the event stream and keeps the stream open', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(body.map(String), fc.json()), { maxLength: 5 }), async (frames) => {
        const last = { payload: { id: 'evt_1', type: 'last.one', properties: {} }, directory: '/repo' };
        const lines = [...frames, JSON.stringify(last)].map(
          (data) => `data: ${data.replace(/[\r\n]/g, '')}\n\n`,
        );
        await using jarvis = client(
          () =>
            new Response(
              new ReadableStream<Uint8Array>({
                start: (controller) => controller.enqueue(new TextEncoder().encode(lines.join(''))),
              }),
              { headers: { 'content-type': 'text/event-stream' } },
            ),
        );
        const types: string[] = [];
        for await (const event of jarvis.forRepo('/repo').events()) {
          types.push(event.type);
          if (types.includes('last.one')) break;
        }
        expect(types).toContain('last.one');
      }),
      { numRuns: 100 },
    );
  });
});

describe('arguments', () => {
  it('takes options of any kind or refuses them by a typed error', async () => {
    const options = fc.record(
      {
        timeoutMs: fc.oneof(fc.anything(), fc.double(), fc.constantFrom(false, Infinity, NaN, -1, 2 ** 40)),
        retry: fc.oneof(fc.anything(), fc.integer({ max: 0 }), fc.constantFrom(false, NaN, -1)),
        headers: fc.oneof(fc.dictionary(text, text), fc.anything()),
        signal: fc.oneof(fc.anything(), fc.constant(new AbortController().signal)),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(anyMethod, options, async ([, call], given) => {
        await using jarvis = client(
          () => new Response('null', { headers: { 'content-type': 'application/json' } }),
        );
        expectTyped(await errorOf(() => call(jarvis.forRepo('/repo'), given as RequestOptions)));
      }),
      { numRuns: 500 },
    );
  });

  const takers: readonly [string, (repo: RepoClient, input: never) => unknown][] = [
    ['sessions.create', (repo, input) => repo.sessions.create(input)],
    ['sessions.list', (repo, input) => repo.sessions.list(input)],
    ['session.addContext', (repo, input) => repo.sessions.session('ses_1').addContext(input)],
    ['session.stream', (repo, input) => repo.sessions.session('ses_1').stream(input).abort()],
    ['session.update', (repo, input) => repo.sessions.session('ses_1').update(input)],
    ['session.updatePart', (repo, input) => repo.sessions.session('ses_1').updatePart(input)],
    ['session.messages', (repo, input) => repo.sessions.session('ses_1').messages(input)],
    ['permissions.reply', (repo, input) => repo.permissions.reply('per_1', input)],
    ['questions.reply', (repo, input) => repo.questions.reply('que_1', input)],
    ['files.list', (repo, input) => repo.files.list(input)],
    ['find.text', (repo, input) => repo.find.text(input)],
    ['config.update', (repo, input) => repo.config.update(input)],
    ['vcs.apply', (repo, input) => repo.vcs.apply(input)],
    ['pty.create', (repo, input) => repo.pty.create(input)],
    ['mcp.add', (repo, input) => repo.mcp.add(input)],
    ['tui.publish', (repo, input) => repo.tui.publish(input)],
    ['worktrees.remove', (repo, input) => repo.worktrees.remove(input)],
    ['worktrees.forWorktree', (repo, input) => repo.worktrees.forWorktree(input)],
    ['log.write', (repo, input) => repo.log.write(input)],
    ['events', (repo, input) => repo.events(input).close()],
    ['hold', (repo, input) => repo.hold(input)[Symbol.dispose]()],
  ];

  it.each(takers)('takes input of any kind or refuses it by a typed error: %s', async (_, call) => {
    await using jarvis = client((url) =>
      isSession(url) ? Response.json(SESSION) : Response.json({ name: 'BadRequest' }, { status: 400 }),
    );
    const repo = jarvis.forRepo('/repo');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.constantFrom(null, undefined, 0, [], {}), fc.anything(), fc.object(), fc.string()),
        async (input) => {
          expectTyped(await errorOf(() => call(repo, input as never)));
        },
      ),
      { numRuns: 100 },
    );
  });
});
