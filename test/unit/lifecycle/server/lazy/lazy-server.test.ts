import { describe, expect, it, onTestFinished } from 'vitest';
import {
  ClosedError,
  DisposeRefusedError,
  JarvisOpenCode,
  ServerLostError,
  ServerStartError,
  UnsupportedServerError,
  type JarvisOptions,
  type OpenCodeEvent,
  type ServerChange,
  type ServerHandle,
  type ServerState,
} from 'jarvis-opencode';
import { LazyServer, type LazyServerInit } from '../../../../../src/lifecycle/server/lazy/lazy-server.js';
import { silentLogger } from '../../../../../src/core/logger.js';
import { fakeClock, type FakeClock } from '../../../../support/fake-clock.js';
import { FakeOpenCode } from '../../../../support/fake-opencode.js';
import { changingHandle, type ChangingHandle } from '../../../../support/server-handle.js';

interface Started {
  readonly lazy: LazyServer;
  readonly clock: FakeClock;
  /** The handles that were opened. */
  readonly handles: (ChangingHandle & { stops: number })[];
  readonly states: ServerState[];
}

function aLazyServer(init: Partial<LazyServerInit> = {}): Started {
  const handles: Started['handles'] = [];
  const clock = fakeClock();
  const lazy = new LazyServer({
    label: 'the server "heavy"',
    isOwned: true,
    nextAttempt: () => 0,
    open: () => {
      const handle = Object.assign(changingHandle(), { stops: 0 });
      Object.assign(handle, {
        url: `http://127.0.0.1:${handles.length + 1}`,
        stop: async () => void handle.stops++,
      });
      handles.push(handle);
      return Promise.resolve(handle);
    },
    clock,
    logger: silentLogger,
    ...init,
  });
  const states: ServerState[] = [];
  lazy.on('change', ({ state }) => states.push(state));
  onTestFinished(() => lazy.stop());
  return { lazy, clock, handles, states };
}

function aClient(
  started: Started,
  options: JarvisOptions = {},
): { jarvis: JarvisOpenCode; opencode: FakeOpenCode } {
  const opencode = new FakeOpenCode('/srv/app');
  opencode.answer('GET /session', () => Response.json([]));
  opencode.answer('GET /global/health', () => Response.json({ healthy: true, version: '1.18.33' }));
  const { fetch } = opencode;
  const { clock, lazy } = started;
  const jarvis = new JarvisOpenCode(lazy, { fetch, clock, paths: 'remote', ...options });
  onTestFinished(() => jarvis.close());
  return { jarvis, opencode };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function settleAll(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await settle();
}

describe('a server that starts when it is needed', () => {
  it('starts nothing for subscriptions, overviews and bindings, and once for concurrent requests', async () => {
    const started = aLazyServer();
    const { jarvis } = aClient(started);
    const events = jarvis.events();
    jarvis.repos();
    jarvis.snapshot();
    const repo = jarvis.forRepo('/srv/app');
    await settleAll();
    expect(started.handles).toHaveLength(0);
    expect(started.lazy.state).toBe('asleep');
    await Promise.all([
      repo.sessions.list(),
      jarvis.forRepo('/srv/b').sessions.list(),
      jarvis.global.health(),
    ]);
    expect(started.handles).toHaveLength(1);
    expect(started.states).toEqual(['starting', 'ready']);
    await events.close();
  });

  it('rejects the requests that waited for a start that failed, and tries again for the next', async () => {
    const failures = [
      new Error('no room'),
      new ServerStartError({ message: 'It exited.', command: 'opencode', recentOutput: ['boom'] }),
    ];
    const waits: number[] = [];
    const handle = changingHandle();
    const started = aLazyServer({
      nextAttempt: () => waits.push(0) && 0,
      open: () => {
        const failure = failures.shift();
        return failure === undefined ? Promise.resolve(handle) : Promise.reject(failure);
      },
    });
    const { jarvis } = aClient(started);
    const repo = jarvis.forRepo('/srv/app');
    const first = await Promise.allSettled([repo.sessions.list(), repo.agents.list()]);
    for (const result of first) {
      const { reason } = result as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(ServerStartError);
      expect(reason.message).toBe('Could not start the server "heavy": no room.');
    }
    expect(started.lazy.state).toBe('asleep');
    const second = await repo.sessions.list().catch((error: unknown) => error);
    expect((second as Error).message).toBe(
      'Could not start the server "heavy": It exited. Last output:\n  boom',
    );
    await expect(repo.sessions.list()).resolves.toEqual([]);
    expect(waits).toHaveLength(2);
    expect(started.lazy.starts).toBe(3);
  });

  it('fails for good when no attempt is left, and names itself', async () => {
    const started = aLazyServer({
      nextAttempt: () => undefined,
      open: () => Promise.reject(new Error('no room')),
    });
    const { jarvis } = aClient(started);
    const repo = jarvis.forRepo('/srv/app');
    await expect(repo.sessions.list()).rejects.toBeInstanceOf(ServerStartError);
    const lost = await repo.sessions.list().catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(ServerLostError);
    expect((lost as Error).message).toContain('the server "heavy"');
    expect((lost as Error).cause).toBeInstanceOf(ServerStartError);
    expect(started.lazy.state).toBe('failed');
    await started.lazy.closed;
    const later = await repo.sessions.list().catch((error: unknown) => error);
    expect((later as Error).message).toContain('the server "heavy"');
  });

  it('fails at once when the version is not supported, and says so to who waited', async () => {
    const unsupported = new UnsupportedServerError('2.0.0', '1.18');
    const started = aLazyServer({ open: () => Promise.reject(unsupported) });
    const { jarvis } = aClient(started);
    await expect(jarvis.forRepo('/srv/app').sessions.list()).rejects.toBe(unsupported);
    expect(started.lazy.state).toBe('failed');
  });

  it('gives up a start that takes too long, and stops what comes after that', async () => {
    let arrive: (handle: ServerHandle) => void = () => undefined;
    const late = Object.assign(changingHandle(), { stops: 0 });
    Object.assign(late, { stop: async () => void late.stops++ });
    const started = aLazyServer({
      openTimeoutMs: 5,
      open: () => new Promise((resolve) => (arrive = resolve)),
    });
    await expect(started.lazy.wake()).rejects.toThrow('it was not there within 5 ms');
    arrive(late);
    await settleAll();
    expect(late.stops).toBe(1);
  });

  it('refuses a handle that has ended', async () => {
    const used = changingHandle();
    used.change({ state: 'stopped' });
    const { lazy } = aLazyServer({ open: () => Promise.resolve(used) });
    await expect(lazy.wake()).rejects.toThrow('its handle has ended already');
  });

  it('aborts a start when it is stopped, and starts nothing more', async () => {
    let reason: unknown;
    const { lazy } = aLazyServer({
      open: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reason = signal.reason;
            reject(signal.reason as Error);
          });
        }),
    });
    const waking = lazy.wake();
    const rejected = expect(waking).rejects.toBeInstanceOf(ClosedError);
    await settleAll();
    await lazy.stop();
    await rejected;
    expect(reason).toBeInstanceOf(ClosedError);
    expect(lazy.state).toBe('stopped');
    expect(lazy.wake()).toBeUndefined();
  });
});

describe('a server that falls asleep', () => {
  it('stops when nothing has used it for a time, and the same objects wake it', async () => {
    const started = aLazyServer({ stopAfterIdleMs: 60_000 });
    const { clock, lazy, handles, states } = started;
    const { jarvis } = aClient(started);
    const repo = jarvis.forRepo('/srv/app');
    expect(lazy.stopDeadline).toBeUndefined();
    await repo.sessions.list();
    await settleUntil(() => jarvis.repos()[0]?.holds.length === 0);
    expect(lazy.stopDeadline).toBe(clock.now() + 60_000);
    clock.advance(30_000);
    await repo.sessions.list();
    clock.advance(59_000);
    await settleAll();
    expect(lazy.state).toBe('ready');
    clock.advance(1_000);
    await settleUntil(() => lazy.state === 'asleep');
    expect(handles[0]?.stops).toBe(1);
    expect(lazy.pid).toBeUndefined();
    await repo.sessions.list();
    expect(handles).toHaveLength(2);
    expect(states).toEqual(['starting', 'ready', 'asleep', 'starting', 'ready']);
  });

  it('stops in its time when the clock was set back meanwhile', async () => {
    const started = aLazyServer({ stopAfterIdleMs: 60_000 });
    const { clock, lazy } = started;
    const { jarvis } = aClient(started);
    await jarvis.forRepo('/srv/app').sessions.list();
    await settleUntil(() => jarvis.repos()[0]?.holds.length === 0);
    clock.jump(-3_600_000);
    expect(lazy.stopDeadline).toBe(clock.now() + 60_000);
    clock.advance(60_000);
    await settleUntil(() => lazy.state === 'asleep');
  });

  it('stays while something holds an instance', async () => {
    const started = aLazyServer({ stopAfterIdleMs: 10_000 });
    const { clock, lazy } = started;
    const { jarvis } = aClient(started, { idle: false });
    const repo = jarvis.forRepo('/srv/app');
    await repo.sessions.list();
    const lease = repo.hold('a tab');
    await settleUntil(() => jarvis.repos()[0]?.holds.length === 1);
    for (let step = 0; step < 20; step++) {
      clock.advance(10_000);
      await settle();
    }
    expect(lazy.state).toBe('ready');
    await expect(lazy.sleep()).rejects.toBeInstanceOf(DisposeRefusedError);
    lease[Symbol.dispose]();
    clock.advance(20_000);
    await settleUntil(() => lazy.state === 'asleep');
  });

  it('stays while a request runs that belongs to no repository', async () => {
    const started = aLazyServer({ stopAfterIdleMs: 10_000 });
    const { clock, lazy } = started;
    const { jarvis } = aClient(started);
    await jarvis.global.health();
    await settleAll();
    const release = lazy.use();
    clock.advance(25_000);
    await settleAll();
    expect(lazy.state).toBe('ready');
    release();
    clock.advance(20_000);
    await settleUntil(() => lazy.state === 'asleep');
  });

  it('starts the next one after the end of the last when a request comes meanwhile', async () => {
    let finish: () => void = () => undefined;
    const started = aLazyServer();
    const { lazy, handles } = started;
    const { jarvis } = aClient(started);
    const repo = jarvis.forRepo('/srv/app');
    await repo.sessions.list();
    await settleUntil(() => jarvis.repos()[0]?.holds.length === 0);
    Object.assign(handles[0] ?? {}, { stop: () => new Promise<void>((resolve) => (finish = resolve)) });
    const sleeping = lazy.sleep();
    await settleUntil(() => lazy.state === 'asleep');
    const listing = repo.sessions.list();
    await settleAll();
    expect(handles).toHaveLength(1);
    finish();
    await sleeping;
    await expect(listing).resolves.toEqual([]);
    expect(handles).toHaveLength(2);
  });

  it('tells subscribers of the gap when it has started again', async () => {
    const started = aLazyServer();
    const { jarvis } = aClient(started);
    const events = jarvis.events({ types: ['session.idle'] });
    const seen: OpenCodeEvent[] = [];
    const reading = (async () => {
      for await (const event of events) seen.push(event);
    })();
    await jarvis.forRepo('/srv/app').sessions.list();
    await settleUntil(() => seen.some(({ type }) => type === 'jarvis.gap'));
    await settleUntil(() => jarvis.repos()[0]?.holds.length === 0);
    await started.lazy.sleep();
    await jarvis.forRepo('/srv/app').sessions.list();
    await settleUntil(() => seen.filter(({ type }) => type === 'jarvis.gap').length === 2);
    expect(
      seen.map((event) =>
        event.type === 'jarvis.gap' ? event.properties.reason : (event.properties as ServerChange).state,
      ),
    ).toEqual(['starting', 'ready', 'restart', 'asleep', 'starting', 'ready', 'restart']);
    await events.close();
    await reading;
  });
});

describe('the handle of a server that starts when it is needed', () => {
  it('shows the states of its process, and fails with it', async () => {
    const { lazy, handles, states } = aLazyServer();
    await lazy.wake();
    const [handle] = handles;
    handle?.change({ state: 'unhealthy' });
    handle?.change({ state: 'restarting', attempt: 1 });
    handle?.change({ state: 'ready' });
    handle?.change({ state: 'failed', exit: { code: 1, signal: null } });
    expect(states).toEqual(['starting', 'ready', 'unhealthy', 'restarting', 'ready', 'failed']);
    await expect(lazy.closed).resolves.toEqual({ code: 1, signal: null });
  });

  it('opens another one when that is wanted, until no attempt is left', async () => {
    const attempts = [0, 0];
    let opens = 0;
    const handles: ChangingHandle[] = [];
    const { lazy, states } = aLazyServer({
      reopens: true,
      nextAttempt: () => attempts.shift(),
      open: () => {
        opens += 1;
        if (opens === 2) return Promise.reject(new Error('not yet'));
        const handle = changingHandle();
        handles.push(handle);
        return Promise.resolve(handle);
      },
    });
    await lazy.wake();
    handles[0]?.change({ state: 'failed' });
    await settleUntil(() => handles.length === 2 && lazy.state === 'ready');
    expect(states).toEqual(['starting', 'ready', 'restarting', 'restarting', 'ready']);
    handles[1]?.change({ state: 'failed', exit: { code: 2, signal: null } });
    await expect(lazy.closed).resolves.toEqual({ code: 2, signal: null });
    expect(lazy.state).toBe('failed');
  });

  it('starts a sleeping server to restart it, and restarts one that runs under the guard of the client', async () => {
    const started = aLazyServer();
    const { lazy, handles } = started;
    const { jarvis } = aClient(started);
    await lazy.restart();
    expect(handles).toHaveLength(1);
    let restarts = 0;
    Object.assign(handles[0] ?? {}, { restart: async () => void restarts++ });
    await jarvis.forRepo('/srv/app').sessions.list();
    const lease = jarvis.forRepo('/srv/app').hold();
    await expect(lazy.restart()).rejects.toBeInstanceOf(DisposeRefusedError);
    await lazy.restart({ force: true });
    lease[Symbol.dispose]();
    expect(restarts).toBe(1);
    await lazy.stop();
    await expect(lazy.restart()).rejects.toBeInstanceOf(ClosedError);
  });
});

async function settleUntil(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}
