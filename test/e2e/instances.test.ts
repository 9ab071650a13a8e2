import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DisposeRefusedError, type RepoClient } from 'jarvis-opencode';
import { waitFor } from '../../src/testing/script/steps.js';
import { mcpServer } from '../support/fixtures.js';
import { descendantsOf } from '../support/processes.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text, toolCall } from '../support/model-steps.js';
import { deferred } from '../support/wait.js';

const IDLE_TIMEOUT_MS = 500;

let world: RealJarvis;
let alpha: RepoClient;
let beta: RepoClient;

beforeAll(async () => {
  world = await realJarvis({
    idle: { idleTimeoutMs: IDLE_TIMEOUT_MS, maxLoaded: 2 },
    config: { mcp: { quiet: mcpServer() } },
  });
  alpha = world.jarvis.forRepo((await world.repo({ name: 'alpha' })).directory);
  beta = world.jarvis.forRepo((await world.repo({ name: 'beta' })).directory);
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => world.model.use(() => [text('ok')]));

/** Resolves when the repository's instance is gone. */
async function unloaded(repo: RepoClient): Promise<void> {
  await vi.waitFor(() => expect(repo.stats().state).toBe('unloaded'), { timeout: 20_000 });
}

function mcpChildren(): number {
  return world.jarvis.server.pid === undefined ? 0 : descendantsOf(world.jarvis.server.pid).length;
}

describe('an idle instance', () => {
  it('disposes an idle instance with its MCP children, and the next prompt loads it again', async () => {
    const session = await alpha.sessions.create();
    await session.prompt('load the MCP servers');
    expect(mcpChildren()).toBeGreaterThan(0);
    const before = alpha.stats();
    await unloaded(alpha);
    await vi.waitFor(() => expect(mcpChildren()).toBe(0), { timeout: 20_000 });
    expect(alpha.stats().disposals.idle).toBe(before.disposals.idle + 1);
    expect((await session.prompt('wake up')).text).toBe('ok');
    expect(alpha.stats().boots).toBe(before.boots + 1);
  });

  it('disposes no idle instance while a turn runs, however long it takes', async () => {
    const gate = deferred();
    world.model.use(({ prompt }) =>
      prompt === 'long' ? [text('still '), waitFor(gate.promise), text('here')] : [text('ok')],
    );
    const session = await alpha.sessions.create();
    const disposals = alpha.stats().disposals;
    const turn = session.stream('long');
    for await (const step of turn) if (step.type === 'text') break;
    // The other repository goes through several idle times meanwhile.
    for (let round = 0; round < 3; round++) {
      await beta.path();
      await unloaded(beta);
    }
    expect(alpha.stats()).toMatchObject({ loaded: true, state: 'busy', idleDeadline: undefined });
    gate.resolve();
    expect((await turn.result).text).toBe('still here');
    expect(alpha.stats().disposals).toEqual(disposals);
    await unloaded(alpha);
  });

  it('disposes no idle instance while another client works in it', async () => {
    const { server } = world.jarvis;
    const gate = deferred();
    world.model.use(() => [waitFor(gate.promise), text('theirs')]);
    const session = await alpha.sessions.create();
    const idle = alpha.events({ types: ['session.idle'], sessionID: session.id });
    await idle.ready;
    const response = await fetch(`${server.url}/session/${session.id}/prompt_async`, {
      method: 'POST',
      headers: { authorization: server.authorization ?? '', 'content-type': 'application/json' },
      body: JSON.stringify({ parts: [{ type: 'text', text: 'from elsewhere' }] }),
    });
    expect(response.status).toBe(204);
    await world.model.waitForRequest((request) => request.prompt === 'from elsewhere');
    await vi.waitFor(() => expect(alpha.stats().holds.map((hold) => hold.kind)).toEqual(['session-busy']), {
      timeout: 20_000,
    });
    const refusal = alpha.dispose();
    await expect(refusal).rejects.toBeInstanceOf(DisposeRefusedError);
    await expect(refusal).rejects.toMatchObject({ holds: [{ kind: 'session-busy', detail: session.id }] });
    await beta.path();
    await unloaded(beta);
    expect(alpha.stats().state).toBe('busy');
    gate.resolve();
    for await (const event of idle) {
      expect(event.properties).toEqual({ sessionID: session.id });
      break;
    }
    await unloaded(alpha);
    expect((await session.messages()).at(-1)?.parts).toContainEqual(
      expect.objectContaining({ text: 'theirs' }),
    );
  });

  it('keeps an idle instance by hold() until the hold is released', async () => {
    const lease = alpha.hold('a tab is open');
    await alpha.path();
    expect(alpha.stats().holds).toMatchObject([{ kind: 'lease', detail: 'a tab is open' }]);
    await expect(alpha.dispose()).rejects.toMatchObject({
      holds: [{ kind: 'lease', detail: 'a tab is open' }],
    });
    await beta.path();
    await unloaded(beta);
    expect(alpha.stats().state).toBe('busy');
    lease[Symbol.dispose]();
    await unloaded(alpha);
  });
});

describe('dispose()', () => {
  it('refuses dispose() while a turn runs, and the turn is unharmed', async () => {
    const gate = deferred();
    world.model.use(() => [text('un'), waitFor(gate.promise), text('harmed')]);
    const session = await alpha.sessions.create();
    const turn = session.stream('x');
    for await (const step of turn) if (step.type === 'text') break;
    const error = await alpha.dispose().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DisposeRefusedError);
    expect((error as DisposeRefusedError).holds).toContainEqual(
      expect.objectContaining({ kind: 'turn', detail: session.id }),
    );
    gate.resolve();
    expect((await turn.result).text).toBe('unharmed');
  });

  it('resolves dispose() when the instance is gone, says so when there was none, and shares it among concurrent callers', async () => {
    const { directory } = alpha;
    await alpha.path();
    const disposals = alpha.stats().disposals.explicit;
    expect(await Promise.all([alpha.dispose(), alpha.dispose()])).toEqual([
      { directory, disposed: true, aborted: [] },
      { directory, disposed: true, aborted: [] },
    ]);
    expect(alpha.stats()).toMatchObject({ loaded: false, state: 'unloaded' });
    expect(alpha.stats().disposals.explicit).toBe(disposals + 1);
    expect(await alpha.dispose()).toEqual({ directory, disposed: false, aborted: [] });
  });

  it('lets calls during dispose() wait and succeed on a fresh instance', async () => {
    for (let round = 0; round < 5; round++) {
      await alpha.path();
      const { boots } = alpha.stats();
      const disposing = alpha.dispose();
      const calls = Array.from({ length: 10 }, () => alpha.sessions.list());
      const outcome = await disposing.catch((error: unknown) => error);
      await expect(Promise.all(calls)).resolves.toHaveLength(10);
      // Either the calls called the disposal off, or they were over before it was sent, or they waited for its end.
      const isCalledOff = outcome instanceof DisposeRefusedError;
      const { loaded } = alpha.stats();
      expect(alpha.stats().boots).toBe(loaded && !isCalledOff ? boots + 1 : boots);
    }
  });

  it('notices that another client disposed the instance', async () => {
    const { server } = world.jarvis;
    const lease = alpha.hold('to keep our own clock out of it');
    await alpha.path();
    await vi.waitFor(() => expect(alpha.stats().loaded).toBe(true), { timeout: 20_000 });
    const events = alpha.events({ types: ['server.instance.disposed'] });
    await events.ready;
    await fetch(`${server.url}/instance/dispose`, {
      method: 'POST',
      headers: {
        authorization: server.authorization ?? '',
        'x-opencode-directory': encodeURIComponent(alpha.directory),
      },
    });
    for await (const event of events) {
      expect(event.properties).toEqual({ directory: alpha.directory });
      break;
    }
    expect(alpha.stats()).toMatchObject({ loaded: false, disposals: { external: 1 } });
    lease[Symbol.dispose]();
  });

  it('interrupts a running turn when another client disposes its instance, says so, and the next prompt works', async () => {
    const { server } = world.jarvis;
    const gate = deferred();
    world.model.use(() => [text('x'), waitFor(gate.promise)]);
    const session = await alpha.sessions.create();
    const turn = session.stream('x');
    for await (const step of turn) if (step.type === 'text') break;
    await fetch(`${server.url}/instance/dispose`, {
      method: 'POST',
      headers: {
        authorization: server.authorization ?? '',
        'x-opencode-directory': encodeURIComponent(alpha.directory),
      },
    });
    await expect(turn.result).rejects.toMatchObject({ name: 'TurnError', reason: 'interrupted' });
    gate.resolve();
    world.model.use(() => [text('and on')]);
    expect((await session.prompt('y')).text).toBe('and on');
  });
});

describe('maxLoaded', () => {
  it('disposes the least recently used instance that nothing holds', async () => {
    await using small = await realJarvis({ idle: { idleTimeoutMs: 600_000, maxLoaded: 2 } });
    const repos: RepoClient[] = [];
    for (const name of ['one', 'two', 'three'])
      repos.push(small.jarvis.forRepo((await small.repo({ name })).directory));
    const [one, two, three] = repos as [RepoClient, RepoClient, RepoClient];
    const lease = one.hold();
    await one.path();
    await two.path();
    await three.path();
    await unloaded(two);
    expect(two.stats().disposals).toMatchObject({ cap: 1, idle: 0 });
    expect([one, three].map((repo) => repo.stats().loaded)).toEqual([true, true]);
    lease[Symbol.dispose]();
    await two.path();
    await vi.waitFor(() => expect(repos.filter((repo) => repo.stats().loaded)).toHaveLength(2), {
      timeout: 20_000,
    });
    expect(two.stats().loaded).toBe(true);
  });
});

describe('a tool that runs', () => {
  it('ends no running tool by idle housekeeping', async () => {
    world.model.use(({ step }) =>
      step === 0
        ? [toolCall('bash', { command: 'sleep 2; echo survived', description: 'Wait' })]
        : [text('done')],
    );
    const session = await alpha.sessions.create();
    const result = await session.prompt('x');
    const parts = result.messages.flatMap((message) => message.parts);
    expect(parts.find((part) => part.type === 'tool')).toMatchObject({
      state: { status: 'completed', output: 'survived\n' },
    });
  });
});
