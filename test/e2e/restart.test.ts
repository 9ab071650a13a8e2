import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  DisposeRefusedError,
  JarvisOpenCode,
  ServerLostError,
  TurnError,
  type OpenCodeEvent,
  type RepoClient,
  type ServerState,
} from 'jarvis-opencode';
import { hang } from '../../src/testing/script/steps.js';
import { fakeClock } from '../support/fake-clock.js';
import { fakeServer } from '../support/fixtures.js';
import { isAlive } from '../support/processes.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { text } from '../support/model-steps.js';
import { until } from '../support/wait.js';
import { waitingWorktree } from '../support/waiting-worktree.js';

const quick = { maxAttempts: 100, minDelayMs: 1 };

let world: RealJarvis;
let jarvis: JarvisOpenCode;
let states: ServerState[];

beforeAll(async () => {
  world = await realJarvis({ restart: quick });
  jarvis = world.jarvis;
  jarvis.server.on('state', (state) => states.push(state));
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => {
  states = [];
  world.model.use(({ prompt }) =>
    prompt.startsWith('hang') ? [text('on the way'), hang()] : [text('done')],
  );
});

async function newRepo(): Promise<RepoClient> {
  return jarvis.forRepo((await world.repo()).directory);
}

function signal(name: NodeJS.Signals): void {
  process.kill(jarvis.server.pid as number, name);
}

const isReady = (): boolean => jarvis.server.state === 'ready';

describe('a server that is killed during 8 turns in 4 repositories', () => {
  it('replaces a server that is killed during 8 turns in 4 repositories, interrupts them within 2 s, and goes on', async () => {
    const repos = await Promise.all([newRepo(), newRepo(), newRepo(), newRepo()]);
    const [first] = repos;
    const events: OpenCodeEvent[] = [];
    const stream = jarvis.events();
    const own = first.events({ types: ['session.idle'] });
    const reading = (async () => {
      for await (const event of stream) if (event.type.startsWith('jarvis.')) events.push(event);
    })();
    await Promise.all([stream.ready, own.ready]);
    const sessions = await Promise.all(
      [...repos, ...repos].map((repo, index) =>
        repo.sessions.create({}, { jarvisSessionID: `chat-${index}` }),
      ),
    );
    const ids = sessions.map(({ id }) => id).sort();
    const snapshot = jarvis.snapshot();
    const turns = sessions.map((session) => session.stream('hang'));
    const queued = sessions[0]?.prompt('next');
    const tab = first.hold('a tab');
    await Promise.all(
      turns.map(async (turn) => {
        for await (const step of turn) if (step.type === 'text') break;
      }),
    );
    const errors: unknown[] = [];
    for (const turn of turns) turn.result.catch((error: unknown) => errors.push(error));
    const [pid, authorization] = [jarvis.server.pid, jarvis.server.authorization];

    const exited = until(() => !isAlive(pid as number));
    signal('SIGKILL');
    await exited;
    await until(() => errors.length === 8, { timeoutMs: 2_000, what: 'the turns to reject' });
    for (const error of errors) {
      expect(error).toBeInstanceOf(TurnError);
      expect(error).toMatchObject({ reason: 'interrupted', cause: expect.any(ServerLostError) });
    }

    // Asked while there is no server.
    expect(isReady()).toBe(false);
    await expect(first.files.list('.')).resolves.toBeInstanceOf(Array);
    expect(await queued).toMatchObject({ text: 'done' });
    expect(jarvis.server.pid).not.toBe(pid);
    expect(jarvis.server.authorization).not.toBe(authorization);
    const answers = await Promise.all(sessions.map((session) => session.prompt('again')));
    expect(answers.map((answer) => answer.text)).toEqual(sessions.map(() => 'done'));
    expect(jarvis.snapshot()).toEqual(snapshot);
    expect(sessions.map((_, index) => jarvis.forSession(`chat-${index}`).id)).toEqual(
      sessions.map(({ id }) => id),
    );
    expect(await jarvis.sessions.reconcile()).toMatchObject({ gone: [], moved: [] });
    expect(states).toEqual(['restarting', 'ready']);
    expect(first.stats()).toMatchObject({ loaded: true, boots: 2, disposals: { external: 1 } });
    expect(first.stats().holds.map(({ kind }) => kind)).toEqual(['lease']);
    tab[Symbol.dispose]();

    // What the crash left of an answer stays as it was.
    const messages = (await sessions[1]?.messages()) ?? [];
    const unfinished = messages.find(({ info }) => info.role === 'assistant' && !('completed' in info.time));
    expect(unfinished).toBeDefined();

    await until(() => events.some(({ type }) => type === 'jarvis.gap'));
    expect(
      events.map((event) => (event.type === 'jarvis.server' ? event.properties.state : event.type)),
    ).toEqual(['restarting', 'ready', 'jarvis.gap']);
    expect(events[0]?.properties).toMatchObject({ attempt: 1, exit: { code: null, signal: 'SIGKILL' } });
    expect([...(events[0]?.properties as { interrupted: string[] }).interrupted].sort()).toEqual(ids);
    expect(events[1]?.properties).toMatchObject({ url: jarvis.server.url, pid: jarvis.server.pid });
    expect(events[2]?.properties).toMatchObject({ reason: 'restart' });
    const heard: string[] = [];
    for await (const { type } of own) {
      heard.push(type);
      if (type === 'session.idle') break;
    }
    expect(heard.slice(0, 3)).toEqual(['jarvis.server', 'jarvis.server', 'jarvis.gap']);
    await stream.close();
    await reading;
  });
});

describe('what is under way when the server ends', () => {
  it('repeats safe calls on the next server, rejects the others, and lets new calls wait', async () => {
    const repo = await newRepo();
    const session = await repo.sessions.create({ title: 'one' });
    const sdk = createOpencodeClient({ baseUrl: repo.baseUrl, fetch: repo.fetch });
    const connection = await repo.pty.connect((await repo.pty.create({ command: '/bin/sh' })).id);
    const output = (async () => {
      for await (const text of connection) void text;
    })();
    const { creating: worktree } = await waitingWorktree(world);
    const { stream } = await sdk.event.subscribe();
    const frames: { type: string; properties: object }[] = [];
    const following = (async () => {
      for await (const frame of stream) {
        if (frame.type.startsWith('jarvis.')) frames.push(frame);
        if (frames.length === 3) break;
      }
    })();
    const before = repo.stats().holds.length;
    signal('SIGSTOP');
    const reading = session.refresh();
    const official = sdk.session.get({ sessionID: session.id });
    const creating = repo.sessions.create({ title: 'two' });
    const patching = repo.fetch(`${repo.baseUrl}/session/${session.id}`, { method: 'PATCH', body: '{}' });
    await until(() => repo.stats().holds.length === before + 4, { what: 'the requests to be sent' });
    signal('SIGKILL');
    await expect(creating).rejects.toBeInstanceOf(ServerLostError);
    await expect(patching).rejects.toBeInstanceOf(ServerLostError);
    await expect(output).rejects.toBeInstanceOf(ServerLostError);
    await expect(worktree).rejects.toBeInstanceOf(ServerLostError);

    expect(jarvis.server.state).toBe('restarting');
    const later = repo.sessions.create({ title: 'later' });
    await expect(repo.sessions.list({}, { timeoutMs: 10 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(repo.sessions.list({}, { signal: AbortSignal.abort('no') })).rejects.toBe('no');

    expect(await reading).toMatchObject({ id: session.id });
    expect((await official).data?.id).toBe(session.id);
    const created = await later;
    const ids = (await repo.sessions.list()).map(({ id }) => id);
    expect(ids.sort()).toEqual([session.id, created.id].sort());
    expect(await repo.pty.list()).toEqual([]);
    await until(() => repo.stats().holds.length === 0);

    // The same stream goes on.
    await following;
    expect(frames).toMatchObject([
      { type: 'jarvis.server', properties: { state: 'restarting', attempt: 1 } },
      { type: 'jarvis.server', properties: { state: 'ready', pid: jarvis.server.pid } },
      { type: 'jarvis.gap', properties: { reason: 'restart' } },
    ]);
  });
});

describe('restart()', () => {
  it('refuses restart() while a turn runs, and interrupts the turn by force', async () => {
    const repo = await newRepo();
    const session = await repo.sessions.create();
    const turn = session.stream('hang');
    for await (const step of turn) if (step.type === 'text') break;
    const { pid } = jarvis.server;
    const refused = await jarvis.server.restart().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(DisposeRefusedError);
    expect(refused).toMatchObject({ directory: repo.directory });
    expect((refused as DisposeRefusedError).holds.map(({ kind }) => kind)).toContain('turn');
    expect([jarvis.server.pid, states]).toEqual([pid, []]);

    const restarting = [jarvis.server.restart({ force: true }), jarvis.server.restart()];
    await expect(turn.result).rejects.toMatchObject({ reason: 'interrupted' });
    await Promise.all(restarting);
    expect(jarvis.server.pid).not.toBe(pid);
    expect(states).toEqual(['restarting', 'ready']);
    expect((await session.prompt('go on')).text).toBe('done');
    expect(repo.stats().disposals).toMatchObject({ server: 1, external: 0 });
  });

  it('refuses restart() for a foreign server and for a stopped one', async () => {
    const { url } = jarvis.server;
    const password = atob(jarvis.server.authorization?.slice('Basic '.length) ?? '').split(':')[1];
    await using other = await JarvisOpenCode.connect({ url, password });
    await expect(other.server.restart()).rejects.toThrow(/not started here/);
    const stopped = await JarvisOpenCode.start({ command: fakeServer('closes-port') });
    await stopped.close();
    await expect(stopped.server.restart()).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('a server that is stopped', () => {
  it('reports a stopped server as unhealthy until it goes on, and restarts one that does not go on', async () => {
    await using own = await realJarvis({
      restart: quick,
      health: { intervalMs: 50, timeoutMs: 500, failures: 2 },
    });
    const { server } = own.jarvis;
    const seen: ServerState[] = [];
    server.on('state', (state) => seen.push(state));
    const pid = server.pid as number;
    process.kill(pid, 'SIGSTOP');
    await until(() => server.state === 'unhealthy', { intervalMs: 5 });
    process.kill(pid, 'SIGCONT');
    await until(() => server.state === 'ready', { intervalMs: 5 });
    expect(server.pid).toBe(pid);
    process.kill(pid, 'SIGSTOP');
    await until(() => server.pid !== pid, { timeoutMs: 60_000, what: 'the next server' });
    expect(isAlive(pid)).toBe(false);
    expect(seen).toEqual(['unhealthy', 'ready', 'unhealthy', 'restarting', 'ready']);
    await own.jarvis.global.health();
  });
});

describe('a server that does not come back', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'jarvis-restart-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  async function startOnce(restart: { maxAttempts: number; minDelayMs: number }): Promise<JarvisOpenCode> {
    const env = { JARVIS_TEST_STARTS: join(root, 'starts') };
    return JarvisOpenCode.start({ command: fakeServer('starts-once'), env, restart });
  }

  it('fails for good after maxAttempts and tells every waiting caller', async () => {
    await using own = await startOnce({ maxAttempts: 3, minDelayMs: 1 });
    const seen: ServerState[] = [];
    own.server.on('state', (state) => seen.push(state));
    const stream = own.events();
    const events: unknown[] = [];
    const reading = (async () => {
      for await (const event of stream) if (event.type === 'jarvis.server') events.push(event.properties);
    })();
    reading.catch(() => undefined);
    process.kill(own.server.pid as number, 'SIGKILL');
    await until(() => own.server.state === 'restarting', { intervalMs: 1 });
    await expect(own.global.health()).rejects.toBeInstanceOf(ServerLostError);
    expect(await own.server.closed).toEqual({ code: null, signal: 'SIGKILL' });
    expect(own.server.state).toBe('failed');
    expect(seen).toEqual(['restarting', 'failed']);
    expect((await readFile(join(root, 'starts'), 'utf8')).trim().split('\n')).toHaveLength(4);
    await expect(own.server.restart()).rejects.toBeInstanceOf(ServerLostError);
    await expect(reading).rejects.toBeInstanceOf(ServerLostError);
    expect(events).toMatchObject([
      { state: 'restarting', attempt: 1, interrupted: [] },
      { state: 'restarting', attempt: 2 },
      { state: 'restarting', attempt: 3 },
      { state: 'failed' },
    ]);
  });

  it('leaves nothing when the client is closed while its server waits to start again', async () => {
    const own = await startOnce({ maxAttempts: 3, minDelayMs: 600_000 });
    const { pid } = own.server;
    process.kill(pid as number, 'SIGKILL');
    await until(() => own.server.state === 'restarting');
    const waiting = own.global.health();
    const closing = own.close();
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await closing;
    expect(own.server.state).toBe('stopped');
    expect(await own.server.closed).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await readFile(join(root, 'starts'), 'utf8')).toBe('start\n');
  });
});

describe.runIf(process.platform === 'linux')('a server with a limit for its memory', () => {
  it('is replaced when it is above the limit', async () => {
    const clock = fakeClock();
    await using own = await JarvisOpenCode.start({
      command: fakeServer('healthy'),
      clock,
      recycleRssBytes: 1,
    });
    const { pid } = own.server;
    clock.advance(30_000);
    await until(() => own.server.pid !== pid && own.server.state === 'ready');
    await expect(own.global.health()).resolves.toMatchObject({ healthy: true });
    expect(isAlive(pid as number)).toBe(false);
  });
});
