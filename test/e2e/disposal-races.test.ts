import { readFileSync } from 'node:fs';
import { rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ClosedError,
  DisposeRefusedError,
  JarvisOpenCode,
  RepoPathError,
  ServerLostError,
  type FetchFunction,
  type RepoClient,
} from 'jarvis-opencode';
import { waitFor } from '../../src/testing/script/steps.js';
import { mcpServer } from '../support/fixtures.js';
import { gitRepo } from '../support/git-repo.js';
import { descendantsOf } from '../support/processes.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { realServerOptions, spawnPlainOpenCode } from '../support/real-opencode.js';
import { text } from '../support/model-steps.js';
import { deferred, until } from '../support/wait.js';

// What comes at the worst moment of a disposal.

let world: RealJarvis;
let repo: RepoClient;

/** Run once, as soon as the next dispose call is on its way, and when the server has answered it. */
let whenSent: () => void = () => undefined;
let whenAnswered: () => void = () => undefined;

const watchingFetch: FetchFunction = async (input, init) => {
  if (!new Request(input).url.endsWith('/instance/dispose')) return fetch(input, init);
  const [sent, answered] = [whenSent, whenAnswered];
  whenSent = whenAnswered = () => undefined;
  sent();
  const response = await fetch(input, init);
  answered();
  return response;
};

beforeAll(async () => {
  world = await realJarvis({ idle: false, fetch: watchingFetch });
  repo = world.jarvis.forRepo((await world.repo()).directory);
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => world.model.use(() => [text('ok')]));

/** A repository whose own MCP server takes the server two seconds to end, and that has it running. */
async function stubbornRepo(from: RealJarvis): Promise<RepoClient> {
  const config = JSON.stringify({ mcp: { stubborn: mcpServer({ stubborn: true }) } });
  const { directory } = await from.repo({ files: { 'opencode.json': config } });
  const stubborn = from.jarvis.forRepo(directory);
  await stubborn.mcp.status();
  return stubborn;
}

/** Begins a disposal; resolves when the server has answered the call, which is long before it is done. */
async function disposing(of: RepoClient): Promise<{ readonly disposal: Promise<unknown> }> {
  const answered = deferred();
  whenAnswered = () => answered.resolve();
  const disposal = of.dispose();
  disposal.catch(() => undefined);
  await answered.promise;
  return { disposal };
}

/** One of several kinds of requests. */
function request(index: number): Promise<unknown> {
  switch (index % 4) {
    case 0:
      return repo.sessions.list();
    case 1:
      return repo.path();
    case 2:
      return repo.sessions.create();
    default:
      return repo.permissions.list();
  }
}

describe('requests', () => {
  it('answers all 200 requests that are sent at every moment of 20 disposals', async () => {
    const answers: Promise<unknown>[] = [];
    const fire = (count: number): void => {
      for (let index = 0; index < count; index++) answers.push(request(answers.length));
    };
    let disposed = 0;
    for (let round = 0; round < 20; round++) {
      await repo.path();
      whenSent = () => fire(3);
      whenAnswered = () => fire(3);
      // Every fifth time they come before it is sent, and call it off.
      const disposal = repo.dispose();
      if (round % 5 === 0) fire(3);
      const outcome = await disposal.catch((error: unknown) => error);
      if (outcome instanceof DisposeRefusedError) fire(6);
      else disposed += 1;
      fire(round % 5 === 0 ? 1 : 4);
      expect(outcome).toSatisfy((it) => it instanceof DisposeRefusedError || !(it instanceof Error));
      await Promise.all(answers);
    }
    expect(await Promise.all(answers)).toHaveLength(200);
    expect(disposed).toBeGreaterThanOrEqual(16);
    expect(repo.stats()).toMatchObject({
      disposals: { explicit: disposed, external: 0 },
      boots: disposed + 1,
    });
  });

  it('answers requests that wait seconds for an MCP server that ignores SIGTERM', async () => {
    const stubborn = await stubbornRepo(world);
    const pid = world.jarvis.server.pid ?? 0;
    const [child = 0] = descendantsOf(pid).slice(-1);
    const order: string[] = [];
    const { disposal } = await disposing(stubborn);
    const ended = disposal.then(() => order.push('disposed'));
    const calls = Array.from({ length: 10 }, () =>
      stubborn.sessions.list().then(() => order.push('answered')),
    );
    expect(descendantsOf(pid)).toContain(child);
    await Promise.all([ended, ...calls]);
    expect(order).toEqual(['disposed', ...Array<string>(10).fill('answered')]);
    expect(descendantsOf(pid)).not.toContain(child);
    expect(stubborn.stats()).toMatchObject({ boots: 2, disposals: { explicit: 1 } });
  });
});

describe('two clients of one server', () => {
  it('loads a directory once when two clients race for it', async () => {
    await using real = await realServerOptions();
    await using server = await spawnPlainOpenCode(real.startOptions);
    await using git = await gitRepo();
    await using last = await gitRepo();
    const { url, password } = server;
    await using one = await JarvisOpenCode.connect({ url, password });
    await using two = await JarvisOpenCode.connect({ url, password });
    const spellings = [git.directory, `${git.directory}/`, `${git.directory}/../repo`, `${git.directory}//.`];
    const repos = [one, two].flatMap((jarvis) => spellings.map((spelling) => jarvis.forRepo(spelling)));
    await Promise.all(repos.flatMap((each) => [each.path(), each.sessions.list(), each.permissions.list()]));
    await one.forRepo(last.directory).path();
    const boots = (directory: string): number => {
      const log = readFileSync(join(real.root, 'data/opencode/log/opencode.log'), 'utf8').split('\n');
      return log.filter((line) => line.endsWith(`message="creating instance" directory=${directory}`)).length;
    };
    // The log is written in order, so what came before is there when this is.
    await until(() => boots(last.directory) === 1);
    expect(boots(git.directory)).toBe(1);
    expect(new Set(repos).size).toBe(2);
    expect(repos.map((each) => each.stats().boots)).toEqual(Array<number>(8).fill(1));
  });
});

describe('dispose()', () => {
  it('disposes an instance inside the handler of its last event', async () => {
    const session = await repo.sessions.create();
    const types: string[] = [];
    const events = repo.events({ types: ['session.idle', 'server.instance.disposed'] });
    await events.ready;
    const { result } = session.stream('x');
    for await (const event of events) {
      types.push(event.type);
      if (event.type === 'server.instance.disposed') break;
      // The session is idle before its answer is stored, and the turn goes on until it is.
      await result;
      expect(await repo.dispose()).toMatchObject({ disposed: true });
    }
    expect(types).toEqual(['session.idle', 'server.instance.disposed']);
    expect((await result).text).toBe('ok');
  });

  it('disposes a deleted directory, and a new one can take its place', async () => {
    const { directory } = await world.repo();
    const gone = world.jarvis.forRepo(directory);
    await gone.path();
    await rm(directory, { recursive: true });
    expect(await gone.dispose()).toMatchObject({ disposed: true });
    expect(() => world.jarvis.forRepo(directory)).toThrow(RepoPathError);
    await rename((await world.repo()).directory, directory);
    expect(world.jarvis.forRepo(directory)).toBe(gone);
    await expect(gone.warm()).resolves.toBeUndefined();
  });

  it('disposes a moved directory, which is a different one from then on', async () => {
    const { directory } = await world.repo();
    const before = world.jarvis.forRepo(directory);
    const session = await before.sessions.create();
    await rename(directory, `${directory}-moved`);
    expect(await before.dispose()).toMatchObject({ disposed: true });
    const after = world.jarvis.forRepo(`${directory}-moved`);
    expect(await after.sessions.list()).toEqual([]);
    expect(after.stats()).toMatchObject({ boots: 1, disposals: { explicit: 0 } });
    expect(world.jarvis.sessions.directoryOf(session.id)).toBe(directory);
  });

  it('interrupts nothing at the target when a link has replaced the disposed directory', async () => {
    const { directory } = await world.repo();
    const before = world.jarvis.forRepo(directory);
    await before.path();
    const gate = deferred();
    world.model.use(() => [text('un'), waitFor(gate.promise), text('harmed')]);
    const turn = (await repo.sessions.create()).stream('x');
    for await (const step of turn) if (step.type === 'text') break;
    await rm(directory, { recursive: true });
    await symlink(repo.directory, directory);
    const refusal = { name: 'RepoPathError', reason: 'replaced' };
    await expect(before.dispose()).rejects.toMatchObject(refusal);
    await expect(before.dispose({ force: true })).rejects.toMatchObject(refusal);
    expect(world.jarvis.forRepo(directory)).toBe(repo);
    gate.resolve();
    expect((await turn.result).text).toBe('unharmed');
  });
});

describe('everybody who waits is answered', () => {
  it('answers everybody when the server is killed in the middle of a disposal', async () => {
    await using doomed = await realJarvis({ idle: false, restart: false, fetch: watchingFetch });
    const stubborn = await stubbornRepo(doomed);
    const { disposal } = await disposing(stubborn);
    const waiting = [disposal, stubborn.path(), stubborn.sessions.create().then((it) => it.prompt('x'))];
    process.kill(doomed.jarvis.server.pid ?? 0, 'SIGKILL');
    for (const outcome of await Promise.allSettled(waiting))
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(ServerLostError) });
  });

  it('answers everybody when the client is closed in the middle of a disposal', async () => {
    const stubborn = await stubbornRepo(world);
    const { disposal } = await disposing(stubborn);
    const waiting = [disposal, stubborn.path(), stubborn.sessions.create().then((it) => it.prompt('x'))];
    const closing = world.jarvis.close();
    for (const outcome of await Promise.allSettled(waiting))
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(ClosedError) });
    await closing;
    expect(world.jarvis.server.state).toBe('stopped');
  });
});
