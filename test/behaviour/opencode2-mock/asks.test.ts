import { afterTools, ask, question, subtask, text, tool } from 'jarvis-opencode/testing';
import { describe, expect, it } from 'vitest';
import { at } from '../../support/opencode2-client.js';
import { FORM } from './fixtures.js';
import { makeWorld, shapeOf } from './world.js';

const A = '/repos/a';

describe('the permissions of the mock of OpenCode 2', () => {
  it('lists what waits, for a location and for a session', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [ask('bash', { command: 'ls -l' }), text('done')]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    const { data: request } = await client.first('permission.asked');
    expect(request).toMatchObject({ action: 'shell', resources: ['ls -l'], save: ['ls *'] });
    const located = await client.get(`/api/permission/request?${at(A)}`);
    expect(located.body).toEqual({ location: { directory: A }, data: [request] });
    expect(await client.data(`/api/permission/request?${at('/repos/b')}`)).toEqual([]);
    expect(await client.data(`/api/session/${id}/permission`)).toEqual([request]);
    const reply = `/api/session/${id}/permission/${String(request['id'])}/reply`;
    expect((await client.post(reply, { reply: 'once' })).body).toEqual({
      _tag: 'InvalidRequestError',
      message: 'Missing key\n  at ["decision"]',
      kind: 'Payload',
    });
    expect((await client.post(reply, { decision: 'maybe' })).body).toMatchObject({
      message: 'Expected Permission.Reply\n  at ["decision"]',
    });
    await client.post(reply, { decision: 'once' });
    expect((await client.end(id)).type).toBe('session.execution.succeeded');
  });

  it('saves `always` for the project, also after an eviction', async () => {
    await using world = await makeWorld({ asks: ['shell'] });
    const { client, mock } = world;
    mock.script(() => [
      tool('bash', { command: 'echo a' }),
      tool('bash', { command: 'echo b' }),
      text('done'),
    ]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    const asked = await client.first('permission.asked');
    await client.until(({ type, data }) => type === 'permission.asked' && data['id'] !== asked.data['id']);
    await client.post(`/api/session/${id}/permission/${String(asked.data['id'])}/reply`, {
      decision: 'always',
    });
    await client.end(id);
    expect(client.frames.filter(({ type }) => type === 'permission.replied')).toHaveLength(2);
    const saved = await client.data(
      `/api/permission/saved?projectID=${encodeURIComponent(`project of ${A}`)}`,
    );
    expect(saved).toMatchObject([{ action: 'shell', resource: 'echo *' }]);
    expect(await client.data('/api/permission/saved')).toEqual([]);
    await mock.dispose(A);
    const from = client.frames.length;
    await client.turn(await client.session(A), 'again');
    expect(client.frames.slice(from).map(({ type }) => type)).not.toContain('permission.asked');
  });

  it('asks by the rules of a session, and denies by them', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [
      tool('bash', { command: 'ls' }),
      afterTools(([result]) => [text(result?.output ?? '')]),
    ]);
    const permissions = [{ action: 'shell', resource: '*', effect: 'deny' }];
    const id = await client.session(A, { permissions });
    await client.turn(id, 'hello');
    const failed = await client.first('session.tool.failed');
    expect(failed.data['error']).toEqual({
      type: 'tool.execution',
      message:
        'No tool named "shell" is currently available. Please use a tool from the available tool list.',
    });
    expect(mock.messages(id).flatMap(({ parts }) => parts)).toContainEqual(
      expect.objectContaining({ type: 'tool', tool: 'shell' }),
    );
  });

  it('takes back what waits when the turn is interrupted', async () => {
    await using world = await makeWorld({ asks: ['bash'] });
    const { client, mock } = world;
    mock.script(({ prompt }) =>
      prompt === 'ask' ? [question('Which?')] : [tool('bash', { command: 'ls' })],
    );
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    const asked = await client.first('permission.asked');
    await client.post(`/api/session/${id}/interrupt`);
    await client.end(id);
    expect(await client.data(`/api/session/${id}/permission`)).toEqual([]);
    expect(client.frames.map(({ type }) => type)).not.toContain('permission.replied');
    const reply = `/api/session/${id}/permission/${String(asked.data['id'])}/reply`;
    expect((await client.post(reply, { decision: 'once' })).status).toBe(404);
    const from = client.frames.length;
    await client.prompt(id, 'ask');
    await client.first('form.created', from);
    await client.post(`/api/session/${id}/interrupt`);
    await client.end(id, from);
    expect((await client.first('form.cancelled')).data).toMatchObject({ sessionID: id });
  });
});

describe('the forms of the mock of OpenCode 2', () => {
  it('takes the answers of questions by their keys', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [
      question({ question: 'Which?', header: 'H', options: ['A', 'B'], multiple: true }, 'Free?'),
      afterTools(([answer]) => [text(answer?.output ?? '')]),
    ]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    const { data } = await client.first('form.created');
    const form = data['form'] as { readonly id: string };
    expect(data).toMatchObject({ form: { fields: [{ type: 'multiselect' }, { type: 'string' }] } });
    expect(await client.data(`/api/form?${at(A)}`)).toEqual([form]);
    expect(await client.data(`/api/session/${id}/form`)).toEqual([form]);
    const path = `/api/session/${id}/form/${form.id}`;
    const reply = (body: unknown): ReturnType<typeof client.post> => client.post(`${path}/reply`, body);
    expect((await reply({ answers: [['A']] })).body).toMatchObject({
      message: 'Missing key\n  at ["answer"]',
    });
    expect((await reply({ answer: { q0: 'A' } })).body).toEqual({
      _tag: 'FormInvalidAnswerError',
      id: form.id,
      message: 'Expected string array for form field: q0',
    });
    expect((await reply({ answer: { q9: 'x' } })).body).toMatchObject({ message: 'Unknown form field: q9' });
    expect((await reply({ answer: { q0: ['A', 'B'] } })).status).toBe(204);
    await client.end(id);
    expect((await client.first('form.replied')).data['answer']).toEqual({ q0: ['A', 'B'] });
    expect(await client.data(path)).toMatchObject({
      state: { status: 'answered', answer: { q0: ['A', 'B'] } },
    });
    const settled = {
      _tag: 'FormAlreadySettledError',
      id: form.id,
      message: `Form already settled: ${form.id}`,
    };
    for (const again of [await reply({ answer: {} }), await client.call('DELETE', path)]) {
      expect(again.status).toBe(409);
      expect(again.body).toEqual(settled);
    }
    expect((await client.post(`/api/session/${id}/form/frm_no/reply`, { answer: {} })).status).toBe(404);
    const [, step] = await client.entries(id);
    const said = 'User has answered your questions: "Which?"="A, B", "Free?"="Unanswered".';
    expect(JSON.stringify(step)).toContain(JSON.stringify(said).slice(1, -1));
  });

  it('ends the turn with `shutdown` when a form is cancelled', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [question({ question: 'Pick?', header: 'H', options: ['A'] }), text('never')]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    const { data } = await client.first('form.created');
    expect(shapeOf(data)).toEqual(FORM);
    const { id: formID } = data['form'] as { readonly id: string };
    expect((await client.call('DELETE', `/api/session/${id}/form/${formID}`)).status).toBe(204);
    expect((await client.end(id)).data).toMatchObject({ reason: 'shutdown' });
    expect((await client.first('session.tool.failed')).data['error']).toEqual({
      type: 'aborted',
      message: 'The user dismissed this question',
    });
    expect((await client.entries(id)).map(({ type }) => type)).toEqual(['assistant', 'user']);
  });

  it('answers the rest of the inbox in another execution after a cancelled form', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(({ prompt }) => (prompt === 'ask' ? [question('Pick?')] : [text('ok')]));
    const id = await client.session(A);
    await client.prompt(id, 'ask');
    const { data } = await client.first('form.created');
    await client.prompt(id, 'next', { delivery: 'queue' });
    const { id: formID } = data['form'] as { readonly id: string };
    await client.call('DELETE', `/api/session/${id}/form/${formID}`);
    await client.first('session.execution.succeeded');
    const told = client
      .of(id)
      .map(({ type }) => type)
      .filter((type) => type.startsWith('session.execution'));
    expect(told).toEqual([
      'session.execution.started',
      'session.execution.interrupted',
      'session.execution.started',
      'session.execution.succeeded',
    ]);
  });
});

describe('the subagents of the mock of OpenCode 2', () => {
  it('lets another agent work in a child session with an execution of its own', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(({ prompt, session }) =>
      session.parentID === undefined ? [subtask('look'), text('done')] : [text(`seen ${prompt}`)],
    );
    const id = await client.session(A);
    await client.turn(id, 'hello');
    const [child] = await client.data<{ id: string; agent: string; outcome: string }[]>(
      `/api/session?parentID=${id}`,
    );
    expect(child).toMatchObject({ agent: 'general', outcome: 'succeeded' });
    const success = await client.first('session.tool.success');
    expect(success.data['content']).toEqual([
      {
        type: 'text',
        text: `<subagent sessionID="${child?.id}" state="completed">\nseen look\n</subagent>`,
      },
    ]);
    expect(client.of(child?.id ?? '').map(({ type }) => type)).toContain('session.execution.succeeded');
  });
});
