import { http, HttpResponse } from 'msw';
import { setupServer } from 'msw/node';
import { JarvisOpenCode, TurnError, UnsupportedServerError } from 'jarvis-opencode';
import {
  afterTools,
  fail,
  hang,
  mockOpenCode,
  retry,
  text,
  tool,
  wait,
  waitFor,
  type MockOpenCode,
  type MockOpenCodeOptions,
  type MockStep,
} from 'jarvis-opencode/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { gate } from './helpers.js';

// What only the mock has: the other suites of this folder compare its behaviour with a real server's.

const server = setupServer();
const open: { close(): unknown }[] = [];

beforeAll(() => server.listen({ onUnhandledRequest: 'error' }));
afterAll(() => server.close());
afterEach(async () => {
  vi.useRealTimers();
  for (const one of open.splice(0).reverse()) await one.close();
  server.resetHandlers();
});

function aMock(options?: MockOpenCodeOptions): MockOpenCode {
  const mock = mockOpenCode(options);
  open.push(mock);
  server.use(...mock.handlers);
  return mock;
}

async function aClient(mock: MockOpenCode): Promise<JarvisOpenCode> {
  const jarvis = await JarvisOpenCode.connect({ ...mock.connectOptions, idle: false });
  open.push(jarvis);
  return jarvis;
}

describe('the script of a mock', () => {
  it('answers every prompt with ok by default', async () => {
    const session = await (await aClient(aMock())).forRepo('/repo').sessions.create();
    expect((await session.prompt('Hello')).text).toBe('ok');
  });

  it('streams one text by words', async () => {
    const mock = aMock();
    mock.reply('It is a  small\ncalculator.');
    const session = await (await aClient(mock)).forRepo('/repo').sessions.create();
    await using events = session.events({ types: ['message.part.delta', 'session.idle'] });
    await events.ready;
    expect((await session.prompt('What is it?')).text).toBe('It is a  small\ncalculator.');
    const deltas: string[] = [];
    for await (const event of events) {
      if (event.type !== 'message.part.delta') break;
      deltas.push(event.properties.delta);
    }
    expect(deltas).toEqual(['It ', 'is ', 'a  ', 'small\n', 'calculator.']);
  });

  it('gives a script the prompt, the session and the directory', async () => {
    const mock = aMock();
    mock.script(({ prompt, session, directory }) => [
      text([prompt, session.id, session.title, directory].join()),
    ]);
    const jarvis = await aClient(mock);
    for (const directory of ['/one', '/two']) {
      const session = await jarvis.forRepo(directory).sessions.create({ title: 'T' });
      expect((await session.prompt('P')).text).toBe(`P,${session.id},T,${directory}`);
    }
  });

  it('plays a generator that waits between its steps', async () => {
    const mock = aMock();
    const resumed = gate();
    mock.script(async function* () {
      yield text('One ');
      await resumed.promise;
      yield text('two.');
    });
    const turn = (await (await aClient(mock)).forRepo('/repo').sessions.create()).stream('Count');
    for await (const step of turn) if (step.type === 'text') resumed.open();
    expect((await turn.result).text).toBe('One two.');
  });

  it('gives an untitled session the first line of its first prompt as its title', async () => {
    const mock = aMock();
    const session = await (await aClient(mock)).forRepo('/repo').sessions.create();
    await session.prompt('Mend the fence\nand paint it');
    await session.prompt('Now the gate');
    expect(mock.sessions()).toMatchObject([{ id: session.id, title: 'Mend the fence' }]);
  });

  it('adds the agents and models of the mock options', async () => {
    const mock = aMock({ agents: ['review'], models: ['anthropic/claude', 'anthropic/claude-2'] });
    const repo = (await aClient(mock)).forRepo('/repo');
    const session = await repo.sessions.create();
    const model = { providerID: 'anthropic', modelID: 'claude' };
    const parts = [{ type: 'text' as const, text: 'Hello' }];
    const { message } = await session.prompt({ parts, agent: 'review', model });
    expect(message).toMatchObject({ agent: 'review', ...model });
    expect((await repo.agents.list()).map(({ name }) => name)).toContain('review');
    const { providers, default: first } = await repo.config.providers();
    expect(providers.map(({ id, models }) => [id, Object.keys(models)])).toEqual([
      ['mock', ['mock']],
      ['anthropic', ['claude', 'claude-2']],
    ]);
    expect(first).toEqual({ mock: 'mock', anthropic: 'claude' });
  });

  it('leaves a tool running until the next text, and fails the turn after it', async () => {
    const mock = aMock();
    const seen = gate();
    mock.script(() => [
      tool('grep', { pattern: 'x' }, 'none'),
      waitFor(seen.promise),
      text('Nothing.'),
      fail('ProviderAuthError', 'no key'),
    ]);
    const turn = (await (await aClient(mock)).forRepo('/repo').sessions.create()).stream('Search');
    const statuses: string[] = [];
    const reading = (async () => {
      for await (const step of turn) {
        if (step.type !== 'tool') continue;
        statuses.push(step.status);
        if (step.status === 'running') seen.open();
      }
    })();
    await expect(reading).rejects.toThrow(TurnError);
    await expect(turn.result).rejects.toMatchObject({
      reason: 'provider',
      serverError: { name: 'ProviderAuthError', data: { message: 'no key' } },
    });
    expect(statuses).toEqual(['pending', 'running', 'completed']);
  });

  it.each<[string, () => Iterable<MockStep>, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('a mistake in the test');
      },
      /a mistake in the test/,
    ],
    ['yields no step', () => [{ type: 'sing' } as unknown as MockStep], /no step: \{"type":"sing"\}/],
    ['waits for a promise that rejects', () => [waitFor(Promise.reject(new Error('lost')))], /lost/],
  ])('fails the turn when the script %s, with the reason', async (_what, script, message) => {
    const mock = aMock();
    mock.script(script);
    const session = await (await aClient(mock)).forRepo('/repo').sessions.create();
    await expect(session.prompt('Hello')).rejects.toMatchObject({
      reason: 'failed',
      serverError: { name: 'UnknownError', data: { message: expect.stringMatching(message) } },
    });
  });

  it('refuses an invalid step or option of a mock where it is written', () => {
    expect(() => text('x', { chunks: 0 })).toThrow(RangeError);
    expect(() => wait(-1)).toThrow(RangeError);
    expect(() => wait(Number.NaN)).toThrow(RangeError);
    expect(() => retry('busy', { afterMs: -1 })).toThrow(RangeError);
    expect(() => afterTools([] as never)).toThrow(TypeError);
    expect(() => mockOpenCode({ models: ['claude'] })).toThrow(/provider\/model, got "claude"/);
    expect(() => mockOpenCode({ url: 'ftp://x' })).toThrow(TypeError);
    expect(() => mockOpenCode({ url: 'nowhere' })).toThrow(TypeError);
  });
});

describe('a client of a mock that drains', () => {
  it('ends what still runs when the time is over', async () => {
    const mock = aMock();
    mock.script(() => [text('Working'), hang()]);
    const jarvis = await aClient(mock);
    const turn = (await jarvis.forRepo('/repo').sessions.create()).stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    await expect(jarvis.drained({ signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
    expect(() => jarvis.close({ drainMs: -1 })).toThrow(RangeError);
    await jarvis.close({ drainMs: 50 });
    await expect(turn.result).rejects.toMatchObject({ name: 'ClosedError', isDraining: false });
    await jarvis.drained();
  });
});

describe('the state of a mock', () => {
  it('records requests with their directory and body', async () => {
    const mock = aMock();
    const directory = '/a b/%20';
    const session = await (await aClient(mock)).forRepo(directory).sessions.create({ title: 'T' });
    await session.prompt('Hello');
    const requests = mock.requests();
    const health = {
      method: 'GET',
      path: '/global/health',
      query: {},
      directory: undefined,
      body: undefined,
    };
    expect(requests[0]).toEqual(health);
    expect(requests).toContainEqual({
      method: 'POST',
      path: '/session',
      query: {},
      directory,
      body: { title: 'T' },
    });
    expect(requests.find(({ path }) => path.endsWith('/prompt_async'))).toMatchObject({
      method: 'POST',
      directory,
      body: { parts: [{ type: 'text', text: 'Hello' }], messageID: expect.stringMatching(/^msg_/) },
    });
  });

  it('counts the boots and disposals of instances', async () => {
    const mock = aMock();
    const jarvis = await aClient(mock);
    expect(mock.instances()).toEqual([]);
    await jarvis.forRepo('/one').warm();
    await jarvis.forRepo('/two').warm();
    await jarvis.forRepo('/two').dispose();
    await jarvis.forRepo('/two').warm();
    expect(mock.instances()).toEqual([
      { directory: '/one', loaded: true, boots: 1, disposals: 0 },
      { directory: '/two', loaded: true, boots: 2, disposals: 1 },
    ]);
    const response = await fetch(`${mock.url}/global/dispose`, { method: 'POST' });
    expect(await response.json()).toBe(true);
    expect(mock.instances().map(({ loaded }) => loaded)).toEqual([false, false]);
  });

  it('returns copies of the state of the mock', async () => {
    const mock = aMock();
    const session = await (await aClient(mock)).forRepo('/repo').sessions.create({ title: 'T' });
    for (const info of mock.sessions()) info.title = 'changed';
    mock.requests().length = 0;
    expect((await session.refresh()).title).toBe('T');
    expect(mock.requests().map(({ path }) => path)).toContain('/session');
  });
});

describe('the origin of a mock', () => {
  it('gives each open mock an origin of its own', async () => {
    const [one, two] = [aMock(), aMock()];
    expect(one.url).not.toBe(two.url);
    one.reply('one');
    two.reply('two');
    const answers = [one, two].map(async (mock) => {
      const session = await (await aClient(mock)).forRepo('/repo').sessions.create();
      return (await session.prompt('Who are you?')).text;
    });
    expect(await Promise.all(answers)).toEqual(['one', 'two']);
    expect([one, two].map((mock) => mock.sessions().length)).toEqual([1, 1]);
  });

  it.each([
    ['GET', '/vcs/diff'],
    ['PUT', '/session'],
    ['POST', '/session/ses_1/no-such-thing'],
  ])('answers %s %s, which the mock does not have, with status 501', async (method, path) => {
    const mock = aMock();
    const response = await fetch(mock.url + path, { method });
    expect(response.status).toBe(501);
    expect(await response.json()).toEqual({
      name: 'NotMocked',
      data: {
        message: `not mocked: ${method} ${path} — add a handler with mock.use('${method} ${path}', …)`,
      },
    });
    expect(mock.requests()).toMatchObject([{ method, path }]);
    expect(mock.instances()).toEqual([]);
  });

  it('answers a path that the mock cannot decode', async () => {
    const response = await fetch(`${aMock().url}/%E0%A4%A`);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
  });

  it('prefers a handler of the test to the handler of the mock', async () => {
    const mock = aMock();
    server.use(http.get(`${mock.url}/config`, () => HttpResponse.json({ model: 'mine' })));
    expect(await (await fetch(`${mock.url}/config`)).json()).toEqual({ model: 'mine' });
  });

  it('presents the version of the mock and demands its password', async () => {
    await expect(aClient(aMock({ version: '2.0.1' }))).rejects.toThrow(UnsupportedServerError);
    const mock = aMock({ url: 'http://opencode.test/ignored', username: 'me', password: 'secret' });
    expect(mock.url).toBe('http://opencode.test');
    await expect(JarvisOpenCode.connect({ url: mock.url })).rejects.toMatchObject({ status: 401 });
    expect((await aClient(mock)).server.url).toBe('http://opencode.test');
    const token = Buffer.from('me:secret').toString('base64');
    expect((await fetch(`${mock.url}/global/health?auth_token=${token}`)).status).toBe(200);
  });

  it.each([
    [undefined, '/srv'],
    ['app/./x/..', '/srv/app'],
    ['%2Fa%20b%2F', '/a b'],
    ['%2Fa%2520b', '/a%20b'],
    ['/%E0%A4%A', '/%E0%A4%A'],
    ['C%3A%5Capp', 'C:\\app'],
  ])('takes the header %j for the directory %j', async (header, directory) => {
    const mock = aMock({ cwd: '/srv' });
    const headers = header === undefined ? {} : { 'x-opencode-directory': header };
    const response = await fetch(`${mock.url}/path`, { headers });
    expect(await response.json()).toMatchObject({ directory, worktree: directory });
  });
});

describe('a mock that is closed', () => {
  it('breaks turns and requests when the mock is closed', async () => {
    const mock = aMock();
    mock.script(() => [text('Working'), hang()]);
    const jarvis = await aClient(mock);
    const session = await jarvis.forRepo('/repo').sessions.create();
    const turn = session.stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    await mock.close();
    await mock.close();
    await expect(session.refresh({ retry: false })).rejects.toMatchObject({ name: 'ConnectionError' });
    await expect(fetch(mock.url)).rejects.toThrow(TypeError);
    await jarvis.close();
    await expect(turn.result).rejects.toMatchObject({ name: 'ClosedError' });
  });

  it('leaves no timer when the mock is closed', async () => {
    vi.useFakeTimers();
    using mock = aMock();
    mock.script(() => [wait(60_000)]);
    const stream = await fetch(`${mock.url}/global/event`);
    const json = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const created = await fetch(`${mock.url}/session`, json);
    const { id } = (await created.json()) as { id: string };
    await fetch(`${mock.url}/session/${id}/prompt_async`, { ...json, body: '{"parts":[]}' });
    await vi.advanceTimersByTimeAsync(100);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
    await mock.close();
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
    await expect(stream.text()).rejects.toThrow('closed');
  });
});

describe('fake timers', () => {
  it('lets fake timers drive wait() and time limits', async () => {
    vi.useFakeTimers();
    const mock = aMock();
    const hour = 3_600_000;
    mock.script(() => [text('One '), wait(hour), text('hour.')]);
    const session = await (await aClient(mock)).forRepo('/repo').sessions.create();
    const answering = session.prompt('Wait', { timeoutMs: 2 * hour });
    const begun = Date.now();
    // The wait, and the time limit.
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(2));
    await vi.advanceTimersByTimeAsync(hour);
    expect((await answering).text).toBe('One hour.');
    expect(Date.now() - begun).toBeGreaterThanOrEqual(hour);
    const late = session.prompt('Wait again', { timeoutMs: hour / 2 });
    late.catch(() => undefined);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(2));
    await vi.advanceTimersByTimeAsync(hour / 2);
    await expect(late).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
