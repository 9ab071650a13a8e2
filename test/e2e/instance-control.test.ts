import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { InstanceDecision, RepoClient, RepoOverview } from 'jarvis-opencode';
import { waitFor } from '../../src/testing/script/steps.js';
import { mcpServer } from '../support/fixtures.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';
import { deferred } from '../support/wait.js';

const PATIENCE = { timeout: 20_000 };

async function prompt(world: RealJarvis, sessionID: string, words: string): Promise<void> {
  const { url, authorization = '' } = world.jarvis.server;
  const response = await fetch(`${url}/session/${sessionID}/prompt_async`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ parts: [{ type: 'text', text: words }] }),
  });
  expect(response.status).toBe(204);
}

function kindsOf(repo: RepoClient): string[] {
  return repo.stats().holds.map(({ kind }) => kind);
}

let shared: RealJarvis;
beforeAll(async () => {
  shared = await realJarvis();
});
afterAll(() => shared[Symbol.asyncDispose]());

describe('dispose({ force: true })', () => {
  it('aborts every turn by dispose({ force: true }), names them, and leaves a repository that works', async () => {
    const gate = deferred();
    shared.model.use(() => [text('x'), waitFor(gate.promise), text('never')]);
    const repo = shared.jarvis.forRepo((await shared.repo()).directory);
    const lease = repo.hold('a tab');
    const [ours, theirs] = [await repo.sessions.create(), await repo.sessions.create()];
    const turn = ours.stream('ours');
    for await (const step of turn) if (step.type === 'text') break;
    await prompt(shared, theirs.id, 'theirs');
    await shared.model.waitForRequest((request) => request.prompt === 'theirs');
    const queued = ours.prompt('queued');
    const terminal = await repo.pty.create({ command: 'sh' });
    const held = expect.arrayContaining(['turn', 'pty', 'lease']) as string[];
    await vi.waitFor(() => expect(kindsOf(repo)).toEqual(held), PATIENCE);

    await expect(repo.dispose()).rejects.toMatchObject({ name: 'DisposeRefusedError' });
    const result = await repo.dispose({ force: true });
    expect(result).toMatchObject({ directory: repo.directory, disposed: true });
    expect([...result.aborted].sort()).toEqual([ours.id, theirs.id].sort());
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', sessionID: ours.id });
    expect(repo.stats().disposals).toMatchObject({ forced: 1, external: 0 });
    // The prompt that waited for its turn runs on the fresh instance.
    gate.resolve();
    expect((await queued).text).toBe('xnever');
    expect((await repo.pty.list()).map(({ id }) => id)).not.toContain(terminal.id);
    lease[Symbol.dispose]();
  });

  it('does nothing by dispose({ force: true }) where nothing is loaded', async () => {
    const repo = shared.jarvis.forRepo((await shared.repo()).directory);
    expect(await repo.dispose({ force: true })).toEqual({
      directory: repo.directory,
      disposed: false,
      aborted: [],
    });
  });
});

describe('what an instance uses', () => {
  it('reports the memory of an instance with its children, and disposes the instance when the server uses too much', async () => {
    await using world = await realJarvis({
      config: { mcp: { one: mcpServer(), two: mcpServer() } },
      // Less than any server uses: whatever is idle is given back at the next look.
      idle: { maxServerRssBytes: 1 },
      script: () => [text('ok')],
    });
    const repo = world.jarvis.forRepo((await world.repo()).directory);
    const lease = repo.hold('to look at it');
    await (await repo.sessions.create()).prompt('start the MCP servers');
    const processes = (): RepoOverview['processes'] => world.jarvis.repos()[0]?.processes;
    expect(processes()).toMatchObject({ count: 2 });
    expect(processes()?.rssBytes).toBeGreaterThan(1_000_000);
    lease[Symbol.dispose]();
    await vi.waitFor(() => expect(repo.stats().disposals.cap).toBe(1), PATIENCE);
    await vi.waitFor(() => expect(processes()).toEqual({ count: 0, rssBytes: 0 }), PATIENCE);
  });
});

describe('decisions', () => {
  it('publishes decisions one by one, with their reasons', async () => {
    const decisions: InstanceDecision[] = [];
    const collect = (message: unknown): void => void decisions.push(message as InstanceDecision);
    subscribe('jarvis-opencode:instance', collect);
    try {
      const repo = shared.jarvis.forRepo((await shared.repo()).directory);
      const lease = repo.hold('a tab');
      await repo.warm();
      // Before, the stream that is not connected yet would be named too.
      await vi.waitFor(() => expect(kindsOf(repo)).toEqual(['lease']), PATIENCE);
      await expect(repo.dispose()).rejects.toThrow('lease a tab');
      lease[Symbol.dispose]();
      await repo.dispose();
      const { directory } = repo;
      expect(decisions.filter((decision) => decision.directory === directory)).toMatchObject([
        { decision: 'loaded' },
        {
          decision: 'kept',
          reason: 'explicit',
          holds: [{ kind: 'lease' }],
          text: expect.stringMatching(/^kept: lease a tab for \d+ s$/) as string,
        },
        { decision: 'disposed', reason: 'explicit' },
      ]);
    } finally {
      unsubscribe('jarvis-opencode:instance', collect);
    }
  });
});

describe('sessions.reconcile()', () => {
  it('reports what became of restored sessions, and loads no instance', async () => {
    await using world = await realJarvis({ idle: false });
    const { jarvis } = world;
    const alpha = jarvis.forRepo((await world.repo({ name: 'alpha' })).directory);
    const kept = await alpha.sessions.create({}, { jarvisSessionID: 'kept' });
    const gone = await alpha.sessions.create({}, { jarvisSessionID: 'gone' });
    const moved = await alpha.sessions.create({}, { jarvisSessionID: 'moved' });
    const worktree = await alpha.worktrees.create({ name: 'elsewhere' });
    const snapshot = jarvis.snapshot();
    await gone.delete();
    const { url, authorization = '' } = jarvis.server;
    const response = await fetch(`${url}/experimental/control-plane/move-session`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ sessionID: moved.id, destination: { directory: worktree.directory } }),
    });
    expect(await response.text()).toBe('');
    await alpha.dispose();
    await alpha.worktrees.forWorktree(worktree.directory).dispose();

    await using again = await (jarvis.constructor as typeof import('jarvis-opencode').JarvisOpenCode).connect(
      {
        url,
        password: Buffer.from(authorization.slice('Basic '.length), 'base64').toString().split(':')[1],
        restore: snapshot,
      },
    );
    const booted = again.events({ types: ['project.updated'] });
    await booted.ready;
    const result = await again.sessions.reconcile();
    expect(result.kept).toEqual([
      { jarvisSessionID: 'kept', sessionID: kept.id, directory: alpha.directory },
    ]);
    expect(result.gone.map(({ sessionID }) => sessionID)).toEqual([gone.id]);
    expect(result.moved).toMatchObject([{ sessionID: moved.id, foundDirectory: worktree.directory }]);
    expect(() => again.forSession('moved')).toThrow(moved.id);
    expect(jarvis.repos().filter(({ loaded }) => loaded)).toEqual([]);
    await booted.close();
  });
});
