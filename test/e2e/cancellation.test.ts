import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RepoClient, Session } from 'jarvis-opencode';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';

let world: RealJarvis;
let repo: RepoClient;
let session: Session;
let ptyID: string;
/** A repository of its own, which is no worktree of the first. */
let elsewhere: string;

beforeAll(async () => {
  world = await realJarvis({ idle: false, script: () => [text('ok')] });
  repo = world.jarvis.forRepo((await world.repo()).directory);
  elsewhere = (await world.repo()).directory;
  session = await repo.sessions.create();
  await session.prompt('x');
  ptyID = (await repo.pty.create({ command: 'cat' })).id;
});
afterAll(() => world[Symbol.asyncDispose]());

/** A session of its own, so that no turn waits for another one. */
async function another(): Promise<Session> {
  return repo.sessions.create();
}

/** Everything that waits, to its end. Those that end quietly when their signal aborts are marked. */
const calls: Record<string, { run(signal: AbortSignal): Promise<unknown>; isQuiet?: boolean }> = {
  'repo.warm': { run: (signal) => repo.warm({ signal }) },
  'sessions.create': { run: (signal) => repo.sessions.create({}, { signal }) },
  'sessions.list': { run: (signal) => repo.sessions.list({}, { signal }) },
  'session.refresh': { run: (signal) => session.refresh({ signal }) },
  'session.messages': {
    run: async (signal) => {
      for await (const _message of session.messages({ limit: 1 }, { signal }));
    },
  },
  'session.prompt': { run: async (signal) => (await another()).prompt('x', { signal }) },
  'session.stream': {
    run: async (signal) => {
      const turn = (await another()).stream('x', { signal });
      for await (const _step of turn);
      await turn.result;
    },
  },
  'session.shell': {
    run: async (signal) => (await another()).shell({ agent: 'build', command: 'true' }, { signal }),
  },
  'session.abort': { run: (signal) => session.abort({ signal }) },
  'session.delete': { run: async (signal) => (await another()).delete({ signal }) },
  'permissions.pending': { run: (signal) => repo.permissions.pending({ signal }) },
  'questions.pending': { run: (signal) => repo.questions.pending({ signal }) },
  'repo.events': {
    isQuiet: true,
    run: async (signal) => {
      const events = repo.events({ types: ['session.created'], signal });
      if (!signal.aborted) await Promise.all([events.ready, another()]).catch(() => undefined);
      for await (const _event of events) break;
    },
  },
  'jarvis.events': {
    isQuiet: true,
    run: async (signal) => {
      const events = world.jarvis.events({ types: ['session.created'], signal });
      if (!signal.aborted) await Promise.all([events.ready, another()]).catch(() => undefined);
      for await (const _event of events) break;
    },
  },
  'worktrees.list': { run: (signal) => repo.worktrees.list({ signal }) },
  // Refused before anything is changed, but not before it has asked what the directory is.
  'worktrees.reset': {
    run: (signal) =>
      repo.worktrees.reset({ directory: elsewhere }, { signal }).catch((error: unknown) => {
        if (!(error instanceof TypeError)) throw error;
      }),
  },
  'worktrees.create': { run: (signal) => repo.worktrees.create({}, { signal }) },
  'repo.fetch': {
    run: async (signal) => (await repo.fetch(`${repo.baseUrl}/session`, { signal })).json(),
  },
  'pty.connect': { run: async (signal) => (await repo.pty.connect(ptyID, { signal })).close() },
  'global.health': { run: (signal) => world.jarvis.global.health({ signal }) },
};

describe('a signal', () => {
  it.each(Object.entries(calls))('leaves no listener on the signal after %s', async (_name, { run }) => {
    const { signal } = new AbortController();
    await run(signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it.each(Object.entries(calls))(
    'ends %s with the reason of a signal that is already aborted',
    async (_name, { run, isQuiet }) => {
      const reason = { because: 'too late' };
      const signal = AbortSignal.abort(reason);
      if (isQuiet) await run(signal);
      else await expect(run(signal)).rejects.toBe(reason);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    },
  );

  it.each(Object.entries(calls))(
    'leaves no listener when the signal aborts while %s waits',
    async (_name, { run }) => {
      // Each time a little later: between two of these there is every point where the call waits.
      for (const turns of [0, 1, 3, 20, 100]) {
        const reason = { turns };
        const caller = new AbortController();
        const running = run(caller.signal).catch((error: unknown) => error);
        for (let turn = 0; turn < turns; turn++) await nextTurn();
        caller.abort(reason);
        const outcome = await running;
        if (outcome instanceof Error) throw outcome;
        expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
      }
    },
  );

  it('leaves no listener after a disposal, whether the caller waited for it or not', async () => {
    await repo.pty.remove(ptyID);
    const { signal } = new AbortController();
    await repo.dispose({ signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await repo.warm();
    const caller = new AbortController();
    const disposing = repo.dispose({ signal: caller.signal });
    caller.abort('enough');
    await expect(disposing).rejects.toBe('enough');
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });
});
