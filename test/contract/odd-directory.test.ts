import { basename, dirname } from 'node:path';
import type { OpenCodeEvent, RepoClient } from 'jarvis-opencode';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { hang, text } from 'jarvis-opencode/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ODD_NAME, worlds, type World } from './worlds.js';

describe.each(worlds)(`a directory named ${ODD_NAME} in $name`, ({ open }) => {
  let world: World;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.oddRepo());
  });
  afterAll(() => world?.close());
  beforeEach(() => world.script(() => [text('ok')]));

  it('sends the same oddly named directory on every method', async () => {
    expect(basename(repo.directory)).toBe(ODD_NAME);
    await using events = world.jarvis.events();
    await events.ready;

    const session = await repo.sessions.create({ title: 'Odd' });
    expect(session.info?.directory).toBe(repo.directory);
    expect((await repo.sessions.get(session.id)).info?.directory).toBe(repo.directory);
    expect((await repo.sessions.list()).map(({ id }) => id)).toEqual([session.id]);
    expect((await repo.path()).directory).toBe(repo.directory);
    expect((await session.refresh()).title).toBe('Odd');

    const { message, text: answer } = await session.prompt('Hello');
    expect(answer).toBe('ok');
    expect(message.path).toMatchObject({ cwd: repo.directory });
    expect(await session.messages()).toHaveLength(2);
    expect((await session.message(message.id)).info).toEqual(message);

    world.script(() => [text('Working'), hang()]);
    const turn = session.stream('Work');
    for await (const step of turn) if (step.type === 'text') break;
    expect(await repo.sessions.status()).toEqual({ [session.id]: { type: 'busy' } });
    await session.abort();
    await expect(turn.result).rejects.toMatchObject({ reason: 'aborted' });
    expect(await repo.sessions.status()).toEqual({});
    await session.delete();
    await expect(repo.sessions.get(session.id)).rejects.toMatchObject({ status: 404 });
    expect(await repo.sessions.list()).toEqual([]);

    const seen: OpenCodeEvent[] = [];
    for await (const event of events) {
      seen.push(event);
      if (event.type === 'session.deleted') break;
    }
    const directories = seen.map((event) => event.directory).filter((directory) => directory !== undefined);
    expect(new Set(directories)).toEqual(new Set([repo.directory]));
  });

  it('gives an oddly named directory its own events and its own instance', async () => {
    await using events = repo.events();
    await events.ready;
    const session = await repo.sessions.create();
    for await (const event of events) {
      expect(event.directory).toBe(repo.directory);
      if (event.type === 'session.created' && event.properties.sessionID === session.id) break;
    }
    expect(await repo.dispose()).toEqual({ directory: repo.directory, disposed: true, aborted: [] });
    expect(repo.stats()).toMatchObject({ loaded: false, disposals: { explicit: 1, external: 0 } });
    expect((await session.prompt('Hello')).text).toBe('ok');
    expect(repo.stats()).toMatchObject({ loaded: true });
  });

  it('takes every spelling of an odd path for the same directory, and no other path', () => {
    const { directory } = repo;
    for (const spelling of [`${directory}/`, `${directory}/./`, `${directory}//`, `${directory}/x/..`]) {
      expect(world.jarvis.forRepo(spelling)).toBe(repo);
    }
    expect(world.jarvis.forRepo(dirname(directory))).not.toBe(repo);
    expect(world.jarvis.forRepo(decodeURIComponent(directory))).not.toBe(repo);
  });
});

describe.each(worlds)('the list of sessions in $name', ({ open }) => {
  let world: World;
  beforeAll(async () => {
    world = await open();
  });
  afterAll(() => world?.close());

  const path = (segment: string, times: number): string => Array<string>(times).fill(segment).join('/');

  it.each([
    ['of 3,600 bytes, none of them ASCII', path('漢'.repeat(80), 15)],
    ['of 3,600 percent signs', path('%'.repeat(240), 15)],
    ['of 3,600 characters that look encoded', path('%41'.repeat(80), 15)],
    ['with a percent sign that encodes nothing', '100%'],
    ['that only looks encoded', 'a%2Fb%25'],
    ['that cannot be decoded', '%E0%A4%A'],
    ['with what ends a parameter', 'a&b=c#d+e?f'],
  ])('lists only the sessions of the directory itself for a directory %s', async (_what, name) => {
    const repo = world.jarvis.forRepo(await world.repoNamed(name));
    const client = createOpencodeClient({ baseUrl: repo.baseUrl, fetch: repo.fetch });
    const headers = { 'x-opencode-directory': encodeURIComponent(repo.directory) };
    const session = await repo.sessions.create();
    expect((await repo.sessions.list()).map(({ id }) => id)).toEqual([session.id]);
    const { data } = await client.session.list({}, { headers });
    expect(data?.map(({ id }) => id)).toEqual([session.id]);
    world.jarvis.sessions.bind(name, session);
    expect((await world.jarvis.sessions.reconcile()).gone).toEqual([]);
  });
});
