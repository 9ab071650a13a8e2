import { fail, hang, reasoning, text, tool, waitFor } from 'jarvis-opencode/testing';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/core/abort.js';
import {
  FAILED_ENTRIES,
  INTERRUPTED_ENTRIES,
  REJECTED_ENTRIES,
  REJECTED_SESSION,
  REJECTED_TURN,
  SESSION,
  TEXT_ENTRIES,
  TEXT_TURN,
  TOOL_ENTRIES,
  TOOL_TURN,
} from './fixtures.js';
import { lineOf, makeWorld, shapeOf } from './world.js';

const A = '/repos/a';
const untitled = { title: undefined };
const shell = (command: string, output = '') => tool('bash', { command, description: 'run' }, output);

describe('a turn of the mock of OpenCode 2', () => {
  it('tells and stores a text as the server does', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [text('one two', { chunks: 1 })]);
    const model = { id: 'mock', providerID: 'mock', variant: 'default' };
    const id = await client.session(A, { ...untitled, model });
    expect((await client.turn(id, 'hello')).type).toBe('session.execution.succeeded');
    expect(client.of(id).map(lineOf)).toEqual(TEXT_TURN);
    const entries = await client.entries(id);
    expect(shapeOf(entries)).toEqual(withoutVariant(TEXT_ENTRIES));
    expect(entries.map(({ type }) => type)).toEqual(['idle', 'assistant', 'user']);
    const session = await client.data(`/api/session/${id}`);
    expect(shapeOf(session)).toEqual(SESSION);
    // The call for the title counts too.
    expect(session).toMatchObject({ tokens: { input: 20, output: 10 } });
  });

  it('asks for a tool when the answer of the model is complete, and goes on when it may run', async () => {
    await using world = await makeWorld({ asks: ['bash'] });
    const { client, mock } = world;
    mock.script(() => [shell('echo once', 'once\n'), text('done', { chunks: 1 })]);
    const id = await client.session(A, untitled);
    await client.prompt(id, 'run it');
    const asked = await client.first('permission.asked');
    expect(asked.data).toMatchObject({ action: 'shell', resources: ['echo once'], save: ['echo *'] });
    const reply = `/api/session/${id}/permission/${String(asked.data['id'])}/reply`;
    expect((await client.post(reply, { decision: 'once' })).status).toBe(204);
    await client.end(id);
    expect(client.of(id).map(lineOf)).toEqual(TOOL_TURN);
    expect(shapeOf(await client.entries(id))).toEqual(TOOL_ENTRIES);
    expect((await client.post(reply, { decision: 'once' })).body).toMatchObject({
      _tag: 'PermissionNotFoundError',
    });
  });

  it('ends with `shutdown` and stores no end when a tool is rejected without a message', async () => {
    await using world = await makeWorld({ asks: ['bash'] });
    const { client, mock } = world;
    mock.script(() => [shell('echo no'), text('never')]);
    const id = await client.session(A, untitled);
    await client.prompt(id, 'run it');
    const asked = await client.first('permission.asked');
    await client.post(`/api/session/${id}/permission/${String(asked.data['id'])}/reply`, {
      decision: 'reject',
    });
    expect((await client.end(id)).data).toMatchObject({ reason: 'shutdown' });
    expect(client.of(id).map(lineOf)).toEqual(REJECTED_TURN);
    expect(shapeOf(await client.entries(id))).toEqual(REJECTED_ENTRIES);
    expect(shapeOf(await client.data(`/api/session/${id}`))).toEqual(REJECTED_SESSION);
  });

  it('goes on when a tool is rejected with a message', async () => {
    await using world = await makeWorld({ asks: ['bash'] });
    const { client, mock } = world;
    mock.script(() => [shell('echo no'), text('other way')]);
    const id = await client.session(A);
    await client.prompt(id, 'run it');
    const asked = await client.first('permission.asked');
    await client.post(`/api/session/${id}/permission/${String(asked.data['id'])}/reply`, {
      decision: 'reject',
      message: 'not this',
    });
    expect((await client.end(id)).type).toBe('session.execution.succeeded');
    const failed = await client.first('session.tool.failed');
    expect(failed.data['error']).toEqual({
      type: 'tool.execution',
      message: 'Unable to execute command: echo no',
    });
    const types = (await client.entries(id)).map(({ type, finish }) => [type, finish]);
    expect(types).toEqual([
      ['idle', undefined],
      ['assistant', 'stop'],
      ['assistant', 'tool-calls'],
      ['user', undefined],
    ]);
  });

  it('fails with the error of the provider', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [fail('APIError', 'scripted failure')]);
    const id = await client.session(A);
    const error = { type: 'provider.invalid-request', message: 'scripted failure', status: 400 };
    expect((await client.turn(id, 'hello')).data).toMatchObject({ error });
    expect(shapeOf(await client.entries(id))).toEqual(FAILED_ENTRIES);
    const types = client.of(id).map(({ type }) => type);
    expect(types.slice(-3)).toEqual([
      'session.step.started',
      'session.step.failed',
      'session.execution.failed',
    ]);
  });

  it('keeps the text of an interrupted answer', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [text('half'), hang()]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    await client.first('session.text.delta');
    expect((await client.post(`/api/session/${id}/interrupt`)).body).toEqual({ interrupted: true });
    expect((await client.end(id)).data).toMatchObject({ reason: 'user' });
    const [idle, step] = await client.entries(id);
    expect(shapeOf([idle, step])).toEqual(INTERRUPTED_ENTRIES);
    expect(step).toMatchObject({ content: [{ text: 'half' }], error: { type: 'aborted' } });
    expect((await client.post(`/api/session/${id}/interrupt`)).body).toEqual({ interrupted: false });
  });

  it('interrupts a running tool', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [shell('sleep 9'), hang()]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    await client.first('session.step.streamed');
    await client.post(`/api/session/${id}/interrupt`);
    await client.end(id);
    expect((await client.first('session.tool.failed')).data['error']).toEqual({
      type: 'aborted',
      message: 'Tool execution interrupted',
    });
  });

  it('streams reasoning with numbers of its own', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [reasoning('why', { chunks: 1 }), text('so', { chunks: 1 })]);
    const id = await client.session(A);
    await client.turn(id, 'hello');
    const ordinals = client
      .of(id)
      .flatMap(({ type, data }) => ('ordinal' in data ? [[type, data['ordinal']]] : []));
    expect(ordinals).toEqual([
      ['session.reasoning.started', 0],
      ['session.reasoning.delta', 0],
      ['session.reasoning.ended', 0],
      ['session.text.started', 0],
      ['session.text.delta', 0],
      ['session.text.ended', 0],
    ]);
    const [, step] = await client.entries(id);
    expect(step).toMatchObject({
      content: [
        { type: 'reasoning', text: 'why' },
        { type: 'text', text: 'so' },
      ],
    });
  });
});

describe('the prompts of the mock of OpenCode 2', () => {
  it('delivers what steers at the next step and the queue after it, in one execution', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    const gate = deferred();
    mock.script(({ prompt }) =>
      prompt === 'first' ? [text('a'), waitFor(gate.promise)] : [text(`ok ${prompt}`)],
    );
    const id = await client.session(A);
    await client.prompt(id, 'first');
    await client.first('session.text.delta');
    expect((await client.get('/api/session/active')).body).toEqual({ data: { [id]: { type: 'running' } } });
    await client.prompt(id, 'q1', { delivery: 'queue' });
    await client.prompt(id, 's1');
    await client.prompt(id, 's2', { delivery: 'steer' });
    const inbox = await client.data<{ payload: { text: string } }[]>(`/api/session/${id}/inbox`);
    expect(inbox.map(({ payload }) => payload.text)).toEqual(['q1', 's1', 's2']);
    gate.resolve();
    await client.end(id);
    const said = (await client.entries(id)).map(
      (entry) => entry['text'] ?? textOf(entry) ?? entry['outcome'],
    );
    expect(said).toEqual(['succeeded', 'ok q1', 'q1', 'ok s2', 's2', 's1', 'a', 'first']);
    expect(client.of(id).filter(({ type }) => type.startsWith('session.execution'))).toHaveLength(2);
    expect((await client.get('/api/session/active')).body).toEqual({ data: {} });
  });

  it('answers a repeated id with the first receipt', async () => {
    await using world = await makeWorld();
    const { client } = world;
    const id = await client.session(A);
    const own = { id: 'msg_own1' };
    const first = await client.prompt(id, 'hello', own);
    expect(first.body).toMatchObject({
      data: {
        id: 'msg_own1',
        type: 'user',
        payload: { text: 'hello' },
        delivery: 'steer',
      },
    });
    await client.end(id);
    const again = await client.prompt(id, 'other', own);
    expect(again.body).toMatchObject({ data: { payload: { text: 'hello' } } });
    await client.post(`/api/experimental/session/${id}/wait`);
    const types = (await client.entries(id)).map(({ type }) => type);
    expect(types).toEqual(['idle', 'idle', 'assistant', 'user']);
    expect((await client.prompt(id, 'x', { id: 'bad' })).body).toEqual({
      _tag: 'InvalidRequestError',
      message: 'Expected a string starting with "msg_"\n  at ["id"]',
      kind: 'Payload',
    });
  });

  it('keeps the rest of the inbox after an interruption, and answers it after the next prompt', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(({ prompt }) => (prompt === 'first' ? [hang()] : [text(`ok ${prompt}`)]));
    const id = await client.session(A);
    await client.prompt(id, 'first');
    await client.first('session.step.started');
    await client.prompt(id, 'q1', { delivery: 'queue' });
    await client.post(`/api/session/${id}/interrupt`);
    await client.end(id);
    expect((await client.post(`/api/experimental/session/${id}/wait`)).status).toBe(204);
    expect(await client.data(`/api/session/${id}/inbox`)).toHaveLength(1);
    await client.turn(id, 'later');
    const prompts = (await client.entries(id))
      .filter(({ type }) => type === 'user')
      .map((entry) => entry['text']);
    expect(prompts).toEqual(['q1', 'later', 'first']);
  });

  it('takes a waiting prompt back, whose id can be used again, and changes when one is delivered', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    const gate = deferred();
    mock.script(({ prompt }) => [text(`ok ${prompt}`), waitFor(gate.promise)]);
    const id = await client.session(A);
    await client.prompt(id, 'first');
    await client.first('session.text.delta');
    const inbox = `/api/session/${id}/inbox`;
    const queued = { delivery: 'queue' };
    await client.prompt(id, 'a', { ...queued, id: 'msg_a' });
    for (const waiting of ['msg_a', 'msg_a', 'msg_nope'])
      expect((await client.call('DELETE', `${inbox}/${waiting}`)).status).toBe(204);
    await client.prompt(id, 'b', { ...queued, id: 'msg_b' });
    await client.prompt(id, 'c', { ...queued, id: 'msg_a' });
    expect((await client.call('PATCH', `${inbox}/msg_a`, { delivery: 'steer' })).status).toBe(204);
    expect((await client.call('PATCH', `${inbox}/msg_a`, { delivery: 'later' })).status).toBe(400);
    gate.resolve();
    await client.end(id);
    const said = (await client.entries(id))
      .filter(({ type }) => type === 'user')
      .map((entry) => entry['text']);
    expect(said).toEqual(['b', 'c', 'first']);
    expect(client.of(id).filter(({ type }) => type === 'session.inbox.cancelled')).toHaveLength(1);
  });

  it('fails for an unknown model or agent', async () => {
    await using world = await makeWorld();
    const { client } = world;
    const badModel = await client.session(A, { model: { id: 'nope', providerID: 'mock' } });
    expect((await client.turn(badModel, 'x')).data['error']).toEqual({
      type: 'provider.no-route',
      message: 'Model unavailable: mock/nope',
    });
    expect((await client.entries(badModel)).map(({ type }) => type)).toEqual(['idle', 'user']);
    const badAgent = await client.session(A, { agent: 'nope' });
    expect((await client.turn(badAgent, 'x')).data['error']).toEqual({
      type: 'unknown',
      message: 'Agent not found: "nope"',
    });
    expect(await client.data(`/api/session/${badAgent}/inbox`)).toHaveLength(1);
  });
});

function textOf(entry: Readonly<Record<string, unknown>>): string | undefined {
  return (entry['content'] as { text?: string }[] | undefined)?.[0]?.text;
}

/** The mock names no variant of the model in a step. */
function withoutVariant(entries: unknown): unknown {
  return JSON.parse(
    JSON.stringify(entries, (key, value: unknown) => (key === 'variant' ? undefined : value)),
  );
}
