import { describe, expect, it } from 'vitest';
import {
  ConnectionError,
  JarvisOpenCode,
  ResponseShapeError,
  type FetchFunction,
  type RequestOptions,
} from 'jarvis-opencode';
import { FakeOpenCode } from '../../../support/fake-opencode.js';
import { fakeHandle } from '../../../support/server-handle.js';

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
