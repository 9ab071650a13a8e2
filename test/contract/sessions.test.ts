import {
  type SessionInfo,
  type StoredMessage,
  RequestError,
  SessionAlreadyBoundError,
  SessionDirectoryError,
  SessionNotBoundError,
} from 'jarvis-opencode';
import { text, waitFor } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gate } from './helpers.js';
import { worlds, type World } from './worlds.js';

describe.each(worlds)('sessions in $name', ({ open }) => {
  let world: World;
  beforeAll(async () => {
    world = await open();
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(() => [text('ok')]));

  /** Creates a session past the library, which has never seen it then. */
  async function create(directory: string, json: object): Promise<SessionInfo> {
    const response = await world.fetch('/session', { method: 'POST', directory, json });
    return (await response.json()) as SessionInfo;
  }

  it('creates, reads and lists sessions, newest update first', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const first = await repo.sessions.create({ title: 'First', metadata: { ticket: 7 } });
    const second = await repo.sessions.create();
    expect(first.info).toMatchObject({ title: 'First', directory: repo.directory, metadata: { ticket: 7 } });
    expect(first.info?.time.created).toBeTypeOf('number');
    expect(second.info?.title).toMatch(/^New session - \d{4}-/);

    const read = await repo.sessions.get(first.id);
    expect(read.id).toBe(first.id);
    expect(read.info).toEqual(first.info);
    expect(await read.messages()).toEqual([]);

    await first.prompt('Hello');
    const listed = await repo.sessions.list();
    expect(listed.map((session) => session.id)).toEqual([first.id, second.id]);
    expect(listed.map((session) => session.directory)).toEqual([repo.directory, repo.directory]);
  });

  it('filters sessions by title, parent, time and number', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const parent = await repo.sessions.create({ title: 'A parent' });
    const child = await repo.sessions.create({ title: 'Its child', parentID: parent.id });
    const ids = async (filter: Parameters<typeof repo.sessions.list>[0]): Promise<string[]> =>
      (await repo.sessions.list(filter)).map((session) => session.id);

    expect(child.info?.parentID).toBe(parent.id);
    expect((await ids({})).sort()).toEqual([parent.id, child.id].sort());
    expect(await ids({ roots: true })).toEqual([parent.id]);
    expect(await ids({ search: 'CHILD' })).toEqual([child.id]);
    expect(await ids({ search: 'nobody' })).toEqual([]);
    expect(await ids({ limit: 1 })).toHaveLength(1);
    expect(await ids({ start: (parent.info?.time.created ?? 0) + 3_600_000 })).toEqual([]);
  });

  it('hides the sessions of one clone from another', async () => {
    const [here, there] = (await world.clones()).map((directory) => world.jarvis.forRepo(directory));
    if (here === undefined || there === undefined) throw new Error('no clones');
    const mine = await here.sessions.create();
    const theirs = await there.sessions.create();
    expect(mine.info?.projectID).toBe(theirs.info?.projectID);
    expect((await here.sessions.list()).map((session) => session.id)).toEqual([mine.id]);
    expect((await there.sessions.list()).map((session) => session.id)).toEqual([theirs.id]);
  });

  it('opens one session for each conversation, however many callers ask at once', async () => {
    const [here, there] = [await world.repo(), await world.repo()];
    const sessions = world.jarvis.forRepo(here).sessions;
    const opened = await Promise.all(
      Array.from({ length: 20 }, () => sessions.open('open-1', { title: 'Chat' })),
    );
    const [first] = opened;
    expect(new Set(opened.map(({ id }) => id)).size).toBe(1);
    expect(first?.info?.title).toBe('Chat');
    expect((await sessions.list()).map(({ id }) => id)).toEqual([first?.id]);
    expect((await sessions.open('open-1')).id).toBe(first?.id);
    expect(world.jarvis.forSession('open-1').id).toBe(first?.id);
    const elsewhere = world.jarvis.forRepo(there).sessions;
    const refused = { name: 'SessionDirectoryError', sessionID: first?.id, expected: there, found: here };
    await expect(elsewhere.open('open-1')).rejects.toMatchObject(refused);
    expect(await elsewhere.list()).toEqual([]);
  });

  it('lets one repository win a conversation that two of them open at the same time', async () => {
    const repos = [await world.repo(), await world.repo()].map((directory) =>
      world.jarvis.forRepo(directory),
    );
    const outcomes = await Promise.allSettled(
      repos.flatMap((repo) => Array.from({ length: 10 }, () => repo.sessions.open('open-2'))),
    );
    const opened = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(opened).toHaveLength(10);
    expect(new Set(opened.map(({ value }) => value.id)).size).toBe(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(SessionDirectoryError);
    }
    expect((await Promise.all(repos.map((repo) => repo.sessions.list()))).flat()).toHaveLength(1);
  });

  it('opens the session that create() is making for the conversation', async () => {
    const { sessions } = world.jarvis.forRepo(await world.repo());
    const [created, opened] = await Promise.all([
      sessions.create({}, { jarvisSessionID: 'open-3' }),
      sessions.open('open-3'),
    ]);
    expect(opened.id).toBe(created.id);
  });

  it('gives every caller the error of an open that failed, and tries again for the next one', async () => {
    const { sessions } = world.jarvis.forRepo(await world.repo());
    const unknown = { parentID: 'ses_00000000000000000000000000' };
    const outcomes = await Promise.allSettled([sessions.open('open-4', unknown), sessions.open('open-4')]);
    expect(outcomes).toMatchObject([
      { status: 'rejected', reason: { status: 404 } },
      { status: 'rejected', reason: { status: 404 } },
    ]);
    const ended = new AbortController();
    const left = sessions.open('open-4', {}, { signal: ended.signal });
    const stayed = sessions.open('open-4');
    ended.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect((await sessions.open('open-4')).id).toBe((await stayed).id);
  });

  it('answers one question in a session that it deletes, unless it is told to keep it', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    world.script(({ prompt }) => [text(`Re: ${prompt}`)]);
    const { text: answer, sessionID } = await repo.prompt('One?');
    expect(answer).toBe('Re: One?');
    await expect(repo.sessions.get(sessionID)).rejects.toMatchObject({ status: 404 });
    const kept = await repo.prompt('Two?', { keep: true });
    expect((await repo.sessions.list()).map(({ id }) => id)).toEqual([kept.sessionID]);
    await expect(repo.prompt('Three?', { kept: true } as never)).rejects.toThrow("'keep'");
    await expect(repo.prompt({ parts: 7 } as never)).rejects.toThrow(TypeError);
    expect(await repo.sessions.list()).toHaveLength(1);
  });

  it('refuses sessions of another repository, also from a new client', async () => {
    const owner = await world.repo();
    const other = await world.repo();
    const { id } = await world.jarvis.forRepo(owner).sessions.create();
    expect(() => world.jarvis.forRepo(other).sessions.session(id)).toThrow(SessionDirectoryError);

    const stranger = (await world.connect({ idle: false })).forRepo(other).sessions;
    const refused = { expected: other, found: owner, sessionID: id, name: 'SessionDirectoryError' };
    await expect(stranger.get(id)).rejects.toMatchObject(refused);
    const unseen = (await world.connect({ idle: false })).forRepo(other).sessions.session(id);
    await expect(unseen.prompt('Hello')).rejects.toMatchObject(refused);
    expect(await world.jarvis.forRepo(owner).sessions.session(id).messages()).toEqual([]);
  });

  it('refuses a session of another repository without loading its instance', async () => {
    const [owner, other] = [await world.repo(), await world.repo()];
    const { id } = await create(owner, {});
    const stranger = (await world.connect({ idle: false })).forRepo(other).sessions;
    await using events = world.jarvis.events({ types: ['server.instance.disposed', 'global.disposed'] });
    await events.ready;
    const reader = events[Symbol.asyncIterator]();
    /** What was loaded. */
    const disposeAll = async (): Promise<string[]> => {
      await world.fetch('/global/dispose', { method: 'POST' });
      const disposed: string[] = [];
      for (;;) {
        const { value, done } = await reader.next();
        if (done === true || value.type === 'global.disposed') return disposed;
        disposed.push(value.directory ?? '');
      }
    };
    expect(await disposeAll()).toContain(owner);
    await expect(stranger.get(id)).rejects.toThrow(SessionDirectoryError);
    expect(await disposeAll()).toEqual([other]);
  });

  it('creates child sessions only under a parent of the same repository', async () => {
    const [owner, other] = [await world.repo(), await world.repo()];
    const { id: parentID } = await create(owner, {});
    const { sessions } = world.jarvis.forRepo(other);
    const refused = { name: 'SessionDirectoryError', sessionID: parentID, expected: other, found: owner };
    await expect(sessions.create({ parentID })).rejects.toMatchObject(refused);
    const unknown = 'ses_00000000000000000000000000';
    await expect(sessions.create({ parentID: unknown })).rejects.toMatchObject({ status: 404 });
    expect(await sessions.list()).toEqual([]);
    const invalid = await world.fetch('/session', {
      method: 'POST',
      directory: other,
      json: { parentID: 'x' },
    });
    expect([invalid.status, await invalid.json()]).toEqual([400, { _tag: 'BadRequest' }]);
  });

  it('refuses to delete a session with children of another repository', async () => {
    const [here, there] = [await world.repo(), await world.repo()];
    const repo = world.jarvis.forRepo(here);
    const session = await repo.sessions.create();
    const child = await repo.sessions.create({ parentID: session.id });
    const foreign = await create(there, { parentID: child.id });
    const refused = { name: 'SessionDirectoryError', sessionID: foreign.id, expected: here, found: there };
    await expect(session.delete()).rejects.toMatchObject(refused);
    expect((await session.children()).map(({ id }) => id)).toEqual([child.id]);
    expect(await child.children()).toEqual([]);
    await world.jarvis.forRepo(there).sessions.session(foreign.id).delete();
    await session.delete();
    expect(await repo.sessions.list()).toEqual([]);
    // The server itself deletes them all.
    const parent = await create(here, {});
    const { id } = await create(there, { parentID: parent.id });
    await world.fetch(`/session/${parent.id}`, { method: 'DELETE', directory: here });
    expect((await world.fetch(`/session/${id}`, { directory: there })).status).toBe(404);
  });

  it('lists sessions by their path in the project, only those of this clone', async () => {
    const [here, there] = await world.clones();
    const { sessions } = world.jarvis.forRepo(here);
    const mine = [await sessions.create(), await sessions.create()].map(({ id }) => id).reverse();
    const theirs = [await create(there, {}), await create(there, {})].map(({ id }) => id).reverse();
    const ids = async (filter: Parameters<typeof sessions.list>[0]): Promise<string[]> =>
      (await sessions.list(filter)).map(({ id }) => id);
    expect(await ids({ path: '' })).toEqual(mine);
    expect(await ids({ path: '', limit: 1 })).toEqual(mine.slice(0, 1));
    expect(await ids({ path: 'nowhere' })).toEqual([]);
    const bare = await world.fetch(`/session?path=&directory=${encodeURIComponent(here)}`, {
      directory: here,
    });
    expect(((await bare.json()) as { id: string }[]).map(({ id }) => id)).toEqual([...theirs, ...mine]);
  });

  it('refuses unknown sessions with 404', async () => {
    const { sessions } = world.jarvis.forRepo(await world.repo());
    const unknown = sessions.session('ses_00000000000000000000000000');
    const refused = { name: 'RequestError', status: 404, serverError: 'NotFoundError' };
    await expect(sessions.get(unknown.id)).rejects.toMatchObject(refused);
    await expect(unknown.messages()).rejects.toMatchObject(refused);
    await expect(unknown.message('msg_1')).rejects.toMatchObject(refused);
    await expect(unknown.prompt('Hello')).rejects.toMatchObject(refused);
    await expect(unknown.abort()).rejects.toMatchObject(refused);
    await expect(unknown.delete()).rejects.toMatchObject(refused);
  });

  it('returns all messages, the newest ones, or one by its id', async () => {
    const session = await world.jarvis.forRepo(await world.repo()).sessions.create();
    const other = await world.jarvis.forRepo(session.directory).sessions.create();
    world.script(({ prompt }) => [text(`You said ${prompt}.`)]);
    await session.prompt('one');
    const { message } = await session.prompt('two');

    const all = await session.messages();
    expect(all.map(({ info }) => info.role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(await session.messages({ limit: 1 })).toEqual(all.slice(-1));
    expect(await session.messages({ limit: 100 })).toEqual(all);
    const walked: StoredMessage[] = [];
    for await (const each of session.messages({ limit: 3 })) walked.push(each);
    expect(walked).toEqual(all.toReversed());
    const single = await session.message(message.id);
    expect(single).toEqual(all[3]);
    expect(single.parts).toContainEqual(expect.objectContaining({ type: 'text', text: 'You said two.' }));
    const refused = { name: 'RequestError', status: 404 };
    await expect(session.message('msg_unknown')).rejects.toMatchObject(refused);
    await expect(other.message(message.id)).rejects.toMatchObject(refused);
  });

  it('reports a session as busy in its own directory only, as long as it works', async () => {
    const [here, there] = (await world.clones()).map((directory) => world.jarvis.forRepo(directory));
    if (here === undefined || there === undefined) throw new Error('no clones');
    const answer = gate();
    world.script(() => [text('Working'), waitFor(answer.promise)]);
    const session = await here.sessions.create();
    const turn = session.stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    expect(await here.sessions.status()).toEqual({ [session.id]: { type: 'busy' } });
    expect(await there.sessions.status()).toEqual({});
    answer.open();
    await turn.result;
    expect(await here.sessions.status()).toEqual({});
  });

  it('deletes a session together with its children', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const session = await repo.sessions.create({}, { jarvisSessionID: 'deleted' });
    const child = await repo.sessions.create({ parentID: session.id });
    const kept = await repo.sessions.create();
    await session.delete();
    expect((await repo.sessions.list()).map(({ id }) => id)).toEqual([kept.id]);
    await expect(repo.sessions.get(session.id)).rejects.toThrow(RequestError);
    await expect(repo.sessions.get(child.id)).rejects.toMatchObject({ status: 404 });
    await expect(session.prompt('Hello')).rejects.toMatchObject({ name: 'RequestError', status: 404 });
    await expect(session.delete()).rejects.toMatchObject({ name: 'RequestError', status: 404 });
    expect(() => world.jarvis.forSession('deleted')).toThrow(SessionNotBoundError);
  });

  it('binds one session to each jarvis session', async () => {
    const repo = world.jarvis.forRepo(await world.repo());
    const session = await repo.sessions.create({ title: 'Chat' }, { jarvisSessionID: 'chat' });
    expect(world.jarvis.sessions.get('chat')).toEqual({
      jarvisSessionID: 'chat',
      sessionID: session.id,
      directory: repo.directory,
    });
    expect((await world.jarvis.forSession('chat').prompt('Hello')).text).toBe('ok');

    await expect(repo.sessions.create({}, { jarvisSessionID: 'chat' })).rejects.toThrow(
      SessionAlreadyBoundError,
    );
    expect(await repo.sessions.list()).toHaveLength(1);
    expect(world.jarvis.sessions.unbind('chat')).toBe(true);
    expect(() => world.jarvis.forSession('chat')).toThrow(SessionNotBoundError);
    world.jarvis.sessions.bind('chat', session);
    expect(world.jarvis.forSession('chat').id).toBe(session.id);
  });

  it('lists sessions of all directories, newest first', async () => {
    const directory = await world.repo();
    const owner = world.jarvis.forRepo(directory);
    const session = await owner.sessions.create({}, { jarvisSessionID: 'found' });
    const gone = await owner.sessions.create();
    await world.fetch(`/session/${gone.id}`, { method: 'DELETE', directory });
    const page = async (query: string): Promise<string[]> => {
      const response = await world.fetch(`/api/session?directory=${encodeURIComponent(directory)}${query}`);
      const { data } = (await response.json()) as { data: { id: string; location: { directory: string } }[] };
      return data.map(({ id, location }) => `${id} ${location.directory}`);
    };
    const second = await owner.sessions.create();
    const [newest, oldest] = [`${second.id} ${directory}`, `${session.id} ${directory}`];
    expect(await page('')).toEqual([newest, oldest]);
    expect(await page('&limit=1')).toEqual([newest]);
    await world.jarvis.forRepo(await world.repo()).sessions.create();
    const first = await world.fetch(`/api/session?directory=${encodeURIComponent(directory)}&limit=1`);
    const { cursor } = (await first.json()) as { cursor: { next: string } };
    const next = await world.fetch(`/api/session?limit=1&cursor=${encodeURIComponent(cursor.next)}`);
    const { data } = (await next.json()) as { data: { id: string }[] };
    expect(data, 'the cursor has the directory in it').toMatchObject([{ id: session.id }]);
    const { kept } = await world.jarvis.sessions.reconcile();
    expect(kept.map(({ jarvisSessionID }) => jarvisSessionID)).toContain('found');
  });

  it('requires the password of the server', async () => {
    const refused = { name: 'RequestError', status: 401, path: '/global/health' };
    const connecting = world.connect({ password: 'not the password' });
    await expect(connecting).rejects.toMatchObject(refused);
    await expect(connecting).rejects.not.toThrow('not the password');
  });
});
