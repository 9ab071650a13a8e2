import { describe, expect, it } from 'vitest';
import type { IdlePolicy } from 'jarvis-opencode';
import { fakeClock, type FakeClock } from '../support/fake-clock.js';
import { readUntil } from '../support/read-until.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text, waitFor } from '../../src/testing/script/steps.js';

const HOUR_MS = 3_600_000;

/** A server of ours, and another client of it, which has its address and its password. */
interface World extends AsyncDisposable {
  readonly real: RealJarvis;
  readonly clock: FakeClock;
  /** Lets the model answer. */
  readonly answer: () => void;
  send(path: string, directory: string, body?: object): Promise<Response>;
  /** Creates a session as the other client. */
  create(directory: string): Promise<string>;
  /** Prompts it; resolves with the status and the text of the answer. */
  prompt(sessionID: string, directory: string): Promise<[number, string]>;
}

async function worldWith(idle: IdlePolicy): Promise<World> {
  const clock = fakeClock(Date.now());
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const script = () => [waitFor(answered), text('their answer')];
  const real = await realJarvis({ env: { npm_config_offline: 'true' }, idle, clock, script });
  const send: World['send'] = (path, directory, body) => {
    const { url, authorization = '' } = real.jarvis.server;
    return fetch(`${url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization,
        'content-type': 'application/json',
        'x-opencode-directory': encodeURIComponent(directory),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  };
  return {
    real,
    clock,
    answer,
    send,
    create: async (directory) => {
      const created = (await (await send('/session', directory, {})).json()) as { readonly id: string };
      return created.id;
    },
    prompt: async (sessionID, directory) => {
      const parts = [{ type: 'text', text: 'hi' }];
      const response = await send(`/session/${sessionID}/message`, directory, { parts });
      return [response.status, await response.text()];
    },
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  };
}

describe('a client of somebody else', () => {
  it('keeps the turn of a foreign client while idle timers run, before and without a request of ours', async () => {
    await using world = await worldWith({ idleTimeoutMs: 1_000, maxLoaded: 1 });
    const { directory } = await world.real.repo();
    const { directory: other } = await world.real.repo();
    const stats = () => world.real.jarvis.repos().find((each) => each.directory === directory);
    const sessionID = await world.create(directory);
    const turn = world.prompt(sessionID, directory);
    await expect
      .poll(() => stats()?.holds.map(({ kind }) => kind), { timeout: 20_000 })
      .toContain('session-busy');
    // Over the cap, and long idle, if it were not at work.
    await world.create(other);
    world.clock.advance(HOUR_MS);
    await expect.poll(() => world.real.jarvis.forRepo(other).stats().loaded, { timeout: 20_000 }).toBe(false);
    expect(stats()).toMatchObject({ loaded: true, disposals: { idle: 0, cap: 0 } });
    world.answer();
    expect(await turn).toEqual([200, expect.stringContaining('their answer')]);
    await expect.poll(() => stats()?.state, { timeout: 20_000 }).toBe('idle');
    world.clock.advance(HOUR_MS);
    await expect.poll(() => stats()?.disposals.idle, { timeout: 20_000 }).toBe(1);
  });

  it('keeps the event stream of a foreign client with keepForeign, where it loaded the instance or has a session', async () => {
    await using world = await worldWith({ idleTimeoutMs: 1_000, maxLoaded: 1, keepForeign: true });
    world.answer();
    const { jarvis, repo } = world.real;
    const theirs = jarvis.forRepo((await repo()).directory);
    const shared = jarvis.forRepo((await repo()).directory);
    const ours = jarvis.forRepo((await repo()).directory);
    await world.create(theirs.directory);
    await expect.poll(() => theirs.stats().boots, { timeout: 20_000 }).toBe(1);
    const created = shared.events({ types: ['session.created'], hold: true });
    await Promise.all([created.ready, shared.path()]);
    await world.create(shared.directory);
    for await (const _ of created) break;
    const streams = await Promise.all(
      [theirs, shared].map(({ directory }) => world.send('/event', directory)),
    );
    const session = await ours.sessions.create();
    expect((await session.prompt('hi')).text).toBe('their answer');
    world.clock.advance(HOUR_MS);
    await expect.poll(() => ours.stats().loaded, { timeout: 20_000 }).toBe(false);
    for (const { directory } of [theirs, shared]) await world.create(directory);
    for (const { body } of streams) {
      const told = (body as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream());
      expect(await readUntil(told, 'session.created')).not.toContain('disposed');
    }
    expect([theirs, shared].map((each) => each.stats())).toMatchObject([
      { loaded: true, boots: 1, idleDeadline: undefined },
      { loaded: true, boots: 1, idleDeadline: undefined },
    ]);
    await shared.dispose();
    await (await shared.sessions.create()).update({ title: 'of nobody else' });
    await expect.poll(() => shared.stats().disposals.cap, { timeout: 20_000 }).toBeGreaterThan(0);
  });
});
