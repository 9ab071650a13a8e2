import { hang, mockFleet, mockOpenCode, retry, text } from 'jarvis-opencode/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { OPENCODE_2_ROUTES } from '../../../src/testing/opencode2/routes/all.js';
import { UNMOCKED } from '../../../src/testing/opencode2/unmocked.js';
import { at, OpenCode2Client } from '../../support/opencode2-client.js';
import { makeWorld } from './world.js';

vi.mock('../../../src/core/real-time.js', () => import('../../support/global-time.js'));

afterEach(() => vi.useRealTimers());

const A = '/repos/a';

describe('the server of the mock of OpenCode 2', () => {
  it('is told apart from OpenCode 1.x by its answers', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    expect((await client.get('/api/info')).body).toMatchObject({ version: '2.0.14', pid: 1 });
    expect(mock.version).toBe('2.0.14');
    for (const path of ['/global/health', '/session', '/doc', '/'])
      expect(await client.get(path)).toMatchObject({ status: 200, type: 'text/html' });
    for (const path of ['/api/health', '/api/nope', '/api/session/ses_1/rename'])
      expect(await client.get(path)).toEqual({ status: 404, type: null, body: '' });
    expect((await client.get('/api/session/nope')).body).toEqual({
      _tag: 'InvalidRequestError',
      message: 'Expected a string starting with "ses"\n  at ["sessionID"]',
      kind: 'Params',
    });
  });

  it('has always a password, for all of the API and its document', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    const { url, password = '' } = mock.connectOptions;
    const headersOf = (user: string, secret: string): Record<string, string> => ({
      authorization: `Basic ${btoa(`${user}:${secret}`)}`,
    });
    for (const headers of [{}, headersOf('opencode', 'no'), headersOf('other', password)])
      for (const path of ['/api/info', '/api/nope', '/openapi.json', '/api/event'])
        expect((await client.call('GET', path, undefined, headers)).status).toBe(401);
    expect((await client.call('GET', '/global/health', undefined, {})).status).toBe(200);
    const token = encodeURIComponent(btoa(`opencode:${password}`));
    expect((await fetch(`${url}/api/info?auth_token=${token}`)).status).toBe(200);
    expect(() => mockOpenCode({ opencode: 2, username: 'me' })).toThrow(TypeError);
  });

  it('documents its operations with the fields of their bodies', async () => {
    await using world = await makeWorld();
    const { body } = await world.client.get('/openapi.json');
    const schemaOf = (properties: object): object => ({
      requestBody: { content: { 'application/json': { schema: { properties } } } },
    });
    const string = { type: 'string' };
    expect(body).toMatchObject({
      openapi: '3.1.0',
      paths: {
        '/api/info': { get: {} },
        '/api/debug/location': { get: {}, delete: {} },
        '/api/session': { get: {}, post: schemaOf({ location: { type: 'object' } }) },
        '/api/session/{sessionID}/prompt': { post: schemaOf({ text: string, id: string, delivery: string }) },
        '/api/session/{sessionID}/permission/{requestID}/reply': {
          post: schemaOf({ decision: string, message: string }),
        },
        '/api/session/{sessionID}/form/{formID}/reply': { post: schemaOf({ answer: { type: 'object' } }) },
      },
    });
  });

  it('refuses the operations that it does not have by name, and takes handlers for them', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    const id = await client.session(A);
    const path = `/api/session/${id}/compact`;
    expect((await client.post(path)).body).toMatchObject({ name: 'NotMocked' });
    mock.use('POST /api/session/{sessionID}/compact', ({ params }) => ({ data: params.sessionID }));
    expect((await client.post(path)).body).toEqual({ data: id });
    const mocked = OPENCODE_2_ROUTES.map(({ method, pattern }) => `${method} ${pattern}`);
    expect(new Set([...mocked, ...UNMOCKED]).size).toBe(mocked.length + UNMOCKED.length);
  });

  it('reads an empty repository', async () => {
    await using world = await makeWorld({ agents: ['review'], models: ['anthropic/claude'] });
    const { client } = world;
    const idsOf = async (path: string): Promise<string[]> =>
      (await client.data<{ id: string }[]>(path)).map(({ id }) => id);
    expect(await idsOf(`/api/agent?${at(A)}`)).toContain('review');
    expect(await idsOf(`/api/model?${at(A)}`)).toEqual(['mock', 'claude']);
    expect(await idsOf(`/api/provider?${at(A)}`)).toEqual(['mock', 'anthropic']);
    expect((await client.get(`/api/fs/list?${at(A)}`)).body).toEqual({
      location: { directory: A },
      data: [],
    });
    expect((await client.get(`/api/fs/read/src/a.ts?${at(A)}`)).body).toEqual({
      _tag: 'FileNotFoundError',
      path: 'src/a.ts',
      message: 'File not found: src/a.ts',
    });
  });

  it('records each request with the directory that the server takes it for', async () => {
    await using world = await makeWorld({ cwd: '/srv' });
    const { client, mock } = world;
    const id = await client.session(A);
    await client.get(`/api/session/${id}?${at('/other')}`);
    await client.get(`/api/fs/list?directory=${A}`);
    await client.get('/api/session/active');
    const directories = mock.requests().map(({ method, path, directory }) => [method, path, directory]);
    expect(directories).toEqual([
      ['GET', '/api/event', undefined],
      ['POST', '/api/session', A],
      ['GET', `/api/session/${id}`, A],
      ['GET', '/api/fs/list', '/srv'],
      ['GET', '/api/session/active', undefined],
    ]);
  });
});

describe('the faults of the mock of OpenCode 2', () => {
  it('loses, holds and cuts its events', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    const id = await client.session(A);
    {
      using _lost = mock.stream.drop(({ type }) => type === 'session.step.ended');
      await client.turn(id, 'hello');
    }
    expect(client.of(id).map(({ type }) => type)).not.toContain('session.step.ended');
    expect((await client.entries(id))[1]).toMatchObject({ finish: 'stop' });
    const from = client.frames.length;
    const held = mock.stream.hold();
    await client.prompt(id, 'again');
    await client.post(`/api/experimental/session/${id}/wait`);
    expect(client.frames).toHaveLength(from);
    held[Symbol.dispose]();
    await client.end(id, from);
    const other = new OpenCode2Client(mock.connectOptions);
    const { body } = await other.listen();
    mock.stream.cut();
    await expect(other.ended).rejects.toThrow();
    expect(body).not.toBeNull();
  });

  it('fails requests by their operation', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    const id = await client.session(A);
    mock.failRequest('POST /api/session/{sessionID}/prompt', { status: 503 });
    expect((await client.prompt(id, 'x')).status).toBe(503);
    expect((await client.prompt(id, 'x')).status).toBe(200);
    mock.failRequest('GET /api/info');
    await expect(client.get('/api/info')).rejects.toThrow();
  });

  it('loses the streamed text of a crash, and keeps what waits for the next prompt', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(({ prompt }) => (prompt === 'first' ? [text('half'), hang()] : [text(`ok ${prompt}`)]));
    const id = await client.session(A);
    await client.prompt(id, 'first');
    await client.first('session.text.delta');
    await client.prompt(id, 'q1', { delivery: 'queue' });
    const seen = client.frames.length;
    mock.crash();
    await expect(client.get('/api/info')).rejects.toThrow();
    mock.restart();
    expect((await client.get('/api/session/active')).body).toEqual({ data: {} });
    expect(await client.loaded()).toEqual([]);
    expect(await client.data(`/api/session/${id}/inbox`)).toHaveLength(1);
    const [open] = await client.entries(id);
    expect(open).toMatchObject({ type: 'assistant', content: [{ type: 'text', text: '' }] });
    expect(open).not.toHaveProperty('time.completed');
    const again = new OpenCode2Client(mock.connectOptions);
    await again.listen();
    await again.turn(id, 'later');
    expect(again.of(id).at(-1)?.type).toBe('session.execution.succeeded');
    const prompts = (await client.entries(id))
      .filter(({ type }) => type === 'user')
      .map((entry) => entry['text']);
    expect(prompts).toEqual(['q1', 'later', 'first']);
    expect(client.frames).toHaveLength(seen);
    again.close();
  });

  it('leaves a request of a process that has ended without an answer', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [hang()]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    await client.first('session.step.started');
    const waiting = client.post(`/api/experimental/session/${id}/wait`);
    await vi.waitUntil(() => mock.requests().some(({ path }) => path.endsWith('/wait')));
    mock.crash();
    mock.restart();
    await expect(waiting).rejects.toThrow();
  });

  it('schedules the repetition of a call that the provider refuses', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [retry('busy'), text('ok')]);
    const id = await client.session(A);
    await client.turn(id, 'hello');
    const { data } = await client.first('session.retry.scheduled');
    expect(data).toMatchObject({
      attempt: 2,
      error: { type: 'provider.internal', message: 'busy', status: 503 },
    });
    const steps = client.of(id).filter(({ type }) => type === 'session.step.started');
    expect(new Set(steps.map((step) => step.data['assistantMessageID'])).size).toBe(1);
    expect(steps).toHaveLength(2);
  });

  it('sends a comment as heartbeat every fifteen seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await using world = await makeWorld();
    const { client } = world;
    await client.untilComments(1);
    await vi.advanceTimersByTimeAsync(30_000);
    await client.untilComments(3);
    expect(client.comments).toEqual([': heartbeat', ': heartbeat', ': heartbeat']);
  });
});

describe('mockFleet()', () => {
  it('takes mocks of both majors', async () => {
    const one = mockOpenCode();
    const two = mockOpenCode({ opencode: 2 });
    await using fleet = mockFleet({ one, two });
    expect(fleet.handlers).toHaveLength(2);
    expect([one.version, two.version]).toEqual(['1.18.33', '2.0.14']);
  });
});
