import { randomUUID } from 'node:crypto';
import { JarvisOpenCode, ServerLostError, type ServerState } from 'jarvis-opencode';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeServer } from '../support/fixtures.js';
import { freePort } from '../support/ports.js';
import {
  commandLineOf,
  expectNoProcesses,
  groupMembers,
  isAlive,
  processesWith,
} from '../support/processes.js';
import { realJarvis } from '../support/real-jarvis.js';
import { text, toolCall } from '../support/model-steps.js';
import { until } from '../support/wait.js';

// What can become of a server while its host lives on: another one takes its place, and nothing of it is left.

const quick = { maxAttempts: 100, minDelayMs: 1 };

function statesOf({ server }: JarvisOpenCode): ServerState[] {
  const states: ServerState[] = [];
  server.on('state', (state) => states.push(state));
  return states;
}

describe('a server', () => {
  it('reports and replaces a server that is out of memory', async () => {
    const marker = randomUUID();
    await using jarvis = await JarvisOpenCode.start({
      command: fakeServer('out-of-memory'),
      env: { JARVIS_TEST_MARKER: marker },
      restart: quick,
    });
    const exits: unknown[] = [];
    jarvis.server.on('change', ({ exit }) => exit && exits.push(exit));
    const states = statesOf(jarvis);
    const lines: string[] = [];
    jarvis.server.on('log', (line) => lines.push(line));
    const pid = jarvis.server.pid as number;
    await until(() => processesWith(marker).length === 2, { what: 'its child' });
    const before = processesWith(marker);
    process.kill(pid, 'SIGUSR2');
    await until(() => states.at(-1) === 'ready', { what: 'the next server' });
    expect(states).toEqual(['restarting', 'ready']);
    expect(exits).toEqual([{ code: null, signal: 'SIGABRT' }]);
    expect(lines.join('\n')).toContain('heap out of memory');
    expect(before.filter(isAlive)).toEqual([]);
    await jarvis.close();
    expectNoProcesses(marker);
  });

  it('replaces a server whose runtime aborts while a tool runs, and ends the tool', async () => {
    await using world = await realJarvis({
      restart: quick,
      script: ({ prompt, step }) =>
        prompt === 'wait' && step === 0
          ? [toolCall('bash', { command: 'setsid sleep 600', description: 'Wait' })]
          : [text('ok')],
    });
    const { jarvis, marker } = world;
    const states = statesOf(jarvis);
    const session = await jarvis.forRepo((await world.repo()).directory).sessions.create();
    const turn = session.stream('wait');
    turn.result.catch(() => undefined);
    const isTool = (pid: number): boolean => commandLineOf(pid).endsWith('sleep 600');
    await until(() => processesWith(marker).some(isTool), { what: 'the tool' });
    const [pid, before] = [jarvis.server.pid as number, processesWith(marker)];
    process.kill(pid, 'SIGABRT');
    await expect(turn.result).rejects.toMatchObject({
      reason: 'interrupted',
      cause: expect.any(ServerLostError) as unknown,
    });
    expect((await session.prompt('again')).text).toBe('ok');
    expect(states).toEqual(['restarting', 'ready']);
    expect(before.filter(isAlive).map(commandLineOf)).toEqual([]);
    await jarvis.close();
    expectNoProcesses(marker);
  });

  it('calls a server with a closed port unhealthy and replaces it, also on the same port', async () => {
    const marker = randomUUID();
    const port = await freePort();
    await using jarvis = await JarvisOpenCode.start({
      command: fakeServer('closes-port'),
      env: { JARVIS_TEST_MARKER: marker },
      port,
      restart: quick,
      health: { intervalMs: 50, timeoutMs: 1_000, failures: 3 },
    });
    const states = statesOf(jarvis);
    const pid = jarvis.server.pid as number;
    process.kill(pid, 'SIGUSR2');
    await until(() => states.at(-1) === 'ready', { what: 'the next server' });
    expect(states).toEqual(['unhealthy', 'restarting', 'ready']);
    await expect(jarvis.global.health()).resolves.toMatchObject({ healthy: true });
    expect(jarvis.server.url).toBe(`http://127.0.0.1:${port}`);
    expect(processesWith(marker)).toEqual([jarvis.server.pid]);
    expect(groupMembers(pid)).toEqual([]);
    await jarvis.close();
    expectNoProcesses(marker);
  });
});

describe('4 servers of one host', () => {
  it('runs 4 servers side by side, where the end of one ends no other, and ends all by close()', async () => {
    const worlds = await Promise.all(
      Array.from({ length: 4 }, async (_, index) => {
        const world = await realJarvis({ restart: false, script: () => [text(`from ${index}`)] });
        onTestFinished(() => world[Symbol.asyncDispose]());
        const session = await world.jarvis.forRepo((await world.repo()).directory).sessions.create();
        return { ...world, session };
      }),
    );
    const ask = ({ session }: (typeof worlds)[number]): Promise<string> =>
      session.prompt('who?').then((answer) => answer.text);
    expect(await Promise.all(worlds.map(ask))).toEqual(worlds.map((_, index) => `from ${index}`));

    const [first, ...others] = worlds;
    process.kill(first?.jarvis.server.pid as number, 'SIGKILL');
    await first?.jarvis.server.closed;
    expect(await Promise.all(others.map(ask))).toEqual(others.map((_, index) => `from ${index + 1}`));

    await Promise.all(worlds.map(({ jarvis }) => jarvis.close()));
    for (const { marker } of worlds) expectNoProcesses(marker);
  });
});
