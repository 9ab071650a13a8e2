import { getEventListeners, once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import {
  ClosedError,
  ConnectionError,
  JarvisError,
  JarvisOpenCode,
  RepoPathError,
  RequestError,
  TimeoutError,
  UnsupportedServerError,
  type ConnectOptions,
  type OpenCodeEvent,
  type ServerHandle,
} from 'jarvis-opencode';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { hang, waitFor } from '../../src/testing/script/steps.js';
import { mcpServer } from '../support/fixtures.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { freePort } from '../support/ports.js';
import { isAlive, processesWith } from '../support/processes.js';
import {
  realServerOptions,
  spawnPlainOpenCode,
  type PlainOpenCode,
  type RealServerOptions,
} from '../support/real-opencode.js';
import { text } from '../support/model-steps.js';
import { deferred, until } from '../support/wait.js';

let real: RealServerOptions;
let plain: PlainOpenCode;
let repo: GitRepo;

beforeAll(async () => {
  real = await realServerOptions({ config: { mcp: { polite: mcpServer() } } });
  plain = await spawnPlainOpenCode(real.startOptions);
  repo = await gitRepo();
});

afterAll(async () => {
  await plain.stop();
  await repo.dispose();
  await real.dispose();
});

/** A loopback server that is gone with the test, and its origin. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A port where nobody listens any more. */
async function deadOrigin(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

const healthy: RequestListener = (_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ healthy: true, version: '1.18.33' }));
};

/** What connecting rejects with. */
async function refusal(options: ConnectOptions): Promise<unknown> {
  try {
    await (await JarvisOpenCode.connect(options)).close();
  } catch (error) {
    return error;
  }
  throw new Error('it connected');
}

/** Prompts past the library, as another client would, and gives the session. */
async function turnIn(directory: string): Promise<string> {
  const init = { directory, headers: { 'content-type': 'application/json' } };
  const response = await plain.fetch('/session', { ...init, method: 'POST', body: '{}' });
  const { id } = (await response.json()) as { id: string };
  const body = JSON.stringify({ parts: [{ type: 'text', text: 'from somebody else' }] });
  const prompt = await plain.fetch(`/session/${id}/prompt_async`, { ...init, method: 'POST', body });
  expect(prompt.status).toBe(204);
  return id;
}

async function statusOf(sessionID: string, directory: string): Promise<unknown> {
  const response = await plain.fetch('/session/status', { directory });
  return ((await response.json()) as Record<string, unknown>)[sessionID];
}

describe('connect()', () => {
  it('uses a server that somebody else started', async () => {
    await using jarvis = await JarvisOpenCode.connect({ url: plain.url, password: plain.password });
    expect(jarvis).toBeInstanceOf(JarvisOpenCode);
    expect(jarvis.server).toMatchObject({ url: plain.url, pid: undefined, state: 'ready' });
    expect(jarvis.server.version).toMatch(/^1\.18\./);
    const client = jarvis.forRepo(repo.directory);
    const session = await client.sessions.create({ title: 'mine' });
    expect(session.directory).toBe(repo.directory);
    expect((await session.prompt('hi')).text).toBe('ok');
    expect((await client.sessions.list()).map(({ id }) => id)).toContain(session.id);
    await session.delete();
  });

  it.each([
    ['a URL object', () => new URL(plain.url)],
    ['a trailing slash', () => `${plain.url}/`],
    ['another case', () => plain.url.toUpperCase()],
  ])('takes %s as the url', async (_what, url) => {
    await using jarvis = await JarvisOpenCode.connect({ url: url(), password: plain.password });
    expect(jarvis.server.url).toBe(plain.url);
    await expect(jarvis.global.health()).resolves.toMatchObject({ healthy: true });
  });

  it('sends no credentials to a server that needs none', async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      healthy(request, response);
    });
    await using jarvis = await JarvisOpenCode.connect({ url });
    await jarvis.global.health();
    expect(seen).toEqual([undefined, undefined]);
  });

  it('sends a user name and a password of any characters', async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      healthy(request, response);
    });
    await using jarvis = await JarvisOpenCode.connect({ url, username: 'jürgen', password: 'pä:ß 🦊' });
    await jarvis.global.health();
    const expected = `Basic ${Buffer.from('jürgen:pä:ß 🦊').toString('base64')}`;
    expect(seen).toEqual([expected, expected]);
  });

  it.each([
    ['a server on this machine', 'http://127.0.0.1:4096', 'corp.example,127.0.0.1,localhost,::1,[::1]'],
    ['no server elsewhere', 'http://gpu.example:4096', 'corp.example'],
  ])("exempts %s from this process's proxy", async (_what, url, expected) => {
    for (const name of ['http_proxy', 'ALL_PROXY', 'all_proxy', 'no_proxy']) vi.stubEnv(name, undefined);
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1');
    vi.stubEnv('NO_PROXY', 'corp.example');
    const health = { healthy: true, version: '1.18.33' };
    await using _ = await JarvisOpenCode.connect({
      url,
      idle: false,
      fetch: async () => Response.json(health),
    });
    expect(process.env['NO_PROXY']).toBe(expected);
  });

  it('shows the password of a connection to nobody', async () => {
    await using jarvis = await JarvisOpenCode.connect({ url: plain.url, password: plain.password });
    const token = Buffer.from(`opencode:${plain.password}`).toString('base64');
    const all = { depth: null, maxStringLength: null };
    const texts = [
      inspect(jarvis, all),
      inspect(jarvis.server, all),
      inspect(jarvis.forRepo(repo.directory), all),
      JSON.stringify(jarvis),
      JSON.stringify(jarvis.server),
      JSON.stringify({ ...jarvis.server }),
    ];
    for (const secret of [plain.password, token]) {
      for (const shown of texts) expect(shown).not.toContain(secret);
    }
    expect(texts[1]).toContain(plain.url);
  });
});

describe('connect()', () => {
  it('repeats a request over a stale connection to an earlier server at the same address', async () => {
    let stale = 2;
    const url = await serve((_request, response) => {
      if (stale-- > 0) response.destroy();
      else response.end('{"healthy":true,"version":"1.18.33"}');
    });
    await using jarvis = await JarvisOpenCode.connect({ url });
    expect(jarvis.server.version).toBe('1.18.33');
  });
});

describe('connect() is refused', () => {
  it.each<[what: string, credentials: Partial<ConnectOptions>]>([
    ['with a wrong password', { password: 'swordfish' }],
    ['without a password', {}],
    ['with an empty password', { password: '' }],
    ['with a wrong user name', { username: 'somebody', password: 'swordfish' }],
  ])('refuses to connect %s', async (_what, credentials) => {
    const error = await refusal({ url: plain.url, ...credentials });
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ status: 401, method: 'GET', path: '/global/health', body: undefined });
    expect((error as Error).message).toBe(
      'GET /global/health failed with status 401. Check the username and password of the server.',
    );
    for (const shown of [inspect(error, { depth: null, showHidden: true }), JSON.stringify(error)]) {
      expect(shown).not.toContain('swordfish');
      expect(shown).not.toContain(btoa('opencode:swordfish'));
    }
  });

  it('refuses to connect where nobody listens', async () => {
    const url = await deadOrigin();
    const error = await refusal({ url, password: 'swordfish' });
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as Error).message).toMatch(/GET \/global\/health got no answer \(.*ECONNREFUSED/);
    expect(inspect(error, { depth: null })).not.toContain('swordfish');
  });

  it('refuses to connect when the connection is cut', async () => {
    const url = await serve((_request, response) => response.destroy());
    expect(await refusal({ url })).toBeInstanceOf(ConnectionError);
  });

  it('refuses to connect when the server does not answer in time', async () => {
    const url = await serve(() => undefined);
    const error = await refusal({ url, timeoutMs: 100 });
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ timeoutMs: 100, phase: 'request' });
  });

  it.each<[what: string, type: string, body: string, found: string]>([
    ['a web page', 'text/html', '<!doctype html>', 'of another kind'],
    ['other JSON', 'application/json', '{"status":"up"}', 'of another kind'],
    ['no JSON', 'text/plain', 'fine', 'of another kind'],
    ['an old version', 'application/json', '{"healthy":true,"version":"1.4.2"}', '1.4.2'],
    ['a version to come', 'application/json', '{"healthy":true,"version":"2.0.1"}', '2.0.1'],
  ])('refuses to connect to the wrong kind of server: %s', async (_what, type, body, found) => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': type }).end(body);
    });
    const error = await refusal({ url });
    expect(error).toBeInstanceOf(UnsupportedServerError);
    expect(error).toMatchObject({ found, supported: expect.stringContaining('1.18') });
  });

  // As OpenCode 2.0.14 answers: a web page for every path outside of its API, and 401 without a body for the rest.
  it.each<[password: string | undefined, found: string, advice: RegExp]>([
    [
      'right',
      '2.0.14',
      /OpenCode 2 has another API: .*experimental: \{ opencode2: true \}.* Install a supported one, e\.g\. npm install opencode-ai/,
    ],
    [
      'wrong',
      'of another kind, maybe OpenCode 2 behind another password,',
      /needs OpenCode 1\.18 or a later 1\.x/,
    ],
    [undefined, 'of another kind, maybe OpenCode 2 behind another password,', /needs OpenCode 1\.18/],
  ])(
    'refuses to connect to OpenCode 2 with the password %j, and names what it found',
    async (password, found, advice) => {
      const authorization = `Basic ${Buffer.from('opencode:right').toString('base64')}`;
      const url = await serve((request, response) => {
        if (!request.url?.startsWith('/api/')) {
          response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
        } else if (request.headers.authorization !== authorization) {
          response.writeHead(401).end();
        } else {
          const info = { version: '2.0.14', pid: 1, urls: [url], paths: { tmp: '/tmp/opencode' } };
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(info));
        }
      });
      const error = await refusal({ url, password });
      expect(error).toBeInstanceOf(UnsupportedServerError);
      expect(error).toMatchObject({ found, message: expect.stringMatching(advice) as string });
    },
  );

  it.each([
    '',
    'localhost:4096',
    '127.0.0.1:4096',
    'ftp://127.0.0.1',
    'file:///srv',
    'http://',
    5,
    null,
    undefined,
  ])('refuses the url %j', async (url) => {
    const error = await refusal({ url: url as string });
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toMatch(/expected url to be an http url/i);
  });

  it.each<[options: object, name: string]>([
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ timeoutMs: Number.NaN }, 'timeoutMs'],
    [{ idle: { maxLoaded: 0 } }, 'idle.maxLoaded'],
    [{ idle: { idleTimeoutMs: -1 } }, 'idle.idleTimeoutMs'],
    [{ turns: { concurrency: 0 } }, 'turns.concurrency'],
  ])('refuses the option %j', async (options, name) => {
    const error = await refusal({ url: await serve(healthy), ...options });
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message).toMatch(new RegExp(`expected ${name} to be .*got`, 'i'));
  });

  it('refuses to connect with an aborted signal, before it sends anything', async () => {
    let requests = 0;
    const url = await serve((request, response) => {
      requests += 1;
      healthy(request, response);
    });
    const reason = { because: 'the user left' };
    expect(await refusal({ url, signal: AbortSignal.abort(reason) })).toBe(reason);
    expect(requests).toBe(0);
  });

  it('refuses to connect when its signal aborts during the wait for the answer', async () => {
    const abort = new AbortController();
    const reason = new Error('the user left');
    const url = await serve(() => abort.abort(reason));
    expect(await refusal({ url, signal: abort.signal })).toBe(reason);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });
});

describe('paths', () => {
  it('treats paths as text by default, because the server may have another disk', async () => {
    await using jarvis = await JarvisOpenCode.connect({ url: await serve(healthy) });
    expect(jarvis.forRepo('/nowhere/x/../app/').directory).toBe('/nowhere/app');
    expect(jarvis.forRepo('C:\\app\\').directory).toBe('C:\\app');
    expect(() => jarvis.forRepo('app')).toThrow(RepoPathError);
  });

  it('checks paths when the server is on this machine and the caller says so', async () => {
    await using jarvis = await JarvisOpenCode.connect({ url: await serve(healthy), paths: 'local' });
    expect(() => jarvis.forRepo('/nowhere/app')).toThrow(RepoPathError);
    expect(jarvis.forRepo(`${repo.directory}/../repo/`).directory).toBe(repo.directory);
  });
});

describe('close() of a connection', () => {
  it('leaves the server, its instances and the turns of others alone at close()', async () => {
    const jarvis = await JarvisOpenCode.connect({ url: plain.url, password: plain.password });
    const client = jarvis.forRepo(repo.directory);
    await (await client.sessions.create()).prompt('hi');
    const gate = deferred();
    real.model.use(() => [text('a'), waitFor(gate.promise), text('b')]);
    const foreign = await turnIn(repo.directory);
    await real.model.waitForRequest(({ prompt }) => prompt === 'from somebody else');
    const before = processesWith(real.marker).sort();
    expect(before.length).toBeGreaterThan(1);

    await jarvis.close();

    expect(jarvis.server.state).toBe('stopped');
    await expect(jarvis.server.closed).resolves.toEqual({ code: null, signal: null });
    expect(plain.running()).toBe(true);
    expect(processesWith(real.marker).sort()).toEqual(before);
    expect(await statusOf(foreign, repo.directory)).toMatchObject({ type: 'busy' });
    gate.resolve();
    await until(async () => (await statusOf(foreign, repo.directory)) === undefined);
    const response = await plain.fetch(`/session/${foreign}/message`, { directory: repo.directory });
    const messages = (await response.json()) as { info: { error?: unknown }; parts: { text?: string }[] }[];
    expect(messages.at(-1)?.info.error).toBeUndefined();
    expect(
      messages
        .at(-1)
        ?.parts.map((part) => part.text ?? '')
        .join(''),
    ).toBe('ab');
  });

  it('rejects pending calls, ends subscribers and refuses later calls after close()', async () => {
    const jarvis = await JarvisOpenCode.connect({ url: plain.url, password: plain.password });
    const client = jarvis.forRepo(repo.directory);
    const session = await client.sessions.create();
    real.model.use(() => [hang()]);
    const prompted = session.prompt('never answered').catch((error: unknown) => error);
    const events = jarvis.events();
    await events.ready;
    await real.model.waitForRequest(({ prompt }) => prompt === 'never answered');
    const loop = (async () => {
      for await (const event of events) void event;
      return 'ended';
    })();

    await Promise.all([jarvis.close(), jarvis.close()]);

    expect(await prompted).toBeInstanceOf(ClosedError);
    expect(await loop).toBe('ended');
    expect(() => jarvis.forRepo(repo.directory)).toThrow(ClosedError);
    expect(() => jarvis.events()).toThrow(ClosedError);
    await expect(client.sessions.list()).rejects.toBeInstanceOf(ClosedError);
    await expect(session.prompt('again')).rejects.toBeInstanceOf(ClosedError);
    await plain.fetch(`/session/${session.id}/abort`, { method: 'POST' });
    await until(async () => (await statusOf(session.id, repo.directory)) === undefined);
  });

  it('releases its connections at close()', async () => {
    const open = new Set<object>();
    const url = await serve((request, response) => {
      if (request.url !== '/global/event') return healthy(request, response);
      open.add(response);
      response.once('close', () => open.delete(response));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"payload":{"id":"evt_1","type":"server.connected","properties":{}}}\n\n');
    });
    const jarvis = await JarvisOpenCode.connect({ url });
    await jarvis.events().ready;
    expect(open.size).toBe(1);
    await jarvis.close();
    await until(() => open.size === 0);
  });
});

describe('a server that ends while it is used', () => {
  it('reports the end of the server by typed errors, and the connection can still be closed', async () => {
    await using own = await realServerOptions();
    // One that no other server takes when this one is gone, as 4096 would be.
    const port = await freePort();
    const server = await spawnPlainOpenCode({ ...own.startOptions, port });
    let next: PlainOpenCode | undefined;
    try {
      const jarvis = await JarvisOpenCode.connect({
        url: server.url,
        password: server.password,
        health: { intervalMs: 100 },
      });
      const states: string[] = [];
      jarvis.server.on('state', (state) => states.push(state));
      const client = jarvis.forRepo(repo.directory);
      const session = await client.sessions.create();
      const events = client.events({ types: ['jarvis.server', 'jarvis.gap'] });
      await events.ready;
      process.kill(server.pid, 'SIGSTOP');
      const pending = [client.sessions.list(), client.sessions.create(), session.prompt('hi')].map((call) =>
        call.then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      process.kill(server.pid, 'SIGKILL');
      await until(() => !server.running());
      for (const error of await Promise.all(pending)) expect(error).toBeInstanceOf(ConnectionError);
      for (const call of [
        () => client.sessions.list({}, { retry: false }),
        () => client.sessions.create(),
        () => jarvis.global.health({ retry: false }),
        () => session.messages({}, { retry: false }),
      ]) {
        await expect(call()).rejects.toBeInstanceOf(ConnectionError);
      }
      // A prompt waits for the event stream first, as long as the caller does.
      await expect(session.prompt('hi', { queueTimeoutMs: 1_000 })).rejects.toBeInstanceOf(JarvisError);
      await until(() => jarvis.server.state === 'unhealthy');

      // The next server at its address is used by the same objects.
      next = await spawnPlainOpenCode({ ...own.startOptions, port, password: server.password });
      expect((await session.prompt('hi')).text).toBe('ok');
      await until(() => jarvis.server.state === 'ready');
      expect(states).toEqual(['unhealthy', 'ready']);
      const told: OpenCodeEvent[] = [];
      for await (const event of events) if (told.push(event) > 0 && event.type === 'jarvis.gap') break;
      expect(told[0]).toMatchObject({ type: 'jarvis.server', properties: { state: 'unhealthy' } });
      expect(told.at(-1)).toMatchObject({ type: 'jarvis.gap', properties: { reason: 'reconnect' } });
      await jarvis.close();
      await expect(client.sessions.list()).rejects.toBeInstanceOf(ClosedError);
    } finally {
      await next?.stop();
      await server.stop();
    }
  }, 240_000);
});

describe('a handle of the caller', () => {
  it('uses a handle of the caller and stops it once', async () => {
    let stops = 0;
    const exit = deferred<{ code: number | null; signal: string | null }>();
    const handle: ServerHandle = {
      url: plain.url,
      version: '1.18.33',
      pid: undefined,
      authorization: `Basic ${btoa(`opencode:${plain.password}`)}`,
      state: 'ready',
      closed: exit.promise,
      on: () => () => undefined,
      restart: () => Promise.resolve(),
      stop: async () => {
        stops += 1;
        exit.resolve({ code: 0, signal: null });
      },
      [Symbol.asyncDispose]: () => handle.stop(),
    };
    const jarvis = new JarvisOpenCode(handle);
    expect(jarvis.server).toBe(handle);
    await expect(jarvis.global.health()).resolves.toMatchObject({ healthy: true });
    real.model.use(() => [text('hello')]);
    const session = await jarvis.forRepo(repo.directory).sessions.create();
    expect((await session.prompt('hi')).text).toBe('hello');
    await Promise.all([jarvis.close(), jarvis.close()]);
    expect(stops).toBe(1);
    expect(() => jarvis.forRepo(repo.directory)).toThrow(ClosedError);
    expect(plain.running()).toBe(true);
  });

  it('checks local paths when the handle has a process on this machine', async () => {
    const base = await JarvisOpenCode.connect({ url: plain.url, password: plain.password });
    const { url, version, authorization, closed } = base.server;
    const handle = { url, version, authorization, closed, pid: plain.pid, state: 'ready' as const };
    const on = (): (() => void) => () => undefined;
    const stop = (): Promise<void> => base.close();
    const jarvis = new JarvisOpenCode({ ...handle, on, restart: stop, stop, [Symbol.asyncDispose]: stop });
    expect(() => jarvis.forRepo('/nowhere/app')).toThrow(RepoPathError);
    await jarvis.close();
    expect(isAlive(plain.pid)).toBe(true);
  });

  it('refuses wrong options for a handle and leaves the handle as it is', async () => {
    await using base = await JarvisOpenCode.connect({ url: plain.url, password: plain.password });
    expect(() => new JarvisOpenCode(base.server, { idle: { maxLoaded: 0 } })).toThrow(RangeError);
    expect(() => new JarvisOpenCode(base.server, { turns: { concurrency: -1 } })).toThrow(RangeError);
    expect(base.server.state).toBe('ready');
  });
});
