import { fail, hang, mockOpenCode, question, text, tool, type MockStep } from 'jarvis-opencode/testing';
import { setupServer } from 'msw/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, OpenCode2Client, type OpenCode2Frame } from '../support/opencode2-client.js';
import { startOpenCode2 } from '../support/opencode2-server.js';

/** An OpenCode 2 server, spoken to by plain requests. */
interface Wire {
  readonly client: OpenCode2Client;
  readonly repos: readonly [string, string];
  close(): Promise<void>;
}

/** The binary of a real OpenCode 2 that the same requests go to. */
const binary = process.env['OPENCODE2_BIN'];

const shell = (command: string, output: string): MockStep =>
  tool('shell', { command, description: 'run' }, output);

/** The calls of the model that answer a prompt, each with its steps. */
function callsFor(prompt: string): MockStep[][] {
  if (prompt.startsWith('tool')) return [[shell('echo once', 'once\n')], [text('done')]];
  if (prompt.startsWith('question'))
    return [[question({ question: 'Pick?', header: 'H', options: ['A', 'B'] })], [text('done')]];
  if (prompt.startsWith('fail')) return [[fail('APIError', 'scripted failure')]];
  if (prompt.startsWith('hang')) return [[text('half'), hang()]];
  return [[text('an answer')]];
}

async function mockWire(): Promise<Wire> {
  const mock = mockOpenCode({ opencode: 2, script: ({ prompt }) => callsFor(prompt).flat() });
  const server = setupServer(...mock.handlers);
  server.listen({ onUnhandledRequest: 'error' });
  const client = new OpenCode2Client(mock.connectOptions);
  await client.listen();
  return {
    client,
    repos: [await mock.repo('first'), await mock.repo('second')],
    async close() {
      client.close();
      server.close();
      await mock.close();
    },
  };
}

async function realWire(path: string): Promise<Wire> {
  const server = await startOpenCode2(path, ({ prompt, step }) => callsFor(prompt)[step] ?? [text('done')]);
  const client = new OpenCode2Client(server);
  await client.listen();
  return {
    client,
    repos: server.repos,
    async close() {
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const wires: [string, () => Promise<Wire>][] = [['the mock of OpenCode 2', mockWire]];
if (binary !== undefined) wires.push(['a real OpenCode 2', () => realWire(binary)]);

/** What a server says besides, when it likes. */
const NOISE = /^(session\.(instructions\.updated|text\.delta|tool\.progress|usage\.updated)|shell\.)/;

function typesOf(frames: readonly OpenCode2Frame[]): string[] {
  return frames.map(({ type }) => type).filter((type) => !NOISE.test(type));
}

const STEP_WITH_TEXT = [
  'session.step.started',
  'session.text.started',
  'session.text.ended',
  'session.step.streamed',
  'session.step.ended',
];
const TOOL_CALL = [
  'session.step.started',
  'session.tool.input.started',
  'session.tool.input.ended',
  'session.tool.called',
  'session.step.streamed',
];
const BEGIN = [
  'session.created',
  'session.inbox.enqueued',
  'session.execution.started',
  'session.inbox.delivered',
];
const asking = { permissions: [{ action: 'shell', resource: '*', effect: 'ask' }] };

describe.each(wires)('the wire of %s', (_, open) => {
  let wire: Wire;
  let client: OpenCode2Client;
  let a: string;
  let b: string;

  beforeAll(async () => {
    wire = await open();
    client = wire.client;
    [a, b] = wire.repos;
  });
  afterAll(() => wire.close());

  /** The kinds and ends of the entries of a session, newest first. */
  async function endsOf(sessionID: string): Promise<unknown[][]> {
    const entries = await client.entries(sessionID);
    return entries.map((entry) => [entry['type'], entry['outcome'] ?? entry['finish'] ?? entry['text']]);
  }

  it('tells what it is', async () => {
    const { body } = await client.get('/api/info');
    expect(body).toMatchObject({ version: expect.stringMatching(/^2\./), pid: expect.any(Number) });
    expect(await client.get('/global/health')).toMatchObject({ status: 200, type: 'text/html' });
    expect(await client.get('/api/health')).toEqual({ status: 404, type: null, body: '' });
    const unknown = await client.get('/api/session/ses_doesnotexist');
    expect(unknown).toMatchObject({
      status: 404,
      body: { _tag: 'SessionNotFoundError', sessionID: 'ses_doesnotexist' },
    });
    expect((await client.call('GET', '/api/info', undefined, {})).status).toBe(401);
    expect((await client.call('GET', '/openapi.json', undefined, {})).status).toBe(401);
  });

  it('reads the directory where it reads it, and nowhere else', async () => {
    const id = await client.session(a);
    const elsewhere = await client.post(`/api/session?${at(a)}`, { directory: a });
    const { data } = elsewhere.body as { data: { location: { directory: string } } };
    expect([a, b]).not.toContain(data.location.directory);
    const listed = await client.data<{ id: string }[]>(`/api/session?directory=${encodeURIComponent(a)}`);
    expect(listed.map((session) => session.id)).toEqual([id]);
    expect((await client.data<unknown[]>(`/api/session?${at(a)}`)).length).toBeGreaterThan(1);
    const slash = await client.get(`/api/session?directory=${encodeURIComponent(`${a}/`)}`);
    expect(slash.body).toEqual({ data: [], cursor: { previous: null, next: null } });
    expect((await client.get(`/api/location?${at('relative')}`)).status).toBe(500);
  });

  it('loads and evicts a location', async () => {
    expect((await client.get(`/api/location?${at(b)}`)).body).toMatchObject({ directory: b });
    expect(await client.loaded()).toContain(b);
    await client.call('DELETE', `/api/debug/location?directory=${encodeURIComponent(b)}`);
    expect(await client.loaded()).toContain(b);
    const from = client.frames.length;
    expect((await client.call('DELETE', `/api/debug/location?${at(b)}`)).status).toBe(204);
    expect((await client.first('location.shutdown', from)).location).toEqual({ directory: b });
    expect(await client.loaded()).not.toContain(b);
  });

  it('answers a prompt with a text', async () => {
    const id = await client.session(a);
    const receipt = await client.prompt(id, 'hello', { id: `msg_own${id}` });
    expect(receipt.body).toMatchObject({
      data: {
        id: `msg_own${id}`,
        sessionID: id,
        type: 'user',
        payload: { text: 'hello' },
        delivery: 'steer',
      },
    });
    const end = await client.end(id);
    expect(end.location).toBeUndefined();
    expect(typesOf(client.of(id))).toEqual([...BEGIN, ...STEP_WITH_TEXT, 'session.execution.succeeded']);
    const numbers = client.of(id).flatMap(({ durable }) => (durable === undefined ? [] : [durable.seq]));
    expect(numbers).toEqual(numbers.map((_number, index) => index));
    const entries = [
      ['idle', 'succeeded'],
      ['assistant', 'stop'],
      ['user', 'hello'],
    ];
    expect(await endsOf(id)).toEqual(entries);
    const from = client.frames.length;
    const again = await client.prompt(id, 'other', { id: `msg_own${id}` });
    expect(again.body).toMatchObject({ data: { payload: { text: 'hello' } } });
    await client.end(id, from);
    expect(typesOf(client.frames.slice(from))).toEqual([
      'session.execution.started',
      'session.execution.succeeded',
    ]);
    expect(await endsOf(id)).toEqual([['idle', 'succeeded'], ...entries]);
    expect(await client.data(`/api/session/${id}`)).toMatchObject({
      outcome: 'succeeded',
      location: { directory: a },
    });
  });

  it('asks for a tool, and goes on when it may run', async () => {
    const id = await client.session(a, asking);
    const from = client.frames.length;
    await client.prompt(id, 'tool');
    const asked = await client.first('permission.asked', from);
    expect(asked.data).toMatchObject({ action: 'shell', resources: ['echo once'], save: ['echo *'] });
    expect(await client.data(`/api/permission/request?${at(a)}`)).toMatchObject([{ id: asked.data['id'] }]);
    const reply = `/api/session/${id}/permission/${String(asked.data['id'])}/reply`;
    expect((await client.post(reply, { reply: 'once' })).status).toBe(400);
    expect((await client.post(reply, { decision: 'once' })).status).toBe(204);
    expect((await client.post(reply, { decision: 'once' })).status).toBe(404);
    await client.end(id, from);
    expect(typesOf(client.of(id))).toEqual([
      ...BEGIN,
      ...TOOL_CALL,
      'permission.asked',
      'permission.replied',
      'session.tool.success',
      'session.step.ended',
      ...STEP_WITH_TEXT,
      'session.execution.succeeded',
    ]);
    const [, , step] = await client.entries(id);
    expect(step).toMatchObject({
      finish: 'tool-calls',
      content: [
        { type: 'tool', name: 'shell', state: { status: 'completed', content: [{ text: 'once\n' }] } },
      ],
    });
  });

  it('ends with `shutdown` after a bare rejection, and goes on after one with a message', async () => {
    const id = await client.session(a, asking);
    const rejectNext = async (more: object): Promise<OpenCode2Frame> => {
      const from = client.frames.length;
      await client.prompt(id, 'tool');
      const asked = await client.first('permission.asked', from);
      const reply = `/api/session/${id}/permission/${String(asked.data['id'])}/reply`;
      await client.post(reply, { decision: 'reject', ...more });
      return client.end(id, from);
    };
    expect(await rejectNext({})).toMatchObject({
      type: 'session.execution.interrupted',
      data: { reason: 'shutdown' },
    });
    expect(await endsOf(id)).toEqual([
      ['assistant', 'error'],
      ['user', 'tool'],
    ]);
    expect(await client.data(`/api/session/${id}`)).not.toHaveProperty('outcome');
    expect((await rejectNext({ message: 'no' })).type).toBe('session.execution.succeeded');
  });

  it('asks by a form, and takes the answer by its key', async () => {
    const id = await client.session(a);
    const from = client.frames.length;
    await client.prompt(id, 'question');
    const { data } = await client.first('form.created', from);
    const form = data['form'] as { readonly id: string };
    expect(form).toMatchObject({ fields: [{ key: 'q0', title: 'H', description: 'Pick?', type: 'string' }] });
    const path = `/api/session/${id}/form/${form.id}`;
    expect((await client.post(`${path}/reply`, { answers: [['A']] })).status).toBe(400);
    expect((await client.post(`${path}/reply`, { answer: { q0: 'A' } })).status).toBe(204);
    expect((await client.post(`${path}/reply`, { answer: { q0: 'A' } })).status).toBe(409);
    expect((await client.end(id, from)).type).toBe('session.execution.succeeded');
    const next = client.frames.length;
    await client.prompt(id, 'question');
    const other = (await client.first('form.created', next)).data['form'] as { readonly id: string };
    expect((await client.call('DELETE', `/api/session/${id}/form/${other.id}`)).status).toBe(204);
    expect((await client.end(id, next)).data).toMatchObject({ reason: 'shutdown' });
  });

  it('fails and interrupts', async () => {
    const id = await client.session(a);
    const failed = await client.turn(id, 'fail');
    expect(failed).toMatchObject({
      type: 'session.execution.failed',
      data: { error: { type: 'provider.invalid-request', message: 'scripted failure', status: 400 } },
    });
    const from = client.frames.length;
    await client.prompt(id, 'hang');
    await client.until(({ type, data }) => type === 'session.text.delta' && data['sessionID'] === id, from);
    expect(await client.data('/api/session/active')).toEqual({ [id]: { type: 'running' } });
    await client.prompt(id, 'later', { delivery: 'queue' });
    expect((await client.post(`/api/session/${id}/interrupt`)).body).toEqual({ interrupted: true });
    expect((await client.end(id, from)).data).toMatchObject({ reason: 'user' });
    expect((await client.post(`/api/experimental/session/${id}/wait`)).status).toBe(204);
    expect((await client.post(`/api/session/${id}/interrupt`)).body).toEqual({ interrupted: false });
    expect(await client.data(`/api/session/${id}/inbox`)).toMatchObject([{ payload: { text: 'later' } }]);
    const [idle, step] = await client.entries(id);
    expect(idle).toMatchObject({ type: 'idle', outcome: 'interrupted' });
    expect(step).toMatchObject({
      finish: 'error',
      error: { type: 'aborted', message: 'Step interrupted' },
      content: [{ type: 'text', text: 'half' }],
    });
  });

  it('forks, changes and deletes a session', async () => {
    const id = await client.session(a);
    await client.turn(id, 'hello');
    const forked = await client.post(`/api/session/${id}/fork`);
    const { data } = forked.body as { data: { id: string; title: string } };
    expect(data).toMatchObject({ title: 'a title (fork #1)', fork: { sessionID: id } });
    expect((await endsOf(data.id)).map(([type]) => type)).toEqual(['idle', 'assistant', 'user']);
    const path = `/api/session/${id}`;
    expect((await client.call('PATCH', path, { title: 'new' })).status).toBe(204);
    expect((await client.post(`${path}/agent`, { agent: 'build' })).status).toBe(204);
    expect(await client.data(path)).toMatchObject({ title: 'new', agent: 'build' });
    expect((await client.call('DELETE', path)).status).toBe(204);
    expect((await client.call('DELETE', path)).status).toBe(404);
  });
});
