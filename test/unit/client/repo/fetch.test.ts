import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ClosedError,
  OperationRefusedError,
  ServerLostError,
  SessionDirectoryError,
  type FetchFunction,
} from 'jarvis-opencode';
import { Http } from '../../../../src/client/http/http.js';
import { createRepoFetch, REPO_BASE_URL } from '../../../../src/client/repo/fetch.js';
import { RepoTransport } from '../../../../src/client/http/repo-transport.js';
import { FakeEventSource, take } from '../../../support/event-source.js';

const SERVER = 'http://127.0.0.1:1';

interface Frame {
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

let source: FakeEventSource;
let fetch: FetchFunction;
/** What was sent to the server, as `METHOD path?query`. */
let sent: string[];
/** The id of the event with which the next subscription begins. */
let beginning: string;
/** Whether a subscription can begin. */
let isBeginning: () => boolean;
/** How the server answers. */
let respond: (path: string) => Response | Promise<Response>;

beforeEach(() => {
  source = new FakeEventSource();
  sent = [];
  beginning = '';
  isBeginning = () => true;
  respond = () => Response.json([]);
  const never = (): Promise<never> => Promise.reject(new Error('nothing is sent'));
  const http = new Http({
    endpoint: () => ({ url: SERVER, authorization: 'Basic secret' }),
    signal: new AbortController().signal,
    fetch: async (input, init) => {
      const path = (input as string).slice(SERVER.length);
      if (path === '/global/event' && !isBeginning()) throw new TypeError('fetch failed');
      if (path === '/global/event') return eventStream(init?.signal ?? undefined);
      sent.push(`${init?.method ?? 'GET'} ${path}`);
      return respond(path);
    },
  });
  const { hub } = source;
  fetch = createRepoFetch({
    http,
    hub,
    transport: new RepoTransport(http, '/a', () => Promise.resolve(() => undefined)),
    hold: () => () => undefined,
    verify: (sessionID) => {
      if (sessionID === 'ses_a') return Promise.resolve();
      return Promise.reject(new SessionDirectoryError({ sessionID, expected: '/a', found: '/b' }));
    },
    projectID: () => Promise.resolve('project_a'),
    guarded: {
      dispose: never,
      updateConfig: never,
      initGit: never,
      disposeAll: never,
      updateGlobalConfig: never,
    },
  });
});

/** A subscription of the server, as far as it is looked at: it goes on until it is aborted, and then fails like `fetch`. */
function eventStream(signal: AbortSignal | undefined): Response {
  const frame = { payload: { id: beginning, type: 'server.connected', properties: {} } };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(frame)}\n\n`));
      signal?.addEventListener('abort', () => controller.error(signal.reason));
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

afterEach(async () => {
  await source.hub.close(new ClosedError());
  expect([source.open, source.hub.size]).toEqual([0, 0]);
});

function subscribe(signal?: AbortSignal): Promise<Response> {
  return fetch(`${REPO_BASE_URL}/event`, signal && { signal });
}

/** The frames of an answer, as they come: each is written whole. */
async function* framesOf({ body }: Response): AsyncGenerator<Frame, void, undefined> {
  const decoder = new TextDecoder();
  for await (const piece of body as ReadableStream<Uint8Array>)
    yield JSON.parse(decoder.decode(piece).slice('data: '.length)) as Frame;
}

async function firstFrames(response: Response, count: number): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of framesOf(response)) if (frames.push(frame) === count) break;
  return frames;
}

function frameOf(directory: string | undefined, payload: object): string {
  return `data: ${JSON.stringify({ directory, payload })}\n\n`;
}

/** Waits until the hub has read everything sent so far. */
async function settled(): Promise<void> {
  const mark = source.hub.stream('/mark');
  source.send('/mark', 'project.updated');
  await take(mark, 1);
}

describe('GET /event', () => {
  it('streams on GET /event the events of the repository and the heartbeats, and nothing of others', async () => {
    const response = await subscribe();
    source.send('/b', 'session.idle', { sessionID: 'ses_b' });
    source.send(undefined, 'server.heartbeat');
    source.send('/a', 'session.idle', { sessionID: 'ses_a' });
    source.send('/a', 'brand.new', { n: 1 });
    expect(await firstFrames(response, 4)).toMatchObject([
      { type: 'server.connected' },
      { type: 'server.heartbeat' },
      { type: 'session.idle', properties: { sessionID: 'ses_a' } },
      { type: 'brand.new', properties: { n: 1 } },
    ]);
  });

  it('leaves out of GET /event what the server sent before the subscription began, also when it comes later', async () => {
    beginning = 'evt_m';
    const response = await subscribe();
    source.write(frameOf('/a', { id: 'evt_l', type: 'session.idle', properties: { sessionID: 'ses_a' } }));
    source.write(frameOf(undefined, { id: 'evt_l', type: 'server.heartbeat', properties: {} }));
    source.write(frameOf('/a', { id: 'evt_n', type: 'brand.new', properties: {} }));
    source.write(frameOf('/a', { id: 'evt_a', type: 'brand.newer', properties: {} }));
    expect(await firstFrames(response, 3)).toMatchObject([
      { type: 'server.connected', id: 'evt_m' },
      { type: 'brand.new' },
      { type: 'brand.newer' },
    ]);
  });

  it('begins GET /event on the next server when the server on which it is to begin ends', async () => {
    let asked = 0;
    isBeginning = () => (asked += 1) > 2;
    const response = await subscribe();
    expect(asked).toBe(3);
    source.send('/a', 'brand.new');
    expect(await firstFrames(response, 2)).toMatchObject([
      { type: 'server.connected' },
      { type: 'brand.new' },
    ]);
  });

  it('parses no event of others for GET /event', async () => {
    source.wants = () => false;
    const response = await subscribe();
    source.write('data: {"directory":"/b","payload":{"id":"evt_1","type":"session.idle","oops\n\n');
    source.send('/a', 'brand.new');
    expect(await firstFrames(response, 2)).toMatchObject([
      { type: 'server.connected' },
      { type: 'brand.new' },
    ]);
    expect(source.logged).toEqual([]);
  });

  it('keeps a bounded number of events for a slow reader of GET /event, and reports how many it dropped', async () => {
    const response = await subscribe();
    for (let n = 1; n <= 50_000; n += 1) {
      source.send('/a', 'brand.new', { n });
      if (n % 1_000 === 0) await settled();
    }
    source.send('/a', 'last.one');
    await settled();
    const frames: Frame[] = [];
    for await (const frame of framesOf(response)) {
      frames.push(frame);
      if (frame.type === 'last.one') break;
    }
    const [connected, gap, ...events] = frames;
    expect(connected?.type).toBe('server.connected');
    expect(gap).toMatchObject({ type: 'jarvis.gap', properties: { reason: 'overflow' } });
    expect(events.length).toBeLessThanOrEqual(1_000);
    expect(gap?.properties['dropped']).toBe(50_001 - events.length);
    const numbers = events.slice(0, -1).map(({ properties }) => properties['n']);
    expect(numbers).toEqual(numbers.map((_, index) => 50_001 - numbers.length + index));
  });

  it('sends a gap in place of an event that is nested without end', async () => {
    const response = await subscribe();
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    source.write(`data: {"directory":"/a","payload":{"type":"brand.new","properties":{"deep":${deep}}}}\n\n`);
    source.send('/a', 'last.one');
    expect(await firstFrames(response, 3)).toMatchObject([
      { type: 'server.connected' },
      { type: 'jarvis.gap', properties: { reason: 'overflow', dropped: 1 } },
      { type: 'last.one' },
    ]);
  });

  it('reports in the gap of GET /event changes of this repository only', async () => {
    const response = await subscribe();
    const change = { busy: [], idle: [], asked: [], answered: [] };
    source.changes = [
      { ...change, directory: '/a' },
      { ...change, directory: '/b' },
    ];
    source.connections.at(-1)?.close();
    expect(await firstFrames(response, 2)).toMatchObject([
      { type: 'server.connected' },
      { type: 'jarvis.gap', properties: { reason: 'reconnect', changed: [{ directory: '/a' }] } },
    ]);
  });

  it('sends on GET /event the states of the server, and the gap that its restart has left', async () => {
    const response = await subscribe();
    source.link.markLost(new ServerLostError('The work on the server'));
    source.hub.publishServerChange({ state: 'restarting', attempt: 1 });
    source.link.markReady();
    source.hub.publishServerChange({ state: 'ready' });
    expect(await firstFrames(response, 4)).toMatchObject([
      { type: 'server.connected' },
      { type: 'jarvis.server', properties: { state: 'restarting', attempt: 1 } },
      { type: 'jarvis.server', properties: { state: 'ready' } },
      { type: 'jarvis.gap', properties: { reason: 'restart' } },
    ]);
  });

  it('ends GET /event with the client', async () => {
    const { signal } = new AbortController();
    const response = await subscribe(signal);
    await source.hub.close(new ClosedError());
    expect(await firstFrames(response, 9)).toMatchObject([{ type: 'server.connected' }]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('fails GET /event with the server, after the events that came before', async () => {
    const { signal } = new AbortController();
    const response = await subscribe(signal);
    source.send('/a', 'brand.new');
    await settled();
    const lost = new ServerLostError('The work on the server');
    await source.hub.close(lost);
    const reading = framesOf(response);
    expect((await reading.next()).value).toMatchObject({ type: 'server.connected' });
    expect((await reading.next()).value).toMatchObject({ type: 'brand.new' });
    await expect(reading.next()).rejects.toBe(lost);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends GET /event by its signal, at any time, and by its reader', async () => {
    source.isSilent = true;
    const early = new AbortController();
    const connecting = subscribe(early.signal);
    early.abort('enough');
    await expect(connecting).rejects.toBe('enough');
    source.isSilent = false;
    source.send(undefined, 'server.connected');

    const late = new AbortController();
    const response = await subscribe(late.signal);
    const reader = response.body?.getReader();
    await reader?.read();
    const waiting = reader?.read();
    late.abort('later');
    await expect(waiting).rejects.toBe('later');

    const unused = new AbortController();
    await (await subscribe(unused.signal)).body?.cancel();
    for (const { signal } of [early, late, unused]) expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(source.hub.size).toBe(0);
  });
});

/** What became of a request: what was sent of it, or the name of the error. */
async function outcome(method: string, path: string, body?: unknown): Promise<string> {
  sent.length = 0;
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const result = await fetch(REPO_BASE_URL + path, init).then(
    (response) => String(response.status),
    (error: Error) => error.name,
  );
  return sent.at(-1) ?? result;
}

describe('a request in any spelling', () => {
  it.each([
    ['GET', '/vcs', 'GET /vcs'],
    ['GET', '//vcs', 'GET /vcs'],
    ['GET', '/vcs//', 'GET /vcs'],
    ['GET', '/VCS', 'GET /vcs'],
    ['GET', '/%76cs', 'GET /vcs'],
    ['GET', '/x/../vcs', 'GET /vcs'],
    ['GET', '/x/%2e%2E/vcs/.', 'GET /vcs'],
    ['GET', '\\vcs', 'GET /vcs'],
    ['patch', '/session/ses_a', 'PATCH /session/ses_a'],
    ['GET', '/Session/ses_a//MESSAGE/?Limit=1&limit=2', 'GET /session/ses_a/message?limit=2'],
    ['GET', '/session/%73es_a', 'GET /session/ses_a'],
    ['POST', '/mcp/a%2Fb/connect', 'POST /mcp/a%2Fb/connect'],
    ['GET', '/session', 'GET /session?directory=%2Fa'],
  ])('sends %s %s as %s', async (method, path, expected) => {
    expect(await outcome(method, path)).toBe(expected);
  });

  it.each(['', '/', '//', '%2f'].map((slash) => `${slash}session/ses_b`))(
    'does not send a request for a session of another repository: %s',
    async (path) => {
      const refusal = path.startsWith('%2f') ? 'OperationRefusedError' : 'SessionDirectoryError';
      expect(await outcome('GET', `/${path}`)).toBe(refusal);
    },
  );

  it.each([
    ['HEAD', '/session'],
    ['OPTIONS', '/session'],
    ['GET', '/'],
    ['GET', '/doc'],
    ['GET', '/nope'],
    ['GET', '/session/ses_a/nope'],
    ['GET', '/session%2Fses_a'],
    ['GET', '/session%5Cses_a'],
    ['GET', '/session/ses_a%2F..%2Fses_b'],
    ['GET', '/session/ses_a%5C..'],
    ['GET', '/session/%2573es_a'],
    ['GET', '/session/ses_a%00'],
    ['GET', '/%ff'],
    ['GET', '/vcs%'],
    ['GET', '/api/session/ses_b'],
    ['POST', '//API//session'],
    ['GET', '/experimental/session'],
    ['DELETE', '//experimental/worktree/'],
    ['POST', '/experimental/WORKTREE/reset'],
    ['POST', '/experimental/control-plane/move-session'],
    ['POST', '/sync/replay'],
    ['POST', '/global/upgrade'],
    ['GET', '/pty/pty_1/connect'],
  ])('refuses %s %s and names what to use instead', async (method, path) => {
    const refusal = await fetch(REPO_BASE_URL + path, { method }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(OperationRefusedError);
    expect((refusal as OperationRefusedError).message).toMatch(/^Refused [A-Z]+ \/.*: .+\. Use .+\.$/);
    expect(sent).toEqual([]);
  });
});

describe('a request that names another place', () => {
  it('sends a request without the parts that choose a directory, a workspace or credentials', async () => {
    const headers: Record<string, string> = {};
    respond = () => Response.json({});
    const http = new Http({
      endpoint: () => ({ url: SERVER }),
      signal: new AbortController().signal,
      fetch: (_input, init) => {
        Object.assign(headers, Object.fromEntries(new Headers(init?.headers)));
        return Promise.resolve(Response.json({}));
      },
    });
    const pinned = createRepoFetch({
      http,
      hub: source.hub,
      transport: new RepoTransport(http, '/a', () => Promise.resolve(() => undefined)),
      hold: () => () => undefined,
      verify: () => Promise.resolve(),
      projectID: () => Promise.resolve(''),
      guarded: {} as never,
    });
    await pinned(`${REPO_BASE_URL}/vcs`, {
      headers: {
        ...{ 'X-OpenCode-Directory': '/b', 'x-opencode-workspace': 'wrk_b', 'x-opencode-ticket': '1' },
        ...{ authorization: 'Basic mine', cookie: 'a=b', 'x-mine': 'kept' },
      },
    });
    expect(headers).toEqual({
      accept: 'application/json',
      'x-mine': 'kept',
      'x-opencode-directory': '%2Fa',
      'x-opencode-ticket': '1',
    });
    const query = 'directory=/b&directory=&Directory=/b&%64irectory=/b&location[directory]=/b&workspace=w';
    expect(await outcome('GET', `/vcs/diff?${query}&auth_token=x&mode=git`)).toBe('GET /vcs/diff?mode=git');
  });

  it.each<[string, string, object, string]>([
    ['POST', '/session', { parentID: 'ses_b' }, 'SessionDirectoryError'],
    ['POST', '/session', { parentID: 'ses_a' }, 'POST /session'],
    ['POST', '/session', { workspaceID: 'wrk_1' }, 'OperationRefusedError'],
    ['POST', '/tui/select-session', { sessionID: 'ses_b' }, 'SessionDirectoryError'],
    [
      'POST',
      '/tui/publish',
      { type: 'tui.session.select', properties: { sessionID: 'ses_b' } },
      'SessionDirectoryError',
    ],
    ['POST', '/pty', { cwd: '/b' }, 'OperationRefusedError'],
    ['POST', '/pty', { cwd: '/a/../b' }, 'OperationRefusedError'],
    ['POST', '/pty', { cwd: '/ab' }, 'OperationRefusedError'],
    ['POST', '/pty', { cwd: 'sub' }, 'OperationRefusedError'],
    ['POST', '/pty', { cwd: '/a/sub' }, 'POST /pty'],
    ['PATCH', '/project/project_b', {}, '404'],
    ['PATCH', '/project/project_a', {}, 'PATCH /project/project_a'],
  ])(
    'keeps a request that names another place within the repository: %s %s with the body %j gives %s',
    async (method, path, body, expected) => {
      expect(await outcome(method, path, body)).toBe(expected);
    },
  );

  it('returns only the entries of the repository', async () => {
    const listed = async (path: string): Promise<unknown> => (await fetch(REPO_BASE_URL + path)).json();
    respond = () =>
      Response.json([
        { id: 'ses_b', directory: '/b' },
        { id: 'ses_a', directory: '/a' },
      ]);
    expect(await listed('/session')).toEqual([{ id: 'ses_a', directory: '/a' }]);
    expect(await listed('/session/ses_a/children')).toEqual([{ id: 'ses_a', directory: '/a' }]);
    respond = () => Response.json([{ id: 'project_a' }, { id: 'project_b' }]);
    expect(await listed('/project')).toEqual([{ id: 'project_a' }]);
  });

  it('refuses a URL of another origin or with credentials, and repeats neither in an error', async () => {
    for (const url of [
      'http://127.0.0.1:1/vcs',
      'https://opencode.invalid/vcs',
      '/vcs',
      'no url',
      '//x/vcs',
    ]) {
      await expect(fetch(url)).rejects.toThrow(/^Expected a URL below http:\/\/opencode\.invalid/);
    }
    for (const url of ['http://me:hunter2@opencode.invalid/vcs', 'http://me:hunter2@127.0.0.1:1/vcs']) {
      const error = await fetch(url).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).not.toContain('hunter2');
    }
    class WithCredentials extends Request {
      override get url(): string {
        return 'http://me:hunter2@opencode.invalid/vcs';
      }
    }
    await expect(fetch(new WithCredentials(`${REPO_BASE_URL}/vcs`))).rejects.toThrow(/without credentials/);
    expect(sent).toEqual([]);
  });

  it('takes a stream as the body of a request, and closes an endless one when its signal aborts', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    void writer.write(new TextEncoder().encode('{"parentID":')).catch(() => undefined);
    const init = { method: 'POST', body: readable, duplex: 'half' } as RequestInit;
    const posting = fetch(`${REPO_BASE_URL}/session`, init);
    void writer.write(new TextEncoder().encode('"ses_b"}')).catch(() => undefined);
    void writer.close().catch(() => undefined);
    await expect(posting).rejects.toBeInstanceOf(SessionDirectoryError);
    const endless = new AbortController();
    const body = new TransformStream<Uint8Array, Uint8Array>().readable;
    const waiting = fetch(`${REPO_BASE_URL}/log`, {
      ...{ method: 'POST', body, duplex: 'half', signal: endless.signal },
    });
    endless.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    expect(sent).toEqual([]);
  });
});
