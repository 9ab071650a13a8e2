import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RepoClient } from 'jarvis-opencode';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';

/** Node's own `fetch` gives up on an answer whose headers take longer than 300 s. */
const PAUSES = 31;
const PAUSE_MS = 10_000;

let world: RealJarvis;
let repo: RepoClient;

beforeAll(async () => {
  world = await realJarvis({ idle: { idleTimeoutMs: 500 } });
  repo = world.jarvis.forRepo((await world.repo()).directory);
});
afterAll(() => world[Symbol.asyncDispose]());

/** Runs a turn and says how long it took. */
async function timed<T>(what: string, turn: Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await turn;
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`Node ${process.version}: ${what} answered after ${seconds} s`);
  return result;
}

describe.concurrent('a turn of 310 s', () => {
  it('of a model is answered', async () => {
    const answer = 'x'.repeat(PAUSES + 1);
    world.model.use(() => [text(answer, { chunks: PAUSES + 1, delayMs: PAUSE_MS })]);
    const session = await repo.sessions.create();
    expect((await timed('a prompt', session.prompt('Take your time.'))).text).toBe(answer);
  });

  it('of a shell, whose request stays open as long, is answered', async () => {
    const session = await repo.sessions.create();
    const command = `sleep ${(PAUSES * PAUSE_MS) / 1_000}; echo rested`;
    const { parts } = await timed('a shell', session.shell({ agent: 'build', command }));
    expect(parts.find((part) => part.type === 'tool')).toMatchObject({ state: { output: 'rested\n' } });
  });
});
