import { randomUUID } from 'node:crypto';
import { JarvisOpenCode, ServerLostError, ServerStartError, type ServerState } from 'jarvis-opencode';
import { describe, expect, it } from 'vitest';
import { fakeServer } from '../support/fixtures.js';
import { freePort, portOwner, type PortOwner } from '../support/ports.js';
import { expectNoProcesses } from '../support/processes.js';
import { realJarvis } from '../support/real-jarvis.js';
import { until } from '../support/wait.js';

// A port that the caller has chosen stays the server's for life; who takes it while the server is gone is left alone.

/** Longer than somebody else needs to take a port. */
const minDelayMs = 1_000;

/** Kills the server and takes its port, as soon as the system gives it away, before the server is started again. */
async function killAndTake({ server }: JarvisOpenCode): Promise<PortOwner> {
  const port = Number(new URL(server.url).port);
  process.kill(server.pid as number, 'SIGKILL');
  const owner = await until(() => portOwner(port).catch(() => undefined), {
    intervalMs: 5,
    what: 'the port',
  });
  await until(() => server.state === 'restarting', { intervalMs: 5 });
  return owner;
}

describe('a server on a fixed port', () => {
  it('restarts a server on its fixed port, also after somebody else had the port for a while', async () => {
    const errors: string[] = [];
    const ignore = (): void => undefined;
    const logger = {
      debug: ignore,
      info: ignore,
      warn: ignore,
      error: (message: string, details?: object) => errors.push(`${message} ${JSON.stringify(details)}`),
    };
    const restart = { maxAttempts: 100, minDelayMs, maxDelayMs: minDelayMs };
    const port = await freePort();
    await using world = await realJarvis({ port, restart, logger });
    const { jarvis } = world;
    const { url } = jarvis.server;
    expect(url).toBe(`http://127.0.0.1:${port}`);
    const states: ServerState[] = [];
    jarvis.server.on('state', (state) => states.push(state));
    const session = await jarvis.forRepo((await world.repo()).directory).sessions.create();
    const pid = jarvis.server.pid as number;
    process.kill(pid, 'SIGKILL');
    await until(() => jarvis.server.state === 'restarting', { intervalMs: 5 });
    // The first thing that is asked of it.
    expect((await session.prompt('hi')).text).toBe('ok');
    expect([jarvis.server.url, jarvis.server.pid === pid]).toEqual([url, false]);

    await using owner = await killAndTake(jarvis);
    const prompting = session.prompt('again');
    const isTold = (error: string): boolean =>
      error.includes(`port ${port} of 127.0.0.1 is taken by another process`);
    await until(() => errors.some(isTold), { what: 'an attempt in vain' });
    expect(jarvis.server.state).toBe('restarting');
    expect(owner.requests, 'that it was asked').toEqual([]);
    await owner.release();
    expect((await prompting).text).toBe('ok');
    expect(jarvis.server.url).toBe(url);
    expect(states).toEqual(['restarting', 'ready', 'restarting', 'ready']);
  });

  it('reports a failed server when its fixed port stays taken', async () => {
    const marker = randomUUID();
    await using jarvis = await JarvisOpenCode.start({
      command: fakeServer('floods'),
      env: { JARVIS_TEST_MARKER: marker },
      port: await freePort(),
      restart: { maxAttempts: 2, minDelayMs, maxDelayMs: minDelayMs },
    });
    await using owner = await killAndTake(jarvis);
    const restarting = jarvis.server.restart().catch((error: unknown) => error);
    const calling = jarvis.global.health().catch((error: unknown) => error);
    expect(await jarvis.server.closed).toEqual({ code: null, signal: 'SIGKILL' });
    expect(jarvis.server.state).toBe('failed');
    for (const failed of [restarting, calling]) {
      const error = await failed;
      expect(error).toBeInstanceOf(ServerLostError);
      const { cause } = error as ServerLostError;
      expect(cause).toBeInstanceOf(ServerStartError);
      const text = `port ${owner.port} of 127.0.0.1 is taken by another process`;
      expect((cause as ServerStartError).message).toContain(text);
    }
    expectNoProcesses(marker);
    expect(owner.requests).toEqual([]);
    expect(await (await fetch(`http://127.0.0.1:${owner.port}/`)).text()).toBe('mine');
  });
});
