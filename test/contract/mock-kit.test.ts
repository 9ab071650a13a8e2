import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setupServer } from 'msw/node';
import {
  hang,
  mockOpenCode,
  question,
  text,
  tool,
  usage,
  wait,
  type MockOpenCode,
  type MockOpenCodeOptions,
  type MockStep,
} from 'jarvis-opencode/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

const server = setupServer();
const open: MockOpenCode[] = [];

beforeAll(() => server.listen({ onUnhandledRequest: 'error' }));
afterAll(() => server.close());
afterEach(async () => {
  vi.useRealTimers();
  for (const mock of open.splice(0)) await mock.close();
  server.resetHandlers();
});

function aMock(options?: MockOpenCodeOptions): MockOpenCode {
  const mock = mockOpenCode(options);
  open.push(mock);
  server.use(...mock.handlers);
  return mock;
}

describe('mock.use()', () => {
  it('answers an operation in place of the mock, by the newest handler of use()', async () => {
    const mock = aMock();
    const repo = (await mock.client()).forRepo('/repo');
    await expect(repo.vcs.diff({ mode: 'git' })).rejects.toMatchObject({
      status: 501,
      message: expect.stringContaining("add a handler with mock.use('GET /vcs/diff', …)"),
    });
    mock.use('GET /vcs/diff', ({ query, directory }) => [
      { file: `${directory} ${query['mode']}`, additions: 1, deletions: 0 },
    ]);
    expect(await repo.vcs.diff({ mode: 'git' })).toMatchObject([{ file: '/repo git' }]);
    {
      using _renamed = mock.use('GET /agent', () => []);
      expect(await repo.agents.list()).toEqual([]);
    }
    expect(await repo.agents.list()).not.toEqual([]);
    expect(mock.instances()).toMatchObject([{ directory: '/repo', loaded: true }]);
  });

  it('gives parameters, headers and the body to a handler of use()', async () => {
    const mock = aMock();
    mock.use('GET /project/current', () => ({
      id: 'a b',
      worktree: '/repo',
      sandboxes: [],
      time: { created: 1, updated: 1 },
    }));
    mock.use('PATCH /project/{projectID}', ({ params, body, headers, path }) =>
      Response.json({ id: params.projectID, worktree: path, name: body.name, by: headers.get('x-by') }),
    );
    const repo = (await mock.client()).forRepo('/repo');
    expect(await repo.project.update('a b', { name: 'n' }, { headers: { 'x-by': 'me' } })).toEqual({
      id: 'a b',
      worktree: '/project/a%20b',
      name: 'n',
      by: 'me',
    });
  });

  it('names the operation of a handler that throws', async () => {
    const mock = aMock();
    mock.use('GET /agent', () => {
      throw new Error('a mistake in the test');
    });
    const response = await fetch(`${mock.url}/agent`);
    expect([response.status, await response.json()]).toEqual([
      500,
      {
        name: 'HandlerFailed',
        data: { message: 'the handler of GET /agent threw: Error: a mistake in the test' },
      },
    ]);
    expect(() => mock.use('get /agent' as 'GET /agent', () => [])).toThrow(/Write the method in capitals/);
    expect(() => mock.use('GET /agent', [] as never)).toThrow(TypeError);
  });
});

describe('scripts', () => {
  it('plays a script for all repositories or for one', async () => {
    const mock = aMock({ script: () => [text('from the start')] });
    const jarvis = await mock.client();
    const say = async (directory: string): Promise<string> =>
      (await (await jarvis.forRepo(directory).sessions.create()).prompt('?')).text;
    mock.reply('one', { directory: '/one' });
    expect([await say('/one'), await say('/two')]).toEqual(['one', 'from the start']);
    mock.reply('all');
    expect([await say('/one'), await say('/two')]).toEqual(['one', 'all']);
  });

  it('counts the tokens that usage() gives', async () => {
    const mock = aMock();
    mock.script(() => [usage({ input: 7, output: 3 }), text('ok')]);
    const session = await (await mock.client()).forRepo('/repo').sessions.create();
    expect((await session.prompt('?')).tokens).toMatchObject({ input: 7, output: 3 });
    expect((await session.refresh()).tokens).toMatchObject({ input: 7, output: 3 });
  });

  it.each([
    ['undefined', undefined as unknown as MockStep[], /gave no steps but undefined/],
    ['a string', 'text' as unknown as MockStep[], /gave no steps but string/],
  ])('fails a turn whose script gives %s for steps', async (_what, steps, message) => {
    const mock = aMock();
    mock.script(() => steps);
    const session = await (await mock.client()).forRepo('/repo').sessions.create();
    await expect(session.prompt('?')).rejects.toMatchObject({
      serverError: { data: { message: expect.stringMatching(message) } },
    });
    expect(() => mock.script([] as never)).toThrow(TypeError);
    expect(() => question()).toThrow(TypeError);
  });

  it('ends a script that never ends by an abort and by close()', async () => {
    const mock = aMock();
    let hasEnded = false;
    mock.script(function* () {
      try {
        for (;;) yield text('and on ');
      } finally {
        hasEnded = true;
      }
    });
    const session = await (await mock.client()).forRepo('/repo').sessions.create();
    const turn = session.stream('Talk');
    for await (const step of turn) if (step.type === 'text') break;
    await turn.abort();
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
    expect(hasEnded).toBe(true);
    hasEnded = false;
    const second = session.stream('Talk');
    for await (const step of second) if (step.type === 'text') break;
    await mock.close();
    await expect(second.result).rejects.toMatchObject({ name: 'ClosedError' });
    expect(hasEnded).toBe(true);
  });
});

describe('terminals', () => {
  it('shows typed text in a terminal unless a test gives a program', async () => {
    const repo = (await aMock().client()).forRepo('/repo');
    await using connection = await repo.pty.connect((await repo.pty.create()).id);
    connection.write('ls\r');
    for await (const shown of connection) {
      expect(shown).toBe('ls\r\n');
      break;
    }
    const other = aMock({
      terminal: ({ write, command, args, cwd }) => write([command, ...args, cwd].join()),
    });
    const second = (await other.client()).forRepo('/repo');
    const { id } = await second.pty.create({ command: 'top', args: ['-b'] });
    await using program = await second.pty.connect(id);
    for await (const shown of program) {
      expect(shown).toBe('top,-b,/repo');
      break;
    }
    const connecting = other.requests().find(({ path }) => path === `/pty/${id}/connect`);
    expect(connecting?.directory).toBe('/repo');
  });

  it('closes the terminals of a server that crashes, without a timer', async () => {
    vi.useFakeTimers();
    const mock = aMock();
    const repo = (await mock.client()).forRepo('/repo');
    const lost = await repo.pty.connect((await repo.pty.create()).id);
    mock.crash();
    await expect(lost[Symbol.asyncIterator]().next()).rejects.toMatchObject({ name: 'ConnectionError' });
    expect(await lost.closed).toMatchObject({ code: 1006 });
    mock.restart();
    const closed = await repo.pty.connect((await repo.pty.create()).id);
    await closed.close();
    expect(await closed.closed).toMatchObject({ code: 1000 });
  });

  it('accepts each ticket for one connection to a terminal', async () => {
    const mock = aMock({ password: 'secret' });
    const repo = (await mock.client()).forRepo('/repo');
    const { id } = await repo.pty.create();
    const { ticket } = await repo.pty.connectToken(id);
    const { webSocket: Socket } = mock.connectOptions;
    const outcomeOf = (query: string, directory = '/repo'): Promise<string> =>
      new Promise((resolve) => {
        const url = `${mock.url}/pty/${id}/connect?directory=${directory}${query}`;
        const socket = new Socket(url.replace('http', 'ws'));
        socket.addEventListener('open', () => resolve('open'));
        socket.addEventListener('error', ({ message }) => resolve(message));
      });
    const refused = 'Unexpected server response: ';
    expect(await outcomeOf('')).toBe(`${refused}401`);
    expect(await outcomeOf('&ticket=another')).toBe(`${refused}403`);
    expect(await outcomeOf(`&ticket=${ticket}`, '/elsewhere')).toBe(`${refused}403`);
    expect(await outcomeOf(`&ticket=${ticket}`)).toBe('open');
    expect(await outcomeOf(`&ticket=${ticket}`)).toBe(`${refused}403`);
    await mock.close();
    expect(await outcomeOf('')).toBe('connect ECONNREFUSED');
  });
});

describe('isolation', () => {
  it('refuses a second mock at one origin, and names the first', async () => {
    const url = 'http://opencode.test';
    const first = aMock({ url });
    expect(() => mockOpenCode({ url: `${url}/x` })).toThrow(/still open[^]*made\n.*mock-kit\.test\.ts/);
    await first.close();
    expect(aMock({ url }).url).toBe(url);
  });

  it.concurrent.each(['one', 'two', 'three'])('keeps concurrent tests apart: %s', (name) =>
    server.boundary(async () => {
      const mock = mockOpenCode();
      server.use(...mock.handlers);
      mock.reply(name);
      const session = await (await mock.client()).forRepo('/repo').sessions.create();
      expect((await session.prompt('Who?')).text).toBe(name);
      expect(mock.sessions()).toHaveLength(1);
      await mock.close();
    })(),
  );

  it('closes the clients that the mock made', async () => {
    const mock = aMock();
    const jarvis = await mock.client();
    await using events = jarvis.events();
    await events.ready;
    await mock.close();
    expect(() => jarvis.forRepo('/repo')).toThrow('closed');
  });

  it('answers requests under fake timers that nobody advances', async () => {
    vi.useFakeTimers();
    const mock = aMock();
    const post = async (path: string, json: unknown): Promise<unknown> => {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(mock.url + path, { method: 'POST', headers, body: JSON.stringify(json) });
      return response.json();
    };
    const { id } = (await post('/session', {})) as { id: string };
    const prompt = { parts: [{ type: 'text', text: 'Hello' }] };
    expect(await post(`/session/${id}/message`, prompt)).toMatchObject({ info: { finish: 'stop' } });
    await mock.dispose('/');
    // Only what waits for a time waits.
    mock.script(() => [wait(1_000), text('no more')]);
    const waiting = post(`/session/${id}/message`, prompt);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await waiting).toMatchObject({ info: { finish: 'stop' } });
  });

  it('lets clients work under fake timers that nobody advances', async () => {
    vi.useFakeTimers();
    const mock = aMock();
    mock.script(({ prompt }) =>
      prompt === 'Hang'
        ? [text('On '), hang()]
        : [tool('bash', { command: 'ls' }, 'a.ts'), text('One file.')],
    );
    const jarvis = await mock.client();
    const repo = jarvis.forRepo('/repo');
    await using events = repo.events({ types: ['server.instance.disposed'] });
    const session = await repo.sessions.create();
    for (const prompt of ['Look', 'Again']) expect((await session.prompt(prompt)).text).toBe('One file.');
    const turn = session.stream('Hang');
    for await (const step of turn) if (step.type === 'text') await turn.abort();
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
    expect(await repo.dispose()).toMatchObject({ disposed: true });
    for await (const event of events) if (event.type === 'server.instance.disposed') break;
    mock.stream.cut();
    expect((await session.prompt('After all')).text).toBe('One file.');
    await jarvis.close();
    await mock.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('runs the mock in a page that must not send requests to http and has no randomUUID()', async () => {
    vi.stubGlobal('location', { protocol: 'https:' });
    vi.spyOn(crypto, 'randomUUID').mockImplementation(() => {
      throw new TypeError('crypto.randomUUID is not a function');
    });
    const mock = aMock();
    expect(mock.url).toMatch(/^https:/);
    const session = await (await mock.client()).forRepo('/repo').sessions.create();
    expect((await session.prompt('Hello')).text).toBe('ok');
  });

  it('cancels the copy of an event stream that the worker of msw makes for its log', async () => {
    const mock = aMock();
    const cancelled = vi.fn();
    const body = new ReadableStream({ cancel: cancelled });
    const response = new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    const request = new Request(`${mock.url}/global/event`);
    await mock.handlers[0]?.log({ request, response });
    expect(cancelled).toHaveBeenCalledOnce();
  });

  it('warns of a mock that was never closed when the process ends', async () => {
    const fixture = fileURLToPath(new URL('../fixtures/forgets-to-close.mjs', import.meta.url));
    const { stderr } = await promisify(execFile)(process.execPath, ['--import', 'tsx', fixture], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
    });
    expect(stderr).toMatch(
      /mock at http:\/\/forgotten\.test was never closed\. It was made\n +at .*forgets-to-close\.mjs:\d+/,
    );
    expect(stderr).not.toContain('http://closed.test');
  });
});
