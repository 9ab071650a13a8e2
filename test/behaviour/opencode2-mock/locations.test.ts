import { hang, text, tool, waitFor } from 'jarvis-opencode/testing';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/core/abort.js';
import { at } from '../../support/opencode2-client.js';
import { makeWorld } from './world.js';

const A = '/repos/a';
const B = '/repos/b';
const CWD = '/srv/cwd';

interface Session {
  readonly id: string;
  readonly location: { readonly directory: string };
}

describe('the locations of the mock of OpenCode 2', () => {
  it('creates a session where `location.directory` says, and nowhere else', async () => {
    await using world = await makeWorld({ cwd: CWD });
    const { client, mock } = world;
    const { password = '' } = mock.connectOptions;
    const headers = {
      'content-type': 'application/json',
      authorization: `Basic ${btoa(`opencode:${password}`)}`,
      'x-opencode-directory': A,
    };
    for (const answer of [
      await client.post(`/api/session?${at(A)}`),
      await client.post(`/api/session?directory=${A}`),
      await client.post('/api/session', { directory: A }),
      await client.call('POST', '/api/session', {}, headers),
    ])
      expect(answer.body).toMatchObject({ data: { location: { directory: CWD } } });
    const right = await client.post('/api/session', { location: { directory: A } });
    expect(right.body).toMatchObject({ data: { location: { directory: A } } });
    expect((await client.post('/api/session', { location: {} })).body).toMatchObject({
      message: 'Missing key\n  at ["location"]["directory"]',
    });
    expect(await client.loaded()).toEqual([]);
  });

  it('narrows the list by a bare `directory` only, compared as it is written', async () => {
    await using world = await makeWorld({ cwd: CWD });
    const { client } = world;
    const a = await client.session(A);
    const b = await client.session(B);
    const idsOf = async (path: string): Promise<string[]> =>
      (await client.data<Session[]>(path)).map(({ id }) => id);
    expect(await idsOf(`/api/session?directory=${A}`)).toEqual([a]);
    expect(await idsOf(`/api/session?${at(A)}`)).toEqual([b, a]);
    const slash = await client.get(`/api/session?directory=${A}/`);
    expect(slash.body).toEqual({ data: [], cursor: { previous: null, next: null } });
  });

  it('pages a list by its cursors', async () => {
    await using world = await makeWorld();
    const { client } = world;
    const ids = [await client.session(A), await client.session(A), await client.session(A)].reverse();
    interface Page {
      readonly data: Session[];
      readonly cursor: { readonly previous: string; readonly next: string };
    }
    const page = async (query: string): Promise<Page> =>
      (await client.get(`/api/session?directory=${A}&limit=1${query}`)).body as Page;
    const first = await page('');
    const second = await page(`&cursor=${first.cursor.next}`);
    const third = await page(`&cursor=${second.cursor.next}`);
    const back = await page(`&cursor=${third.cursor.previous}`);
    expect([first, second, third, back].map(({ data }) => data[0]?.id)).toEqual([...ids, ids[1]]);
    expect((await page(`&cursor=${third.cursor.next}`)).data).toEqual([]);
    expect((await client.get('/api/session?cursor=zz')).body).toMatchObject({ _tag: 'InvalidCursorError' });
    expect((await client.get('/api/session?limit=x')).status).toBe(400);
  });

  it('loads each spelling of a directory on its own, and tells it', async () => {
    await using world = await makeWorld({ cwd: CWD });
    const { client } = world;
    for (const directory of [A, `${A}/`, `${A}/.`]) {
      const { body } = await client.get(`/api/location?${at(directory)}`);
      expect(body).toMatchObject({ directory });
    }
    await client.get(`/api/location?directory=${B}`);
    expect(await client.loaded()).toEqual([A, `${A}/`, `${A}/.`, CWD]);
    expect((await client.get(`/api/location?${at('rel')}`)).status).toBe(500);
    const booted = client.frames.filter(({ location }) => location?.directory === A).map(({ type }) => type);
    expect(booted).toContain('project.updated');
    expect(booted.at(-1)).toBe('plugin.updated');
  });

  it('evicts only what `location[directory]` names, and boots nothing by it', async () => {
    await using world = await makeWorld({ cwd: CWD });
    const { client, mock } = world;
    await client.get(`/api/fs/list?${at(A)}`);
    await client.get('/api/fs/list');
    const evict = async (query: string): Promise<string[]> => {
      expect((await client.call('DELETE', `/api/debug/location${query}`)).status).toBe(204);
      return client.loaded();
    };
    expect(await evict(`?directory=${A}`)).toEqual([A]);
    expect(await evict('')).toEqual([A]);
    expect(await evict(`?${at(B)}`)).toEqual([A]);
    expect(await evict(`?${at(A)}`)).toEqual([]);
    expect((await client.first('location.shutdown')).location).toEqual({ directory: CWD });
    expect(mock.instances()).toContainEqual({ directory: A, loaded: false, boots: 1, disposals: 1 });
  });

  it('lets a running turn go on after an eviction, and loads the location again', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    const gate = deferred();
    mock.script(() => [text('a '), waitFor(gate.promise), text('b')]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    await client.first('session.text.delta');
    await mock.dispose(A);
    expect(await client.loaded()).toEqual([]);
    gate.resolve();
    expect((await client.end(id)).type).toBe('session.execution.succeeded');
    expect(await client.loaded()).toEqual([A]);
  });

  it('rejects what an evicted location has asked, and lets the turn go on', async () => {
    await using world = await makeWorld({ asks: ['bash'] });
    const { client, mock } = world;
    mock.script(() => [tool('bash', { command: 'echo 1' }), text('anyway')]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    const asked = await client.first('permission.asked');
    await client.call('DELETE', `/api/debug/location?${at(A)}`);
    await client.end(id);
    expect((await client.first('permission.replied')).data).toMatchObject({ reply: 'reject' });
    expect((await client.first('session.tool.failed')).data['error']).toEqual({
      type: 'aborted',
      message: 'Interaction cancelled because the location shut down',
    });
    const told = client.frames
      .map(({ type }) => type)
      .filter((type) => /replied|failed|shutdown|succeeded/.test(type));
    expect(told).toEqual([
      'permission.replied',
      'location.shutdown',
      'session.tool.failed',
      'session.step.failed',
      'session.execution.succeeded',
    ]);
    expect(await client.data(`/api/session/${id}/permission`)).toEqual([]);
    const reply = `/api/session/${id}/permission/${String(asked.data['id'])}/reply`;
    expect((await client.post(reply, { decision: 'once' })).status).toBe(404);
  });

  it('does not load the location of a session that is only read', async () => {
    await using world = await makeWorld();
    const { client } = world;
    const id = await client.session(A);
    for (const path of ['', '/message', '/inbox']) await client.get(`/api/session/${id}${path}`);
    expect(await client.loaded()).toEqual([]);
    for (const path of ['/permission', '/form']) {
      await client.get(`/api/session/${id}${path}`);
      expect(await client.loaded()).toEqual([A]);
      await client.call('DELETE', `/api/debug/location?${at(A)}`);
    }
  });
});

describe('the sessions of the mock of OpenCode 2', () => {
  it('changes, selects and deletes with an event for each', async () => {
    await using world = await makeWorld();
    const { client } = world;
    const id = await client.session(A);
    const path = `/api/session/${id}`;
    const permissions = [{ action: 'shell', resource: '*', effect: 'ask' }];
    await client.call('PATCH', path, { title: 'new', metadata: { a: 1 } });
    await client.call('PATCH', path, { permissions });
    await client.call('PATCH', path, { permissions: [] });
    await client.post(`${path}/agent`, { agent: 'plan' });
    const model = { id: 'mock', providerID: 'mock' };
    expect((await client.post(`${path}/model`, { model })).status).toBe(204);
    expect((await client.post(`${path}/model`, model)).body).toMatchObject({
      message: 'Missing key\n  at ["model"]',
    });
    expect(await client.data(path)).toMatchObject({
      title: 'new',
      metadata: { a: 1 },
      permissions: [],
      agent: 'plan',
      model: { ...model, variant: 'default' },
    });
    expect((await client.entries(id)).map(({ type }) => type)).toEqual(['model-switched', 'agent-switched']);
    expect((await client.call('DELETE', path)).status).toBe(204);
    expect((await client.call('DELETE', path)).body).toEqual({
      _tag: 'SessionNotFoundError',
      sessionID: id,
      message: `Session not found: ${id}`,
    });
    await client.first('session.deleted');
    expect(client.of(id).map(({ type }) => type)).toEqual([
      'session.created',
      'session.renamed',
      'session.metadata.updated',
      'session.permissions',
      'session.permissions',
      'session.agent.selected',
      'session.model.selected',
      'session.deleted',
    ]);
  });

  it('interrupts the work of a session that is deleted', async () => {
    await using world = await makeWorld();
    const { client, mock } = world;
    mock.script(() => [hang()]);
    const id = await client.session(A);
    await client.prompt(id, 'hello');
    await client.first('session.step.started');
    expect((await client.call('DELETE', `/api/session/${id}`)).status).toBe(204);
    await client.first('session.deleted');
    expect(
      client
        .of(id)
        .map(({ type }) => type)
        .slice(-3),
    ).toEqual(['session.step.failed', 'session.execution.interrupted', 'session.deleted']);
  });

  it('forks the whole of a session, or what is before an entry', async () => {
    await using world = await makeWorld();
    const { client } = world;
    const id = await client.session(A);
    await client.turn(id, 'one');
    await client.turn(id, 'two');
    const [idle, , two] = await client.entries(id);
    interface Fork extends Session {
      readonly fork: object;
    }
    const forkOf = async (body: object): Promise<Fork> =>
      ((await client.post(`/api/session/${id}/fork`, body)).body as { data: Fork }).data;
    const whole = await forkOf({});
    expect(whole.fork).toEqual({ sessionID: id, boundary: { type: 'through', messageID: idle?.['id'] } });
    expect(await client.entries(whole.id)).toHaveLength(6);
    const part = await forkOf({ before: two?.['id'] });
    expect((await client.entries(part.id)).map(({ type }) => type)).toEqual(['idle', 'assistant', 'user']);
    expect(await client.data(`/api/session?parentID=${id}`)).toEqual([]);
    expect((await client.post(`/api/session/${id}/fork`, { before: 'msg_nope' })).status).toBe(404);
    const empty = await client.session(A);
    expect((await client.post(`/api/session/${empty}/fork`)).body).toMatchObject({ kind: 'empty_session' });
    expect(client.of(whole.id).map(({ type }) => type)).toEqual(['session.forked']);
  });
});
