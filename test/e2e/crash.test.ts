import { describe, expect, it } from 'vitest';
import { ServerLostError, TurnError } from 'jarvis-opencode';
import { hang } from '../../src/testing/script/steps.js';
import { realJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';
import { waitingWorktree } from '../support/waiting-worktree.js';

describe('a server that is killed and not to be restarted', () => {
  it('interrupts turns and calls when the server is killed, notifies listeners, and still closes', async () => {
    await using world = await realJarvis({ restart: false, script: () => [text('on the way'), hang()] });
    const { jarvis } = world;
    const repo = jarvis.forRepo((await world.repo()).directory);
    const session = await repo.sessions.create();
    const states: string[] = [];
    jarvis.server.on('state', (state) => states.push(state));
    const events = repo.events();
    const listening = (async () => {
      for await (const event of events) void event;
    })();
    const turns = [session.stream('one'), session.stream('two')];
    for await (const step of turns[0] ?? []) if (step.type === 'text') break;
    const { creating } = await waitingWorktree(world);
    process.kill(jarvis.server.pid ?? 0, 'SIGKILL');
    await expect(creating).rejects.toBeInstanceOf(ServerLostError);
    for (const turn of turns) {
      const error = await turn.result.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TurnError);
      expect(error).toMatchObject({ reason: 'interrupted', cause: expect.any(ServerLostError) as unknown });
    }
    await expect(listening).rejects.toBeInstanceOf(ServerLostError);
    expect(await jarvis.server.closed).toEqual({ code: null, signal: 'SIGKILL' });
    expect(states).toEqual(['failed']);
    await expect(repo.sessions.list()).rejects.toBeInstanceOf(ServerLostError);
    await expect(session.prompt('three')).rejects.toMatchObject({ reason: 'interrupted' });
    await jarvis.close();
  });
});
