import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ClosedError, DisposeRefusedError, ServerLostError } from '../../../../src/errors.js';
import { OwnedServer, type SupervisedProcess } from '../../../../src/lifecycle/server/owned-server.js';
import { parseHealthPolicy, type HealthPolicy } from '../../../../src/lifecycle/server/health.js';
import { parseRestartPolicy, type RestartPolicy } from '../../../../src/lifecycle/server/restart-budget.js';
import type { ServerExit } from '../../../../src/lifecycle/process/exit.js';
import type { ServerChange } from '../../../../src/lifecycle/server/handle.js';
import { ServerEventEmitter } from '../../../../src/lifecycle/server/server-events.js';
import { silentLogger } from '../../../../src/core/logger.js';
import { deferred, until } from '../../../support/wait.js';

/** A process that ends when it is told to. */
class FakeProcess implements SupervisedProcess {
  readonly version = '1.18.33';
  readonly recentOutput = [];
  readonly url: string;
  readonly authorization: string;
  readonly #exit = deferred<ServerExit>();
  readonly exited = this.#exit.promise;
  readonly ends: string[] = [];
  hangs = false;

  constructor(readonly pid: number) {
    this.url = `http://127.0.0.1:${pid}`;
    this.authorization = `Basic ${pid}`;
  }

  readonly probe = (signal: AbortSignal): Promise<{ healthy: boolean; version: string }> =>
    this.hangs
      ? new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      : Promise.resolve({ healthy: true, version: this.version });

  onHostSignal(): void {
    // No signal comes.
  }

  exit(code: number): void {
    this.#exit.resolve({ code, signal: null });
  }

  async stop(): Promise<void> {
    this.ends.push('stop');
    this.exit(0);
  }

  async kill(): Promise<void> {
    this.ends.push('kill');
    this.exit(137);
  }
}

interface Supervised {
  readonly server: OwnedServer;
  readonly processes: FakeProcess[];
  readonly changes: ServerChange[];
  /** What the next launches do, instead of a process. */
  readonly launches: ((signal: AbortSignal) => Promise<SupervisedProcess>)[];
}

function supervised(
  options: { restart?: RestartPolicy | false; health?: HealthPolicy | false } = {},
): Supervised {
  const { restart = { minDelayMs: 1, maxAttempts: 3 }, health = false } = options;
  const processes = [new FakeProcess(1)];
  const launches: Supervised['launches'] = [];
  const next = async (): Promise<FakeProcess> => {
    const process = new FakeProcess(processes.length + 1);
    processes.push(process);
    return process;
  };
  const server = new OwnedServer(processes[0] as FakeProcess, {
    launch: (signal) => (launches.shift() ?? next)(signal),
    health: parseHealthPolicy(health),
    restart: parseRestartPolicy(restart),
    events: new ServerEventEmitter(),
    logger: silentLogger,
  });
  const changes: ServerChange[] = [];
  server.on('change', (change) => changes.push(change));
  onTestFinished(() => server.stop());
  return { server, processes, changes, launches };
}

const states = (changes: readonly ServerChange[]): string[] => changes.map(({ state }) => state);
const fails = (): Promise<never> => Promise.reject(new Error('no'));

describe('a server of ours', () => {
  it('replaces a server that ends, and moves the handle to the new process', async () => {
    const { server, processes, changes } = supervised();
    processes[0]?.exit(7);
    await until(() => server.pid === 2);
    expect(server).toMatchObject({ url: 'http://127.0.0.1:2', authorization: 'Basic 2', state: 'ready' });
    expect(changes).toMatchObject([
      { state: 'restarting', attempt: 1, exit: { code: 7 }, isRequested: false },
      { state: 'ready' },
    ]);
    expect(processes[0]?.ends).toEqual(['kill']);
    for (const shown of [inspect(server), JSON.stringify(server)]) {
      expect(shown).toContain('http://127.0.0.1:2');
      expect(shown).not.toContain('Basic');
    }
  });

  it('replaces a server that ends again and again as often as its budget allows', async () => {
    const { server, processes, changes } = supervised();
    for (let pid = 1; pid <= 3; pid += 1) {
      await until(() => server.pid === pid && server.state === 'ready');
      processes[pid - 1]?.exit(pid);
    }
    await until(() => server.pid === 4);
    processes[3]?.exit(4);
    expect(await server.closed).toEqual({ code: 4, signal: null });
    expect(states(changes)).toEqual([...Array(3).fill(['restarting', 'ready']).flat(), 'failed']);
    await expect(server.restart()).rejects.toBeInstanceOf(ServerLostError);
    await server.stop();
    expect(server.state).toBe('failed');
  });

  it('tries again when the next process does not start, then fails with the exit of the server that ended', async () => {
    const { server, processes, changes, launches } = supervised();
    launches.push(fails, fails, fails);
    processes[0]?.exit(7);
    expect(await server.closed).toEqual({ code: 7, signal: null });
    expect(changes.map(({ state, attempt }) => [state, attempt])).toEqual([
      ['restarting', 1],
      ['restarting', 2],
      ['restarting', 3],
      ['failed', undefined],
    ]);
    expect(changes.at(-1)?.error).toEqual(new Error('no'));
  });

  it('does not replace a server with restart: false', async () => {
    const { server, processes, changes } = supervised({ restart: false });
    processes[0]?.exit(7);
    await server.closed;
    expect(states(changes)).toEqual(['failed']);
  });

  it('replaces the server also when the next process ends at once', async () => {
    const { server, processes, launches } = supervised();
    launches.push(async () => {
      const process = new FakeProcess(2);
      processes.push(process);
      process.exit(3);
      return process;
    });
    processes[0]?.exit(7);
    await until(() => server.pid === 3);
  });

  it('reports a server that hangs as unhealthy, then kills and replaces it', async () => {
    const { server, processes, changes } = supervised({
      health: { intervalMs: 5, timeoutMs: 5, failures: 2 },
    });
    const [first] = processes as [FakeProcess];
    first.hangs = true;
    await until(() => server.pid === 2);
    expect(first.ends).toEqual(['kill']);
    expect(states(changes)).toEqual(['unhealthy', 'restarting', 'ready']);
  });

  it('reports but does not replace a server that hangs with restart: false', async () => {
    const { server, processes } = supervised({
      restart: false,
      health: { intervalMs: 1, timeoutMs: 1, failures: 1 },
    });
    const [first] = processes as [FakeProcess];
    first.hangs = true;
    await until(() => server.state === 'unhealthy');
    expect(first.ends).toEqual([]);
  });
});

describe('stop() during a restart', () => {
  it('ends the wait for a restart on stop()', async () => {
    const { server, processes, changes } = supervised({ restart: { minDelayMs: 600_000 } });
    processes[0]?.exit(7);
    await until(() => server.state === 'restarting');
    await server.stop();
    expect(states(changes)).toEqual(['restarting', 'stopping', 'stopped']);
    expect(await server.closed).toEqual({ code: 7, signal: null });
  });

  it('ends on stop() the start of a restart, or the process that the start gave', async () => {
    const { server, processes, launches } = supervised();
    const launched = deferred<SupervisedProcess>();
    const aborted = deferred<unknown>();
    launches.push((signal) => {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason));
      return launched.promise;
    });
    processes[0]?.exit(7);
    await until(() => launches.length === 0);
    const stopping = server.stop();
    expect(await aborted.promise).toBeInstanceOf(ClosedError);
    const late = new FakeProcess(2);
    launched.resolve(late);
    await stopping;
    expect(late.ends).toEqual(['kill']);
    expect(server).toMatchObject({ state: 'stopped', pid: 1 });
    await expect(server.restart()).rejects.toBeInstanceOf(ClosedError);
  });
});

describe('restart()', () => {
  it('stops the process in good order on restart() and shares one restart', async () => {
    const { server, processes, changes } = supervised();
    await Promise.all([server.restart(), server.restart(), server.restart({ force: true })]);
    expect(processes.map(({ ends }) => ends)).toEqual([['stop'], []]);
    expect(changes).toMatchObject([{ state: 'restarting', isRequested: true }, { state: 'ready' }]);
  });

  it('takes nothing of the budget for restart()', async () => {
    const { server } = supervised({ restart: { maxAttempts: 1 } });
    for (let count = 0; count < 5; count += 1) await server.restart();
    expect(server.pid).toBe(6);
  });

  it('asks every guard of restart(), and shares a refusal, but not with a caller who used force', async () => {
    const { server } = supervised();
    const asked: boolean[] = [];
    const answer = deferred();
    server.guardRestart(async (run, { force = false }) => {
      asked.push(force);
      await answer.promise;
      if (!force) throw new DisposeRefusedError('/srv/app', []);
      await run();
    });
    const refused = [server.restart(), server.restart()];
    const forced = server.restart({ force: true });
    answer.resolve();
    for (const one of refused) await expect(one).rejects.toBeInstanceOf(DisposeRefusedError);
    await forced;
    expect([asked, server.pid]).toEqual([[false, true], 2]);
  });

  it('rejects restart() when nothing could be started', async () => {
    const { server, launches } = supervised({ restart: false });
    launches.push(fails);
    const error = await server.restart().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ServerLostError);
    expect(error).toMatchObject({ cause: new Error('no') });
    expect(server.state).toBe('failed');
    expect(await server.closed).toEqual({ code: 0, signal: null });
  });

  it('refuses wrong options of restart()', async () => {
    await expect(supervised().server.restart({ force: 'yes' as never })).rejects.toThrow(TypeError);
  });
});
