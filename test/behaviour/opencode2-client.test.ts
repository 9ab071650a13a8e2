import type { JarvisOpenCode } from 'jarvis-opencode';
import { mockOpenCode, text, waitFor } from 'jarvis-opencode/testing';
import { setupServer, type SetupServer } from 'msw/node';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { at, OpenCode2Client } from '../support/opencode2-client.js';

const LONG = { timeout: 10_000 };

// What others do on a server of OpenCode 2, and what only such a server does.
describe('a client of OpenCode 2', () => {
  let mock: ReturnType<typeof mockOpenCode>;
  let server: SetupServer;
  let jarvis: JarvisOpenCode;
  /** Another client, which does not use this library. */
  let other: OpenCode2Client;
  beforeEach(async () => {
    mock = mockOpenCode({ opencode: 2, script: ({ prompt }) => [text(`Re: ${prompt}`)] });
    server = setupServer(...mock.handlers);
    server.listen({ onUnhandledRequest: 'error' });
    jarvis = await mock.client({ idle: { idleTimeoutMs: 600_000 } });
    other = new OpenCode2Client(mock.connectOptions);
  });
  afterEach(async () => {
    other.close();
    await mock.close();
    server.close();
  });

  it('knows of an instance that others have loaded before it connected', async () => {
    const directory = await mock.repo();
    await other.get(`/api/location?${at(directory)}`);
    const repo = jarvis.forRepo(directory);
    expect(repo.stats().loaded).toBe(false);
    const events = jarvis.events();
    await events.ready;
    await vi.waitFor(() => expect(repo.stats().loaded).toBe(true), LONG);
    await events.close();
  });

  it('notices that others, or the server itself, have evicted an instance, and loads it with the next prompt', async () => {
    const repo = jarvis.forRepo(await mock.repo());
    const session = await repo.sessions.create();
    await session.prompt('one');
    await mock.dispose(repo.directory);
    await vi.waitFor(
      () => expect(repo.stats()).toMatchObject({ loaded: false, disposals: { external: 1 } }),
      LONG,
    );
    expect((await session.prompt('two')).text).toBe('Re: two');
    expect(repo.stats()).toMatchObject({ loaded: true, boots: 2 });
  });

  it('lists no session of another directory, whoever made it there', async () => {
    const [own, foreign] = [await mock.repo(), await mock.repo()];
    const repo = jarvis.forRepo(own);
    const mine = await repo.sessions.create({ title: 'Mine' });
    const theirs = await other.session(foreign);
    // What a client of OpenCode 1 would send: the server takes its own working directory.
    await other.post(`/api/session?directory=${encodeURIComponent(own)}`, {});
    expect((await repo.sessions.list()).map(({ id }) => id)).toEqual([mine.id]);
    await expect(repo.sessions.get(theirs)).rejects.toMatchObject({ name: 'SessionDirectoryError' });
  });

  it('follows a prompt of another client in its session and joins it', async () => {
    const repo = jarvis.forRepo(await mock.repo());
    const session = await repo.sessions.create();
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    mock.script(() => [text('First. '), waitFor(opened), text('Second.')]);
    await other.prompt(session.id, 'From elsewhere');
    await vi.waitFor(async () => expect(await repo.sessions.status()).toHaveProperty(session.id), LONG);
    const joined = await session.attach();
    open();
    expect((await joined?.result)?.text).toBe('First. Second.');
  });

  it('gives the history as the server stores it, and the same conversation as messages', async () => {
    const session = await jarvis.forRepo(await mock.repo()).sessions.create();
    await session.prompt('one');
    await session.prompt('two');
    const entries = await session.entries();
    expect(entries.map(({ type }) => type)).toEqual([
      'user',
      'assistant',
      'idle',
      'user',
      'assistant',
      'idle',
    ]);
    const ids: string[] = [];
    for await (const { id } of session.entries({ limit: 2 })) ids.push(id);
    expect(ids).toEqual(entries.map(({ id }) => id).reverse());
    const messages = await session.messages();
    expect(messages.map(({ info }) => info.id)).toEqual(
      entries.filter(({ type }) => type !== 'idle').map(({ id }) => id),
    );
    const [newest] = await session.messages({ limit: 1 });
    expect(newest?.info).toMatchObject({ role: 'assistant', parentID: messages.at(-2)?.info.id });
  });

  it('has no entries to give on OpenCode 1', async () => {
    using one = mockOpenCode();
    server.use(...one.handlers);
    const client = await one.client();
    const session = await client.forRepo(await one.repo()).sessions.create();
    await expect(session.entries()).rejects.toMatchObject({ name: 'UnsupportedOperationError', opencode: 1 });
  });

  it('goes on with its conversations from the snapshot of an earlier client', async () => {
    const repo = jarvis.forRepo(await mock.repo());
    await repo.sessions.create({}, { jarvisSessionID: 'chat' });
    const restore = jarvis.snapshot();
    await jarvis.close();
    const next = await mock.client({ restore });
    expect((await next.sessions.reconcile()).kept).toHaveLength(1);
    expect((await next.forSession('chat').prompt('again')).text).toBe('Re: again');
  });

  it('disposes every instance of the server, one after the other', async () => {
    const repos = [jarvis.forRepo(await mock.repo()), jarvis.forRepo(await mock.repo())];
    for (const repo of repos) await repo.warm();
    await jarvis.global.dispose();
    expect(repos.map((repo) => repo.stats().loaded)).toEqual([false, false]);
    expect(await other.loaded()).toEqual([]);
  });

  it('is refused by a server that lacks an operation, which the error names', async () => {
    using lacking = mockOpenCode({ opencode: 2 });
    server.use(...lacking.handlers);
    const document = (await (await fetchJson(lacking, '/openapi.json')).json()) as {
      readonly paths: Record<string, unknown>;
    };
    delete document.paths['/api/session/active'];
    lacking.use('GET /openapi.json' as never, () => Response.json(document));
    const error = await lacking.client().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'UnsupportedServerError',
      found: '2.0.14',
      missing: ['GET /api/session/active'],
    });
  });

  it.each(['2.0.13', '3.0.0'])('is refused by version %s', async (version) => {
    using odd = mockOpenCode({ opencode: 2, version });
    server.use(...odd.handlers);
    await expect(odd.client()).rejects.toMatchObject({ name: 'UnsupportedServerError' });
  });

  it('uses a newer version with a warning, and says that it was not measured', async () => {
    using newer = mockOpenCode({ opencode: 2, version: '2.1.0' });
    server.use(...newer.handlers);
    const warn = vi.fn();
    const logger = { debug: vi.fn(), info: vi.fn(), warn, error: vi.fn() };
    const client = await newer.client({ logger });
    expect(client.server).toMatchObject({ opencode: 2, isMeasured: false, version: '2.1.0' });
    expect(warn).toHaveBeenCalledWith('server is newer than what was measured', { version: '2.1.0' });
  });
});

function fetchJson({ connectOptions }: ReturnType<typeof mockOpenCode>, path: string): Promise<Response> {
  const { url, password } = connectOptions;
  return fetch(`${url}${path}`, { headers: { authorization: `Basic ${btoa(`opencode:${password}`)}` } });
}
