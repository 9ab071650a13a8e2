import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  ConnectionError,
  JarvisOpenCode,
  ResponseShapeError,
  type FetchFunction,
  type RepoClient,
  type RequestOptions,
} from 'jarvis-opencode';
import { FakeOpenCode } from '../../../support/fake-opencode.js';
import { changingHandle, fakeHandle, type ChangingHandle } from '../../../support/server-handle.js';
import { deferred } from '../../../support/wait.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

describe('repo.path()', () => {
  it('refuses an answer of repo.path() for another directory', async () => {
    const fetch = (): Promise<Response> =>
      Promise.resolve(Response.json({ directory: '/srv/other', worktree: '/' }));
    await using jarvis = new JarvisOpenCode(fakeHandle(), { fetch, idle: false });
    const error = await jarvis
      .forRepo('/srv/app')
      .path()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ResponseShapeError);
    expect(error).toMatchObject({
      issues: [{ path: 'directory', message: 'expected "/srv/app", got "/srv/other"' }],
    });
  });
});

describe('a disposal', () => {
  it.each<[string, string, (jarvis: JarvisOpenCode, options: RequestOptions) => Promise<unknown>]>([
    [
      'of a repository',
      '/instance/dispose',
      (jarvis, options) => jarvis.forRepo('/srv/app').dispose(options),
    ],
    [
      'by force',
      '/instance/dispose',
      (jarvis, options) => jarvis.forRepo('/srv/app').dispose({ ...options, force: true }),
    ],
    ['of all', '/global/dispose', (jarvis, options) => jarvis.global.dispose(options)],
  ])('sends %s with the headers, and as often, as its caller chose', async (_what, path, dispose) => {
    const server = new FakeOpenCode('/srv/app');
    const headers: (string | null)[] = [];
    const fetch: FetchFunction = (input, init) => {
      const request = new Request(input, init);
      if (new URL(request.url).pathname !== path) return server.fetch(request);
      headers.push(request.headers.get('x-trace'));
      if (headers.length === 1)
        return Promise.reject(
          new TypeError('refused', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) }),
        );
      server.event('server.instance.disposed', { directory: '/srv/app' });
      return Promise.resolve(Response.json(true));
    };
    await using jarvis = new JarvisOpenCode(fakeHandle(), { fetch, idle: false });
    await jarvis.forRepo('/srv/app').permissions.list();
    const refused = dispose(jarvis, { headers: { 'x-trace': 'one' }, retry: false });
    await expect(refused).rejects.toBeInstanceOf(ConnectionError);
    await dispose(jarvis, { headers: { 'x-trace': 'two' } });
    expect(headers).toEqual(['one', 'two']);
  });
});

describe('repo.prompt()', () => {
  const CREATE = 'POST /session';
  const PROMPT = 'POST /session/ses_new/prompt_async';
  const DELETE = 'DELETE /session/ses_new';
  let handle: ChangingHandle;
  let server: FakeOpenCode;
  let jarvis: JarvisOpenCode;
  let repo: RepoClient;
  let headers: Record<string, string | null>;

  function makeSession(): Response {
    server.sessions.set('ses_new', {});
    return server.usual({ method: 'GET', path: '/session/ses_new', body: undefined, directory: '/srv/app' });
  }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    handle = changingHandle();
    headers = {};
    server = new FakeOpenCode('/srv/app');
    server.sessions.set('ses_other', {});
    server.answer(CREATE, makeSession);
    server.answer('GET /session/ses_new/children', () => Response.json([]));
    server.answer(DELETE, () => Response.json(true));
    const fetch: FetchFunction = (input, init) => {
      const request = new Request(input, init);
      headers[`${request.method} ${new URL(request.url).pathname}`] = request.headers.get('x-trace');
      return server.fetch(request);
    };
    jarvis = new JarvisOpenCode(handle, { fetch, idle: false, turns: { concurrency: 1 } });
    onTestFinished(() => jarvis.close());
    repo = jarvis.forRepo('/srv/app');
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('ends with queueTimeoutMs while the server is away, and makes no session', async () => {
    handle.change({ state: 'restarting' });
    const outcome = repo.prompt('x', { queueTimeoutMs: 1_000 }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await outcome).toMatchObject({
      name: 'TimeoutError',
      phase: 'queue',
      timeoutMs: 1_000,
      message: expect.stringContaining('Waiting for its repository or the server to make a session'),
    });
    handle.change({ state: 'ready' });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.count(CREATE)).toBe(0);
  });

  it('counts queueTimeoutMs from its call, not from when the session is made', async () => {
    const other = repo.sessions.session('ses_other').stream('x');
    other.result.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(500);
    const makes = deferred();
    server.answer(CREATE, () => makes.promise.then(makeSession));
    const settled = vi.fn();
    repo.prompt('x', { queueTimeoutMs: 1_000 }).catch(settled);
    await vi.advanceTimersByTimeAsync(600);
    makes.resolve();
    await vi.advanceTimersByTimeAsync(399);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2);
    await vi.waitFor(() => expect(server.count(DELETE)).toBe(1));
    expect(server.count(PROMPT)).toBe(0);
  });

  it('sends the headers of the caller with each request for the session', async () => {
    const outcome = repo.prompt('x', { headers: { 'x-trace': 'one' } }).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(500);
    expect(headers).toMatchObject({ [CREATE]: 'one', [PROMPT]: 'one' });
    server.busy.clear();
    server.event('session.deleted', { sessionID: 'ses_new' });
    await vi.advanceTimersByTimeAsync(60_000);
    await outcome;
    expect(headers[DELETE]).toBe('one');
  });

  it('deletes the session of a prompt that ends while the client drains', async () => {
    const outcome = repo.prompt('x').catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(500);
    expect(server.count(PROMPT)).toBe(1);
    const closing = jarvis.close({ drainMs: 600_000 });
    server.busy.clear();
    server.event('session.error', {
      sessionID: 'ses_new',
      error: { name: 'UnknownError', data: { message: 'broken' } },
    });
    server.event('session.idle', { sessionID: 'ses_new' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await outcome).toMatchObject({ name: 'TurnError' });
    await closing;
    expect(server.count(DELETE)).toBe(1);
  });

  it('makes no session while the client drains', async () => {
    const other = repo.sessions.session('ses_other').stream('x');
    other.result.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(500);
    const closing = jarvis.close({ drainMs: 600_000 });
    const outcome = repo.prompt('x').catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(500);
    expect(server.count(CREATE)).toBe(0);
    expect(await outcome).toMatchObject({ name: 'ClosedError', isDraining: true });
    await jarvis.close();
    await closing;
  });
});
