import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  ClosedError,
  ConnectionError,
  JarvisOpenCode,
  ServerLostError,
  type EventStream,
  type RepoClient,
  type Session,
  type StartOptions,
} from 'jarvis-opencode';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hang } from '../../src/testing/script/steps.js';
import { fakeServer, mcpServer, type FakeServer } from '../support/fixtures.js';
import { gitRepo } from '../support/git-repo.js';
import { freePort } from '../support/ports.js';
import {
  descendantsOf,
  endProcessesWith,
  expectNoProcesses,
  isAlive,
  processesWith,
  waitForNone,
} from '../support/processes.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { realServerOptions } from '../support/real-opencode.js';
import { text, toolCall } from '../support/model-steps.js';
import { until } from '../support/wait.js';
import { waitingWorktree } from '../support/waiting-worktree.js';

/** In the environment of every process that a test starts. */
let marker: string;

beforeEach(() => {
  marker = randomUUID();
});

afterEach(async () => {
  const left = await endProcessesWith(marker, { graceMs: 0 });
  expect(left, 'processes that the test left behind').toEqual([]);
});

function startFake(name: FakeServer, options: StartOptions = {}): Promise<JarvisOpenCode> {
  return JarvisOpenCode.start({ ...options, command: fakeServer(name), env: { JARVIS_TEST_MARKER: marker } });
}

/** A tool that waits, after it has started a process that left its session and lost its parent. */
const bashSleep = [
  toolCall('bash', {
    command: '(setsid sleep 999 < /dev/null > /dev/null 2>&1 &); sleep 1000',
    description: 'Wait',
  }),
];

/** What a call rejects with or throws. */
async function rejection(call: () => unknown): Promise<unknown> {
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    return error;
  }
  throw new Error(`expected a rejection, got ${String(value)}`);
}

describe('after close() of a real server', () => {
  it('ends a closed server and its MCP servers, also those that do not want to end', async () => {
    await using world = await realJarvis({
      config: {
        mcp: {
          polite: mcpServer(),
          stubborn: mcpServer({ stubborn: true }),
          forks: mcpServer({ forks: true }),
        },
      },
    });
    const { jarvis } = world;
    for (const directory of [(await world.repo()).directory, (await world.repo()).directory]) {
      const session = await jarvis.forRepo(directory).sessions.create();
      expect((await session.prompt('hi')).text).toBe('ok');
    }
    const { pid, url } = jarvis.server;
    // In each repository one, one, and one with a child that has left its session and holds its pipes.
    expect(descendantsOf(pid as number)).toHaveLength(8);
    const states: string[] = [];
    jarvis.server.on('state', (state) => states.push(state));

    await jarvis.close();

    expectNoProcesses(world.marker);
    expect(isAlive(pid as number)).toBe(false);
    expect(states).toEqual(['stopping', 'stopped']);
    expect(jarvis.server.state).toBe('stopped');
    await expect(jarvis.server.closed).resolves.toEqual({ code: null, signal: 'SIGTERM' });
    // Somebody else may have the port by now, but not the password.
    const headers = { authorization: jarvis.server.authorization ?? '' };
    const answer = await fetch(`${url}/global/health`, { headers }).then(
      (response) => response.status,
      () => 'nobody',
    );
    expect(['nobody', 401]).toContain(answer);
  });

  it('ends a running tool by close(), also when many MCP servers take their time to end', async () => {
    await using world = await realJarvis({
      config: { mcp: { stubborn: mcpServer({ stubborn: true }) } },
      script: ({ prompt, step }) => (prompt === 'wait' && step === 0 ? bashSleep : [text('ok')]),
    });
    const { jarvis } = world;
    for (let count = 0; count < 3; count += 1) {
      await jarvis.forRepo((await world.repo()).directory).warm();
    }
    const session = await jarvis.forRepo((await world.repo()).directory).sessions.create();
    const turn = session.stream('wait');
    const ending = rejection(() => turn.result);
    for await (const step of turn) if (step.type === 'tool' && step.status === 'running') break;
    // Four MCP servers, the tool, and the server itself.
    await until(() => processesWith(world.marker).length >= 6, { what: 'the process of the tool' });

    await jarvis.close();

    expectNoProcesses(world.marker);
    expect(await ending).toBeInstanceOf(ClosedError);
  });

  it('rejects pending calls and ends event loops by close()', async () => {
    await using world = await realJarvis({ script: () => [text('on the way'), hang()] });
    const { jarvis } = world;
    const directory = (await world.repo()).directory;
    const session = await jarvis.forRepo(directory).sessions.create();
    const listening = [jarvis.events(), jarvis.forRepo(directory).events(), session.events()].map(
      async (events) => {
        for await (const event of events) void event;
        return 'ended';
      },
    );
    const queued = await jarvis.forRepo(directory).sessions.create();
    const turn = session.stream('one');
    const calls = [turn.result, session.prompt('two'), queued.prompt('three')].map((call) =>
      rejection(() => call),
    );
    const reading = (async () => {
      const seen: string[] = [];
      for await (const step of turn) seen.push(step.type);
      return seen;
    })();
    await world.model.waitForRequest();
    const { creating } = await waitingWorktree(world);
    calls.push(rejection(() => creating));

    const closing = jarvis.close();
    // They need not wait for the end of the server.
    for (const call of calls) expect(await call).toBeInstanceOf(ClosedError);
    expect(await Promise.all(listening)).toEqual(['ended', 'ended', 'ended']);
    await expect(reading).resolves.toBeInstanceOf(Array);
    await closing;
  });

  // Whatever connections the process keeps to an address are those of the server that was there before.
  it('answers from the first call on a new server at the same address', async () => {
    await using real = await realServerOptions();
    const port = await freePort();
    const first = await JarvisOpenCode.start({ ...real.startOptions, port });
    await first.forRepo(real.root).warm();
    await first.events().ready;
    await first.close();
    await using second = await JarvisOpenCode.start({ ...real.startOptions, port, idle: false });
    const session = await second.forRepo(real.root).sessions.create();
    expect(session.directory).toBe(real.root);
  });

  it('leaves nothing of a server that had stopped answering', async () => {
    await using world = await realJarvis();
    const { jarvis } = world;
    const repo = jarvis.forRepo((await world.repo()).directory);
    await repo.warm();
    process.kill(jarvis.server.pid as number, 'SIGSTOP');
    const calls = [repo.sessions.list(), repo.sessions.create(), jarvis.global.health()].map((call) =>
      rejection(() => call),
    );
    await jarvis.close({ graceMs: 200 });
    expectNoProcesses(world.marker);
    for (const call of calls) expect(await call).toBeInstanceOf(ClosedError);
  });
});

describe('a client that was closed', () => {
  let world: RealJarvis;
  let directory: string;
  let repo: RepoClient;
  let session: Session;
  let early: EventStream;

  beforeAll(async () => {
    world = await realJarvis();
    directory = (await world.repo()).directory;
    repo = world.jarvis.forRepo(directory);
    session = await repo.sessions.create({}, { jarvisSessionID: 'chat-1' });
    early = repo.events();
    await early.ready;
    await world.jarvis.close();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('rejects every call with ClosedError after close() and sends nothing', async () => {
    const { jarvis } = world;
    const calls: Record<string, () => unknown> = {
      'jarvis.forRepo': () => jarvis.forRepo(directory),
      'jarvis.forSession': () => jarvis.forSession('chat-1'),
      'jarvis.events': () => jarvis.events(),
      'jarvis.global.health': () => jarvis.global.health(),
      'repo.path': () => repo.path(),
      'repo.warm': () => repo.warm(),
      'repo.dispose': () => repo.dispose(),
      'repo.events': () => repo.events().ready,
      'repo.sessions.create': () => repo.sessions.create(),
      'repo.sessions.list': () => repo.sessions.list(),
      'repo.sessions.get': () => repo.sessions.get(session.id),
      'repo.sessions.status': () => repo.sessions.status(),
      'repo.permissions.list': () => repo.permissions.list(),
      'repo.questions.list': () => repo.questions.list(),
      'session.prompt': () => session.prompt('hi'),
      'session.stream': () => session.stream('hi').result,
      'session.messages': () => session.messages(),
      'session.refresh': () => session.refresh(),
      'session.abort': () => session.abort(),
      'session.delete': () => session.delete(),
      'session.events': () => session.events().ready,
    };
    const wrong: string[] = [];
    for (const [name, call] of Object.entries(calls)) {
      const error = await rejection(call).catch(() => 'no rejection');
      if (!(error instanceof ClosedError)) wrong.push(`${name}: ${String(error)}`);
    }
    expect(wrong).toEqual([]);
    expect(world.model.calls).toBe(0);
  });

  it('ends every loop over events after close()', async () => {
    for (const events of [() => early, () => repo.events(), () => session.events()]) {
      const loop = async (): Promise<string> => {
        for await (const event of events()) void event;
        return 'ended';
      };
      // Quietly or with the error: either way it ends.
      expect(['ended', 'ClosedError']).toContain(await loop().catch((error: Error) => error.name));
    }
  });
});

describe('close()', () => {
  it('closes a client once, however often and by whomever close() is called', async () => {
    const jarvis = await startFake('floods');
    const calls = [jarvis.close(), jarvis.close({ graceMs: 5 }), jarvis[Symbol.asyncDispose]()];
    await Promise.all([...calls, jarvis.server.stop(), jarvis.server.stop()]);
    expectNoProcesses(marker);
    expect(new Set(calls).size, 'they share one promise').toBe(1);
    await jarvis.close();
    await jarvis.server.stop();
    expect(jarvis.server.state).toBe('stopped');
  });

  it('closes a client at the end of a block, also when the block throws', async () => {
    let jarvis: JarvisOpenCode | undefined;
    const block = async (): Promise<never> => {
      await using own = await startFake('floods');
      jarvis = own;
      expect(processesWith(marker)).toHaveLength(1);
      throw new Error('mine');
    };
    await expect(block()).rejects.toThrow('mine');
    expectNoProcesses(marker);
    expect(jarvis?.server.state).toBe('stopped');
  });

  it('ends a server that ignores SIGTERM', async () => {
    const jarvis = await startFake('ignores-sigterm');
    await jarvis.close({ graceMs: 100 });
    expectNoProcesses(marker);
    await expect(jarvis.server.closed).resolves.toEqual({ code: null, signal: 'SIGKILL' });
  });

  it.each([
    ['by default', undefined],
    ['with more time than a timer can hold', 2 ** 31],
  ])('lets a server end by itself %s', async (_what, graceMs) => {
    const root = mkdtempSync(join(tmpdir(), 'jarvis-close-'));
    try {
      const command = join(root, 'opencode');
      const script = `#!/usr/bin/env node
        import(${JSON.stringify(fileURLToPath(new URL('../fixtures/fake-server.mjs', import.meta.url)))})
          .then(({ healthy, serve }) => serve(healthy));
        process.on('SIGTERM', () => setTimeout(() => process.exit(7), 200));`;
      writeFileSync(command, script, { mode: 0o755 });
      const jarvis = await JarvisOpenCode.start({ command, env: { JARVIS_TEST_MARKER: marker } });
      await jarvis.close({ graceMs });
      await expect(jarvis.server.closed).resolves.toEqual({ code: 7, signal: null });
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it('ends a server at once without a grace period', async () => {
    const jarvis = await startFake('ignores-sigterm');
    await jarvis.close({ graceMs: 0 });
    expectNoProcesses(marker);
  });

  it('ends a child of the server that ignores SIGTERM', async () => {
    const jarvis = await startFake('spawns-child');
    await until(() => processesWith(marker).length === 2, { what: 'the child' });
    await jarvis.close({ graceMs: 100 });
    expectNoProcesses(marker);
  });

  it('ends what a dead server has left behind', async () => {
    const jarvis = await startFake('spawns-child', { restart: false });
    await until(() => processesWith(marker).length === 2, { what: 'the child' });
    process.kill(jarvis.server.pid as number, 'SIGKILL');
    await expect(jarvis.server.closed).resolves.toEqual({ code: null, signal: 'SIGKILL' });
    expect(jarvis.server.state).toBe('failed');
    await jarvis.close();
    expectNoProcesses(marker);
  });

  it.each([-1, Number.NaN, '5'])('refuses %s for graceMs', async (graceMs) => {
    const jarvis = await startFake('floods');
    try {
      const error = await rejection(() => jarvis.close({ graceMs: graceMs as number }));
      expect([RangeError, TypeError]).toContain((error as Error).constructor);
      expect((error as Error).message).toMatch(/expected graceMs to be .*got/i);
    } finally {
      await jarvis.close();
    }
    // A call that was refused did not close anything; this one did.
    expectNoProcesses(marker);
  });

  it('removes the listeners of the client from the process', async () => {
    const before = process.listenerCount('exit');
    const both = await Promise.all([startFake('floods'), startFake('floods')]);
    const during = process.listenerCount('exit');
    for (const jarvis of both) await jarvis.close();
    // One that ends the servers and one that warns of them, for all clients together.
    expect(during).toBe(before + 2);
    expect(process.listenerCount('exit')).toBe(before);
    const failed = startFake('exits-at-once');
    await expect(failed).rejects.toThrow();
    expect(process.listenerCount('exit')).toBe(before);
  });

  it('does nothing more for a handle that was already stopped', async () => {
    const jarvis = await startFake('floods');
    await jarvis.server.stop();
    expectNoProcesses(marker);
    const error = await rejection(() => jarvis.global.health());
    expect([ClosedError, ServerLostError, ConnectionError]).toContain((error as Error).constructor);
    await jarvis.close();
  });
});

describe('a host', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));

  /** Runs a module in a process of its own, with `options` for start(), and gives what it printed. */
  async function runHost(body: string, options: StartOptions, env: NodeJS.ProcessEnv): Promise<string> {
    const directory = mkdtempSync(join(tmpdir(), 'jarvis-host-'));
    try {
      const script = join(directory, 'host.mts');
      const source = `import { JarvisOpenCode } from ${JSON.stringify(join(root, 'src/index.ts'))};
        const options = ${JSON.stringify(options)};
        ${body}`;
      writeFileSync(script, source);
      const host = promisify(execFile)(process.execPath, ['--import', 'tsx', script], {
        cwd: root,
        env,
        timeout: 60_000,
        killSignal: 'SIGKILL',
      });
      const { stdout } = await host.catch((error: { stdout: string; stderr: string; killed: boolean }) => {
        if (error.killed) throw new Error(`the host did not end: ${error.stdout}${error.stderr}`);
        return error;
      });
      return stdout;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  const fakeOptions = (name: FakeServer): StartOptions => ({
    command: fakeServer(name),
    env: { JARVIS_TEST_MARKER: marker },
  });

  it('ends the server, its MCP servers and its running tools when the host calls process.exit()', async () => {
    await using real = await realServerOptions({
      config: { mcp: { polite: mcpServer(), stubborn: mcpServer({ stubborn: true }) } },
      script: () => bashSleep,
    });
    await using repo = await gitRepo();
    const printed = await runHost(
      `const { descendantsOf } = await import(${JSON.stringify(join(root, 'test/support/processes.ts'))});
       const { until } = await import(${JSON.stringify(join(root, 'test/support/wait.ts'))});
       const { readFileSync } = await import('node:fs');
       const jarvis = await JarvisOpenCode.start(options);
       const session = await jarvis.forRepo(${JSON.stringify(repo.directory)}).sessions.create();
       const turn = session.stream('wait');
       for await (const step of turn) if (step.type === 'tool' && step.status === 'running') break;
       const isTool = (pid) => readFileSync('/proc/' + pid + '/cmdline', 'utf8').startsWith('sleep');
       await until(() => descendantsOf(jarvis.server.pid).some(isTool));
       console.log(jarvis.server.pid);
       process.exit(0);`,
      { config: real.startOptions.config },
      real.env,
    );
    const pid = Number(printed.trim());
    expect(pid).toBeGreaterThan(1);
    await waitForNone(real.marker);
    await until(() => !isAlive(pid));
  });

  it.each([
    ['calls process.exit()', 'process.exit(3);'],
    [
      'ends by an exception',
      `setImmediate(() => { throw new Error('unexpected'); }); await new Promise(() => {});`,
    ],
    ['ends by a rejection', `void Promise.reject(new Error('unexpected')); await new Promise(() => {});`],
  ])('leaves no server of a host that %s', async (_what, ending) => {
    const printed = await runHost(
      `const jarvis = await JarvisOpenCode.start(options);
       console.log(jarvis.server.pid);
       ${ending}`,
      fakeOptions('spawns-child'),
      process.env,
    );
    expect(Number(printed.trim())).toBeGreaterThan(1);
    await waitForNone(marker);
  });

  it('leaves no server when the host calls process.exit() during the start', async () => {
    const printed = await runHost(
      `JarvisOpenCode.start(options).catch(() => undefined);
       const endWithServer = () => {
         if (!process.getActiveResourcesInfo().includes('ProcessWrap')) return setImmediate(endWithServer);
         console.log('started');
         process.exit(0);
       };
       endWithServer();`,
      fakeOptions('silent'),
      process.env,
    );
    expect(printed.trim()).toBe('started');
    await waitForNone(marker);
  });

  it('lets a host end by itself after it closed what it started', async () => {
    const printed = await runHost(
      `const jarvis = await JarvisOpenCode.start(options);
       await jarvis.global.health();
       await jarvis.close();
       console.log('closed');
       process.on('exit', (code) => console.log('ended', code));`,
      fakeOptions('floods'),
      process.env,
    );
    expect(printed.trim()).toBe('closed\nended 0');
    await waitForNone(marker);
  });
});
