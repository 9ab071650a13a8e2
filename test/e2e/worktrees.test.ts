import { access, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventHub } from '../../src/client/events/hub.js';
import { Http } from '../../src/client/http/http.js';
import { RepoTransport } from '../../src/client/http/repo-transport.js';
import type { RepoClient } from '../../src/client/repo/repo-client.js';
import { WorktreesResource } from '../../src/client/resources/worktrees.js';
import { healthSchema } from '../../src/client/schema/server.js';
import { RequestError, TimeoutError } from '../../src/errors.js';
import { silentLogger } from '../../src/core/logger.js';
import type { GitRepo } from '../support/git-repo.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { until } from '../support/wait.js';

// Every operation must reach this directory, whose name the server itself would decode once too often.
const NAME = `a b%20ü日#?+'`;

let world: RealJarvis;
let http: Http;
let hub: EventHub;
let repo: GitRepo;
let worktrees: WorktreesResource<RepoClient>;
const closing = new AbortController();

const transportOf = (directory: string): RepoTransport =>
  new RepoTransport(http, directory, () => Promise.resolve(() => undefined));

// Nothing may be removed here but through the resource, which test/unit/client/resources/worktrees.test.ts proves safe.
const worktreesOf = (directory: string): WorktreesResource<RepoClient> =>
  new WorktreesResource(transportOf(directory), {
    hub,
    forWorktree: (path) => world.jarvis.forRepo(path),
    transportOf,
    runWithoutInstance: (_directory, run) => run(),
  });

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  const { server } = world.jarvis;
  const endpoint = () => ({ url: server.url, authorization: server.authorization });
  http = new Http({ endpoint, signal: closing.signal });
  hub = new EventHub({
    open: (signal) => http.openEventStream('/global/event', signal),
    probe: (signal) => http.send({ method: 'GET', path: '/global/health', schema: healthSchema }, { signal }),
    logger: silentLogger,
  });
  repo = await world.repo({ name: NAME });
  worktrees = worktreesOf(repo.directory);
});
afterAll(async () => {
  closing.abort(new Error('the test is over'));
  await hub.close(closing.signal.reason);
  await world[Symbol.asyncDispose]();
});

describe('a worktree', () => {
  it('makes a worktree ready for work, lists, uses, resets and removes it', async () => {
    const made = await worktrees.create({ name: 'Größe 1', startCommand: 'echo started > started.txt' });
    expect(made).toMatchObject({ branch: `opencode/${made.name}` });
    expect(await readFile(join(made.directory, 'README.md'), 'utf8')).toBe('# a test repository\n');
    expect(await worktrees.list()).toEqual([made.directory]);
    await until(() => exists(join(made.directory, 'started.txt')));

    const client = worktrees.forWorktree(made.directory);
    expect(client.directory).toBe(made.directory);
    const session = await client.sessions.create();
    expect(session.directory).toBe(made.directory);

    await writeFile(join(made.directory, 'README.md'), 'changed');
    await worktrees.reset({ directory: made.directory });
    expect(await readFile(join(made.directory, 'README.md'), 'utf8')).toBe('# a test repository\n');

    await worktrees.remove({ directory: made.directory });
    expect(await exists(made.directory)).toBe(false);
    expect(await worktrees.list()).toEqual([]);
    expect(await repo.git('branch', '--list', 'opencode/*')).toBe('');
    expect(await readFile(join(repo.directory, 'README.md'), 'utf8')).toBe('# a test repository\n');
  });

  it('removes a worktree that was made without OpenCode, and nothing with a similar spelling', async () => {
    const linked = await repo.worktree('w%20t');
    const victim = join(dirname(linked), 'w t');
    await mkdir(victim);
    await writeFile(join(victim, 'precious'), 'x');
    await worktrees.remove({ directory: linked });
    expect(await exists(linked)).toBe(false);
    expect(await exists(join(victim, 'precious'))).toBe(true);
  });

  it('makes and removes a worktree from within a worktree', async () => {
    const linked = worktreesOf(await repo.worktree());
    const made = await linked.create();
    await linked.remove({ directory: made.directory });
    expect(await exists(made.directory)).toBe(false);
  });

  it('refuses to remove or reset a directory that is no worktree of this repository, also one of its clone', async () => {
    const clone = await world.repo({ cloneOf: repo });
    const linked = await clone.worktree();
    const copy = join(dirname(linked), 'copy');
    await cp(linked, copy, { recursive: true });
    const plain = join(dirname(linked), 'plain');
    await mkdir(plain);
    // Known to the server as one of the project.
    await worktreesOf(clone.directory).list();
    expect(await worktrees.list()).toContain(clone.directory);
    for (const directory of [repo.directory, clone.directory, linked, copy, plain, dirname(linked)]) {
      await expect(worktrees.remove({ directory })).rejects.toThrow(TypeError);
      await expect(worktrees.reset({ directory })).rejects.toThrow(TypeError);
      expect(await exists(directory)).toBe(true);
    }
    const { directory } = await worktreesOf(clone.directory).create();
    await expect(worktrees.remove({ directory })).rejects.toThrow(TypeError);
    expect(await exists(directory)).toBe(true);
    await worktreesOf(clone.directory).remove({ directory });
  });

  it('refuses to make a worktree without git or without a commit', async () => {
    const empty = await world.repo({ files: {} });
    await expect(worktreesOf(empty.directory).create()).rejects.toMatchObject({
      status: 400,
      serverError: 'WorktreeCreateFailedError',
    });
    const plain = join(dirname(empty.directory), 'plain');
    await mkdir(plain);
    await expect(worktreesOf(plain).create()).rejects.toMatchObject({
      status: 400,
      serverError: 'WorktreeNotGitError',
    });
  });

  it('rejects a worktree that git cannot fill with an error that names it, and does not wait', async () => {
    const unfilled = await world.repo({ files: { '.gitattributes': '*.bin filter=broken', 'a.bin': 'x' } });
    await unfilled.git('config', 'filter.broken.smudge', 'false');
    await unfilled.git('config', 'filter.broken.required', 'true');
    const failing = worktreesOf(unfilled.directory);
    const error: unknown = await failing.create({ name: 'unfilled' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({
      serverError: 'WorktreeCreateFailedError',
      message: expect.stringContaining('external filter') as string,
      body: { data: { directory: expect.stringContaining('/unfilled') as string } },
    });
    const { body } = error as { body: { data: { directory: string } } };
    await failing.remove({ directory: body.data.directory });
    expect(await failing.list()).toEqual([]);
  });

  it('waits for a worktree that cannot be loaded no longer than asked', async () => {
    const broken = await world.repo({ files: { 'opencode.json': '{ "model": 7 }' } });
    await writeFile(join(broken.directory, 'opencode.json'), '{}');
    await expect(worktreesOf(broken.directory).create({}, { timeoutMs: 1_500 })).rejects.toThrow(
      TimeoutError,
    );
  });
});
