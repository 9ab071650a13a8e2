import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RepoClient } from 'jarvis-opencode';
import { mcpServer } from '../support/fixtures.js';
import { descendantsOf } from '../support/processes.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text, toolCall } from '../support/model-steps.js';

let world: RealJarvis;
let alpha: RepoClient;

beforeAll(async () => {
  world = await realJarvis({
    idle: { idleTimeoutMs: 500 },
    config: { mcp: { quiet: mcpServer() } },
  });
  alpha = world.jarvis.forRepo((await world.repo({ name: 'alpha' })).directory);
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
