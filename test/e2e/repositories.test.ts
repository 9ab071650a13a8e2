import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  JarvisOpenCode,
  RepoPathError,
  RequestError,
  SessionAlreadyBoundError,
  SessionDirectoryError,
  SessionNotBoundError,
} from 'jarvis-opencode';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';

let world: RealJarvis;
let jarvis: JarvisOpenCode;

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  ({ jarvis } = world);
});
afterAll(() => world[Symbol.asyncDispose]());

/** Counts the requests that reach the server while `run` runs, by the instances it loads. */
function loaded(): string[] {
  return jarvis.repos().flatMap((repo) => (repo.loaded ? [repo.directory] : []));
}

describe('forRepo()', () => {
  it('gives the same client for every spelling of a directory, and the server agrees on the name', async () => {
    const { directory } = await world.repo({ name: 'real' });
    await mkdir(join(directory, 'sub'));
    const link = join(directory, '..', 'link');
    await symlink(directory, link);
    const repo = jarvis.forRepo(directory);
    const spellings = [
      `${directory}/`,
      `${directory}//`,
      `${directory}/sub/..`,
      `${directory}/.`,
      link,
      `${link}/sub/..`,
    ];
    for (const spelling of spellings) expect(jarvis.forRepo(spelling)).toBe(repo);
    expect(repo.directory).toBe(directory);
    expect((await repo.path()).directory).toBe(directory);
    const sub = jarvis.forRepo(join(directory, 'sub'));
    expect(sub).not.toBe(repo);
    expect((await sub.sessions.create()).directory).toBe(join(directory, 'sub'));
    expect(await repo.sessions.list()).toEqual([]);
  });

  it('refuses a directory that is no repository before it sends anything', async () => {
    const { directory } = await world.repo();
    const file = join(directory, 'file.txt');
    await writeFile(file, 'x');
    await symlink(join(directory, 'nowhere'), join(directory, 'dangling'));
    const before = loaded();
    const cases: [string, RepoPathError['reason']][] = [
      ['relative/path', 'not-absolute'],
      ['./here', 'not-absolute'],
      ['~/home', 'not-absolute'],
      ['', 'invalid'],
      ['/a\0b', 'invalid'],
      [join(directory, 'missing'), 'not-found'],
      [join(directory, 'dangling'), 'not-found'],
      [file, 'not-a-directory'],
      [join(file, 'below'), 'not-a-directory'],
    ];
    for (const [path, reason] of cases) {
      let error: unknown;
      try {
        jarvis.forRepo(path);
      } catch (thrown) {
        error = thrown;
      }
      expect(error, path).toBeInstanceOf(RepoPathError);
      expect(error, path).toMatchObject({ reason, path, code: 'REPO_PATH' });
    }
    expect(() => jarvis.forRepo(undefined as unknown as string)).toThrow(TypeError);
    expect(loaded()).toEqual(before);
  });

  it('reports that a known directory is gone, and its instance can still be disposed', async () => {
    const { directory } = await world.repo();
    const inside = join(directory, 'inside');
    await mkdir(inside);
    const repo = jarvis.forRepo(inside);
    await repo.warm();
    await rm(inside, { recursive: true });
    expect(() => jarvis.forRepo(inside)).toThrow(RepoPathError);
    expect(await repo.dispose()).toEqual({ directory: inside, disposed: true, aborted: [] });
  });
});

describe('the sessions of a repository', () => {
  it('keeps the sessions of a repository apart from those of its clone and worktree', async () => {
    const original = await world.repo({ name: 'original' });
    const clone = await world.repo({ name: 'clone', cloneOf: original });
    const worktree = await original.worktree();
    const repos = [original.directory, clone.directory, worktree].map((path) => jarvis.forRepo(path));
    const sessions = await Promise.all(repos.map((repo) => repo.sessions.create({ title: repo.directory })));
    expect(new Set(sessions.map((session) => session.info?.projectID)).size).toBe(1);
    for (const [index, repo] of repos.entries()) {
      const list = await repo.sessions.list();
      expect(list.map((session) => session.id)).toEqual([sessions[index]?.id]);
    }
  });

  it('refuses a session elsewhere, and sends nothing once it knows the owner', async () => {
    const mine = jarvis.forRepo((await world.repo()).directory);
    const theirs = jarvis.forRepo((await world.repo()).directory);
    const session = await theirs.sessions.create();
    const foreign = (): unknown => mine.sessions.session(session.id);
    expect(foreign).toThrow(SessionDirectoryError);
    await expect(mine.sessions.get(session.id)).rejects.toMatchObject({
      name: 'SessionDirectoryError',
      sessionID: session.id,
      expected: mine.directory,
      found: theirs.directory,
    });
    expect(mine.stats().loaded).toBe(false);
  });

  it('refuses a session elsewhere that another client made, before it prompts anything', async () => {
    const { server } = jarvis;
    // A client that has seen no event yet, so it has to ask.
    const mine = new JarvisOpenCode(server, { idle: false }).forRepo((await world.repo()).directory);
    const other = await world.repo();
    const response = await fetch(`${server.url}/session`, {
      method: 'POST',
      headers: {
        authorization: server.authorization ?? '',
        'x-opencode-directory': encodeURIComponent(other.directory),
        'content-type': 'application/json',
      },
      body: '{}',
    });
    const { id } = (await response.json()) as { id: string };
    const calls = world.model.calls;
    await expect(mine.sessions.session(id).prompt('x')).rejects.toBeInstanceOf(SessionDirectoryError);
    expect(() => mine.sessions.session(id)).toThrow(SessionDirectoryError);
    expect(world.model.calls).toBe(calls);
  });

  it.each(['ses_doesnotexist', 'ses_%2e', 'ses_a b'])('answers 404 for the unknown id %s', async (id) => {
    const repo = jarvis.forRepo((await world.repo()).directory);
    const error = await repo.sessions.get(id).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ status: 404, serverError: 'NotFoundError', method: 'GET' });
  });

  it.each(['', '.', '..', 42, undefined, null])('refuses the id %o at the call', async (id) => {
    const repo = jarvis.forRepo((await world.repo()).directory);
    expect(() => repo.sessions.session(id as string)).toThrow(TypeError);
  });
});

describe('the session map', () => {
  it('finds the session of a known conversation again', async () => {
    const repo = jarvis.forRepo((await world.repo()).directory);
    const session = await repo.sessions.create({ title: 'chat' }, { jarvisSessionID: 'chat-1' });
    const again = jarvis.forSession('chat-1');
    expect([again.id, again.directory]).toEqual([session.id, repo.directory]);
    expect((await again.prompt('hello')).text).toBe('ok');
    expect(jarvis.sessions.get('chat-1')).toEqual({
      jarvisSessionID: 'chat-1',
      sessionID: session.id,
      directory: repo.directory,
    });
    await expect(repo.sessions.create({}, { jarvisSessionID: 'chat-1' })).rejects.toBeInstanceOf(
      SessionAlreadyBoundError,
    );
    expect(await repo.sessions.list()).toHaveLength(1);
    await session.delete();
    expect(() => jarvis.forSession('chat-1')).toThrow(SessionNotBoundError);
    expect(jarvis.sessions.list()).toEqual([]);
  });

  it('lets only one of two creations have a conversation, and the other creates nothing', async () => {
    const repo = jarvis.forRepo((await world.repo()).directory);
    const outcomes = await Promise.allSettled(
      [1, 2].map(() => repo.sessions.create({}, { jarvisSessionID: 'chat-race' })),
    );
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected']);
    expect(await repo.sessions.list()).toHaveLength(1);
  });
});
