import { randomUUID } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  JarvisOpenCode,
  RequestError,
  ServerStartError,
  UnsupportedServerError,
  type FetchFunction,
  type StartOptions,
} from 'jarvis-opencode';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeServer } from '../support/fixtures.js';
import { gitRepo } from '../support/git-repo.js';
import { startHost } from '../support/host-process.js';
import { freePort, portOwner } from '../support/ports.js';
import {
  endProcessesWith,
  expectNoProcesses,
  isAlive,
  processesWith,
  waitForNone,
} from '../support/processes.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';
import { deferred, until } from '../support/wait.js';

const PASSWORD = 'swordfish-c3dvcmRmaXNo';
const TOKEN = Buffer.from(`opencode:${PASSWORD}`).toString('base64');

/** In the environment of every process that a test starts. */
let marker: string;

beforeEach(() => {
  marker = randomUUID();
});

afterEach(async () => {
  const left = await endProcessesWith(marker, { graceMs: 0 });
  expect(left, 'processes that the test left behind').toEqual([]);
});

/** Options to start a fake server, or any other command. */
function starting(command: string, options: StartOptions = {}): StartOptions {
  return { command, ...options, env: { JARVIS_TEST_MARKER: marker, ...options.env } };
}

/** What a start rejects with; by then nothing of it may run. */
async function failure(options: StartOptions): Promise<unknown> {
  let error: unknown;
  try {
    const jarvis = await JarvisOpenCode.start(options);
    await jarvis.close();
  } catch (reason) {
    error = reason;
  }
  expectNoProcesses(marker);
  expect(error, 'it started').toBeDefined();
  return error;
}

/** Whether it is the server, not the question for its version before. */
function isServing(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0serve\0');
}

/** Everything an error shows: its message, its inspection with all that is hidden, and its JSON. */
function shown(error: unknown): string {
  return [
    String(error),
    inspect(error, { depth: null, showHidden: true, maxStringLength: null, maxArrayLength: null }),
    JSON.stringify(error),
    JSON.stringify(error, Object.getOwnPropertyNames(error)),
  ].join('\n');
}

describe('a server that does not start', () => {
  it('fails the start because the command does not exist', async () => {
    const error = await failure(starting('/nowhere/opencode'));
    expect(error).toBeInstanceOf(ServerStartError);
    expect(error).toMatchObject({ command: '/nowhere/opencode', exitCode: null, recentOutput: [] });
    expect((error as Error).message).toContain('"/nowhere/opencode" is not an executable file');
  });

  it('fails the start because the command is not on PATH', async () => {
    const error = await failure(starting('opencode-that-is-nowhere', { env: { PATH: '/nowhere' } }));
    expect(error).toBeInstanceOf(ServerStartError);
    expect((error as Error).message).toMatch(/"opencode-that-is-nowhere" .* on PATH/);
  });

  it('fails the start because the command is not executable', async () => {
    const command = join(import.meta.dirname, 'start.test.ts');
    const error = await failure(starting(command));
    expect(error).toBeInstanceOf(ServerStartError);
    expect(error).toMatchObject({ command, exitCode: null });
    expect((error as Error).message).toContain('not an executable file');
  });

  it('fails the start because the command is a directory', async () => {
    const error = await failure(starting(import.meta.dirname));
    expect(error).toBeInstanceOf(ServerStartError);
  });

  it('fails the start because the system cannot execute the command', async () => {
    const root = mkdtempSync(join(tmpdir(), 'jarvis-start-'));
    try {
      const command = join(root, 'opencode');
      writeFileSync(command, '#!/nowhere/interpreter\n');
      chmodSync(command, 0o755);
      const error = await failure(starting(command));
      expect(error).toBeInstanceOf(ServerStartError);
      expect(error).toMatchObject({ exitCode: null, cause: { code: 'ENOENT' } });
      expect((error as Error).message).toContain(command);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it.each(['/nowhere/at/all', '/dev/null/below', `/${'a'.repeat(300)}`])(
    'fails the start because there is no working directory %s, and names it instead of the command',
    async (cwd) => {
      const error = await failure(starting(fakeServer('silent'), { cwd }));
      expect(error).toBeInstanceOf(ServerStartError);
      expect((error as Error).message).toContain(cwd);
    },
  );

  it('fails the start because the server exits at once', async () => {
    const error = await failure(starting(fakeServer('exits-at-once'), { password: PASSWORD }));
    expect(error).toBeInstanceOf(ServerStartError);
    expect(error).toMatchObject({
      exitCode: 3,
      command: expect.stringContaining(fakeServer('exits-at-once')),
      recentOutput: ['Error: cannot start with password [redacted]'],
    });
    expect((error as Error).message).toMatch(/exited with code 3: .*exits-at-once\.mjs serve/);
    expect((error as Error).message).toContain('cannot start with password [redacted]');
  });

  it('fails the start with the last output of the server, however fast it exits after that', async () => {
    const root = mkdtempSync(join(tmpdir(), 'jarvis-start-'));
    try {
      const command = join(root, 'opencode');
      writeFileSync(command, '#!/bin/sh\necho "last words" >&2\nexit 7\n');
      chmodSync(command, 0o755);
      // Many at once, so that the end of a process is often seen before what it wrote is read.
      const start = (): Promise<unknown> => JarvisOpenCode.start(starting(command)).catch((error) => error);
      const errors = await Promise.all(Array.from({ length: 20 }, start));
      for (const error of errors) {
        expect(error).toMatchObject({ exitCode: 7, recentOutput: ['last words'] });
      }
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it('fails the start because the command is another program', async () => {
    const error = await failure(starting('/bin/cat'));
    expect(error).toBeInstanceOf(ServerStartError);
    expect(error).toMatchObject({ exitCode: 1 });
    expect((error as ServerStartError).recentOutput.join('\n')).toMatch(/cat: .*serve|option/);
  });

  it('fails the start because a signal ended the server', async () => {
    const started = JarvisOpenCode.start(starting(fakeServer('silent'))).catch((error: unknown) => error);
    const pid = await until(() => processesWith(marker).find(isServing), { what: 'the server' });
    process.kill(pid, 'SIGKILL');
    const error = await started;
    expect(error).toBeInstanceOf(ServerStartError);
    expect(error).toMatchObject({ exitCode: null });
    expect((error as Error).message).toContain('SIGKILL');
  });

  it.each(['silent', 'never-healthy', 'hangs-on-health'] as const)(
    'fails the start when the server is not ready in time: %s',
    async (name) => {
      const error = await failure(starting(fakeServer(name), { startTimeoutMs: 1_500, password: PASSWORD }));
      expect(error).toBeInstanceOf(ServerStartError);
      expect(error).toMatchObject({ exitCode: null, command: expect.stringContaining(`${name}.mjs serve`) });
      expect((error as Error).message).toContain('did not become ready within 1500 ms');
    },
  );

  it('fails the start when the time is over, and leaves no child that ignores SIGTERM', async () => {
    const never: FetchFunction = (_input, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
      });
    const spawned = starting(fakeServer('spawns-child'), { startTimeoutMs: 1_500, fetch: never });
    const error = await failure(spawned);
    expect(error).toBeInstanceOf(ServerStartError);
    expect((error as Error).message).toContain('did not become ready within 1500 ms');
  });

  it.each<[what: string, fetch: FetchFunction]>([
    ['refuses the connection', () => Promise.reject(new TypeError('fetch failed'))],
    ['forbids the requests', async () => new Response('forbidden', { status: 403 })],
    ['is out of order', async () => new Response('no upstream', { status: 503 })],
    ['shows a page of its own', async () => new Response('<html>please log in</html>')],
  ])('fails the start within its time, with the cure, because a proxy %s', async (_what, fetch) => {
    const error = await failure(starting(fakeServer('floods'), { fetch }));
    expect(error).toBeInstanceOf(ServerStartError);
    const { message } = error as Error;
    expect(message).toMatch(
      /answers at http:\/\/127\.0\.0\.1:\d+, but requests of this process do not reach it/,
    );
    expect(message).toContain('Set NO_PROXY=127.0.0.1,localhost in the environment');
    expect(message).not.toContain('did not become ready');
  });

  it('fails the start because the server prints an invalid address', async () => {
    const root = mkdtempSync(join(tmpdir(), 'jarvis-start-'));
    const uncaught = vi.fn();
    process.on('uncaughtException', uncaught);
    try {
      const command = join(root, 'opencode');
      const script = [
        '#!/bin/sh',
        'echo "opencode server listening on http://127.0.0.1:99999"',
        'sleep 1000',
      ];
      writeFileSync(command, script.join('\n'));
      chmodSync(command, 0o755);
      const error = await failure(starting(command, { startTimeoutMs: 1_500 }));
      expect(error).toBeInstanceOf(ServerStartError);
      expect((error as ServerStartError).recentOutput.join('\n')).toContain('http://127.0.0.1:99999');
      expect(uncaught).not.toHaveBeenCalled();
    } finally {
      process.off('uncaughtException', uncaught);
      rmSync(root, { recursive: true });
    }
  });

  it('fails the start because the server is not OpenCode', async () => {
    const error = await failure(starting(fakeServer('not-opencode')));
    expect(error).toBeInstanceOf(UnsupportedServerError);
    expect((error as Error).message).toContain('OpenCode 1.18');
  });

  it('fails the start because the binary says that it is OpenCode 2, before the server starts', async () => {
    const lines: string[] = [];
    const logger = {
      debug: (line: string) => lines.push(line),
      info: vi.fn(),
      warn: vi.fn(),
      error: vi.fn(),
    };
    const error = await failure(starting(fakeServer('version-2'), { logger }));
    expect(error).toBeInstanceOf(UnsupportedServerError);
    expect(error).toMatchObject({ found: '2.0.1', supported: expect.stringContaining('1.18') });
    expect((error as Error).message).toContain('OpenCode 2 has another API');
    expect((error as Error).message).toContain('npm install opencode-ai@1.18');
    expect(lines).not.toContain('server starting');
  });

  it('fails the start because OPENCODE_BIN is an OpenCode 2, and names it', async () => {
    const binary = fakeServer('version-2');
    const error = await failure({ env: { OPENCODE_BIN: binary, JARVIS_TEST_MARKER: marker } });
    expect(error).toBeInstanceOf(UnsupportedServerError);
    expect((error as Error).message).toContain(`2.0.1 (${binary})`);
  });

  it('fails the start because OPENCODE_BIN is a directory, and says so', async () => {
    const error = await failure({ env: { OPENCODE_BIN: import.meta.dirname, JARVIS_TEST_MARKER: marker } });
    expect(error).toBeInstanceOf(ServerStartError);
    expect((error as Error).message).toMatch(/^OPENCODE_BIN: .* it is a directory\.$/);
  });

  it('fails the start because the server is too old', async () => {
    const error = await failure(starting(fakeServer('old-version')));
    expect(error).toBeInstanceOf(UnsupportedServerError);
    expect(error).toMatchObject({ found: '1.4.2', supported: expect.stringContaining('1.18') });
    expect((error as Error).message).toContain('1.4.2');
  });

  it('fails the start because an option of the client is wrong', async () => {
    const error = await failure(starting(fakeServer('floods'), { idle: { maxLoaded: 0 } }));
    expect(error).toBeInstanceOf(RangeError);
  });

  it.each(['exits-at-once', 'silent', 'never-healthy', 'old-version', 'not-opencode'] as const)(
    'shows nothing of the password in the error: %s',
    async (name) => {
      const error = await failure(
        starting(fakeServer(name), {
          password: PASSWORD,
          args: [`--password=${PASSWORD}`],
          startTimeoutMs: 1_500,
        }),
      );
      for (const secret of [PASSWORD, TOKEN]) expect(shown(error)).not.toContain(secret);
    },
  );
});

describe('an abort', () => {
  const reasons = [
    ['an Error', new Error('the user left')],
    ['an object', { because: 'the user left' }],
    ['a string', 'left'],
  ] as const;

  it.each(reasons)(
    'rejects with the reason of an abort before the start and starts nothing: %s',
    async (_what, reason) => {
      const signal = AbortSignal.abort(reason);
      expect(await failure(starting(fakeServer('silent'), { signal }))).toBe(reason);
    },
  );

  it('rejects with the reason of an abort while the binary is asked for its version', async () => {
    const abort = new AbortController();
    const reason = new Error('the user left');
    const failed = failure(starting(fakeServer('floods-on-version'), { signal: abort.signal }));
    await until(() => processesWith(marker).length > 0);
    abort.abort(reason);
    expect(await failed).toBe(reason);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });

  it.each(reasons)('rejects with the reason of an abort during the start: %s', async (_what, reason) => {
    const abort = new AbortController();
    const failed = failure(starting(fakeServer('silent'), { signal: abort.signal }));
    await until(() => processesWith(marker).length > 0);
    abort.abort(reason);
    expect(await failed).toBe(reason);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });

  it('rejects with the reason of an abort while the server is asked for its health', async () => {
    const abort = new AbortController();
    const reason = new Error('the user left');
    const asked = deferred();
    const fetch: FetchFunction = (input, init) => {
      asked.resolve();
      return globalThis.fetch(input, init);
    };
    const failed = failure(starting(fakeServer('hangs-on-health'), { signal: abort.signal, fetch }));
    await asked.promise;
    abort.abort(reason);
    expect(await failed).toBe(reason);
  });

  it('rejects with the reason of an abort between two requests for its health', async () => {
    const abort = new AbortController();
    const reason = new Error('the user left');
    const fetch: FetchFunction = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      setImmediate(() => abort.abort(reason));
      return response;
    };
    expect(await failure(starting(fakeServer('never-healthy'), { signal: abort.signal, fetch }))).toBe(
      reason,
    );
  });

  it('changes nothing by an abort after the start', async () => {
    const abort = new AbortController();
    await using jarvis = await JarvisOpenCode.start(starting(fakeServer('floods'), { signal: abort.signal }));
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
    abort.abort();
    await expect(jarvis.global.health()).resolves.toMatchObject({ healthy: true });
    expect(jarvis.server.state).toBe('ready');
  });
});

describe('an option that is wrong', () => {
  const silent = fakeServer('silent');

  it.each<[option: string, value: unknown, type: ErrorConstructor]>([
    ['startTimeoutMs', 0, RangeError],
    ['startTimeoutMs', -1, RangeError],
    ['startTimeoutMs', Number.NaN, RangeError],
    ['startTimeoutMs', Number.POSITIVE_INFINITY, RangeError],
    ['port', -1, RangeError],
    ['port', 65_536, RangeError],
    ['port', 80.5, RangeError],
    ['port', Number.NaN, RangeError],
    ['password', '', TypeError],
    ['password', 5, TypeError],
  ])('refuses the option %s: %s before it starts anything', async (option, value, type) => {
    const error = await failure(starting(silent, { [option]: value }));
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(new RegExp(`expected ${option} to be `, 'i'));
    if (type === RangeError) expect((error as Error).message).toContain(`got ${String(value)}`);
  });

  it.each<[options: StartOptions, name: string]>([
    [{ idle: { idleTimeoutMs: 0 } }, 'idle.idleTimeoutMs'],
    [{ idle: { idleTimeoutMs: Number.NaN } }, 'idle.idleTimeoutMs'],
    [{ idle: { maxLoaded: 0 } }, 'idle.maxLoaded'],
    [{ idle: { maxLoaded: 1.5 } }, 'idle.maxLoaded'],
    [{ turns: { concurrency: 0 } }, 'turns.concurrency'],
    [{ turns: { concurrency: Number.NaN } }, 'turns.concurrency'],
  ])('refuses the options %j and leaves nothing behind', async (options, name) => {
    const error = await failure(starting(fakeServer('floods'), options));
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message).toMatch(new RegExp(`expected ${name} to be .*got`, 'i'));
  });

  it('takes a time limit that no timer can hold as no limit', async () => {
    await using jarvis = await JarvisOpenCode.start(
      starting(fakeServer('floods'), { startTimeoutMs: 2 ** 31 }),
    );
    expect(jarvis.server.state).toBe('ready');
  });
});

describe('a server that writes without end', () => {
  it('starts a server that writes without end, and its output can be followed', async () => {
    const lines: string[] = [];
    const jarvis = await JarvisOpenCode.start(starting(fakeServer('floods')));
    jarvis.server.on('log', (line) => lines.push(line));
    await expect(jarvis.global.health()).resolves.toEqual({ healthy: true, version: '1.18.33' });
    await jarvis.close();
    expectNoProcesses(marker);
    expect(lines.every((line) => line.length < 10_000)).toBe(true);
  });
});

describe('the real server', () => {
  let real: RealServerOptions;
  let jarvis: JarvisOpenCode;

  beforeAll(async () => {
    real = await realServerOptions();
    jarvis = await JarvisOpenCode.start({ ...real.startOptions, args: ['--print-logs'] });
  });

  afterAll(async () => {
    await jarvis.close();
    await real.dispose();
  });

  it('finds the real server in the opencode-ai package, which listens on loopback and says what it is', async () => {
    const { server } = jarvis;
    expect(new URL(server.url).hostname).toBe('127.0.0.1');
    expect(server.version).toMatch(/^1\.18\.\d+$/);
    expect(server.state).toBe('ready');
    expect(isAlive(server.pid as number)).toBe(true);
    await expect(jarvis.global.health()).resolves.toMatchObject({ healthy: true, version: server.version });
  });

  it('runs the native binary itself, not the wrapper of npm', () => {
    const command = readFileSync(`/proc/${jarvis.server.pid}/cmdline`, 'utf8').split('\0');
    expect(command[0]).toMatch(
      /node_modules\/opencode-(\w+-\w+[\w-]*\/bin\/opencode|ai\/bin\/opencode\.exe)$/,
    );
    expect(command.slice(1, 6)).toEqual(['serve', '--hostname', '127.0.0.1', '--port', '0']);
    expect(processesWith(real.marker)).toContain(jarvis.server.pid);
  });

  it('lets nobody in without the password of the server', async () => {
    const { server } = jarvis;
    for (const headers of [{}, { authorization: `Basic ${btoa('opencode:guess')}` }]) {
      const response = await fetch(`${server.url}/global/health`, { headers });
      expect(response.status).toBe(401);
    }
    const authorization = server.authorization as string;
    const response = await fetch(`${server.url}/global/health`, { headers: { authorization } });
    expect(response.status).toBe(200);
  });

  it('gives the server a password that no one sees', () => {
    const authorization = jarvis.server.authorization as string;
    const token = authorization.replace('Basic ', '');
    const password = atob(token).replace('opencode:', '');
    expect(password.length).toBeGreaterThanOrEqual(32);
    const options = { depth: null, maxStringLength: null };
    for (const text of [
      inspect(jarvis, options),
      inspect(jarvis.server, options),
      JSON.stringify(jarvis),
      JSON.stringify(jarvis.server),
      JSON.stringify({ ...jarvis.server }),
      Object.keys(jarvis.server).join(),
    ]) {
      expect(text).not.toContain(password);
      expect(text).not.toContain(token);
    }
    expect(inspect(jarvis.server)).toContain(jarvis.server.url);
    const commandLine = readFileSync(`/proc/${jarvis.server.pid}/cmdline`, 'utf8');
    expect(commandLine).not.toContain(password);
  });

  it('reports the log of the server, line by line, until nobody listens', async () => {
    const line = deferred<string>();
    const lines: string[] = [];
    const off = jarvis.server.on('log', (text) => {
      lines.push(text);
      line.resolve(text);
    });
    const repo = jarvis.forRepo(real.root);
    await repo.warm();
    expect(await line.promise).not.toContain('\n');
    off();
    const seen = lines.length;
    const other = new Promise<string>((resolve) => jarvis.server.on('log', resolve));
    await repo.dispose();
    await repo.warm();
    await other;
    expect(lines).toHaveLength(seen);
  });

  it('gives the server the environment of the options, and no more', () => {
    const environment = readFileSync(`/proc/${jarvis.server.pid}/environ`, 'utf8').split('\0');
    expect(environment).toContain(`HOME=${real.env['HOME']}`);
    expect(environment).toContain(`JARVIS_TEST_MARKER=${real.marker}`);
    expect(environment.filter((variable) => variable.startsWith('VITEST'))).toEqual([]);
  });

  it.each(['/proc/nope', '/dev/null'])(
    'says what to do about a TMPDIR of %s, where nobody can make a directory',
    async (TMPDIR) => {
      const env = { ...real.startOptions.env, TMPDIR, JARVIS_TEST_MARKER: marker };
      const error = await failure({ ...real.startOptions, env });
      expect(error).toBeInstanceOf(ServerStartError);
      expect((error as Error).message).toContain(`because it cannot write to "${TMPDIR}/opencode"`);
      expect((error as Error).message).toContain('Set TMPDIR to a directory');
    },
  );

  it('lets a host with unref end by itself after its calls and turns, and leaves nothing', async () => {
    await using repo = await gitRepo();
    const env = { ...real.startOptions.env, JARVIS_TEST_MARKER: marker };
    await using host = startHost(
      `const jarvis = await JarvisOpenCode.start(options);
       const repo = jarvis.forRepo(${JSON.stringify(repo.directory)});
       repo.hold('a lease');
       const session = await repo.sessions.create();
       for await (const step of session.stream('Say hello.')) if (step.type === 'text') say(step.delta.trim());
       say((await session.shell('sleep 1; echo from the shell')).output.trim());
       void (async () => {
         for await (const event of jarvis.events()) if (event.type === 'never') break;
       })();`,
      { options: { ...real.startOptions, env, unref: true } },
    );
    expect(await host.ended).toEqual({ code: 0, signal: null });
    expect(host.said()).toEqual(['ok', 'from the shell']);
    await waitForNone(marker);
    await host.childrenGone();
  });

  it('names a taken port and leaves its owner alone', async () => {
    await using owner = await portOwner(0);
    const { port } = owner;
    const env = { ...real.startOptions.env, JARVIS_TEST_MARKER: marker };
    const error = await failure({ ...real.startOptions, env, port });
    expect(error).toBeInstanceOf(ServerStartError);
    expect(error).toMatchObject({ exitCode: 1, command: expect.stringContaining(`--port ${port}`) });
    expect((error as Error).message).toContain(`port ${port} of 127.0.0.1 is taken by another process`);
    expect((error as ServerStartError).recentOutput.join('\n')).toMatch(/port|serve/i);
    expect(owner.requests).toEqual([]);
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await response.text()).toBe('mine');
  });

  it('accepts address, working directory, port and password of the caller, and still finds its binary', async () => {
    const port = await freePort();
    const cwd = realpathSync(real.root);
    const env = { ...real.startOptions.env, PATH: '/usr/bin:/bin', JARVIS_TEST_MARKER: marker };
    await using other = await JarvisOpenCode.start({
      ...real.startOptions,
      env,
      cwd,
      hostname: '::1',
      port,
      password: PASSWORD,
    });
    expect(other.server.url).toBe(`http://[::1]:${port}`);
    expect(realpathSync(`/proc/${other.server.pid}/cwd`)).toBe(cwd);
    expect(other.server.authorization).toBe(`Basic ${TOKEN}`);
    expect(other.server.authorization).not.toBe(jarvis.server.authorization);
    await expect(other.global.health()).resolves.toMatchObject({ healthy: true });
    await using guest = await JarvisOpenCode.connect({ url: other.server.url, password: PASSWORD });
    expect(guest.server.version).toBe(other.server.version);
    const refused = JarvisOpenCode.connect({ url: other.server.url, password: 'another' });
    await expect(refused).rejects.toBeInstanceOf(RequestError);
  });

  it('starts a server on all addresses only with a password of the caller, and uses it on this machine', async () => {
    const env = { ...real.startOptions.env, JARVIS_TEST_MARKER: marker };
    await using other = await JarvisOpenCode.start({
      ...real.startOptions,
      env,
      hostname: '0.0.0.0',
      password: PASSWORD,
      cors: ['https://app.example.com'],
    });
    expect(other.server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const allowed = async (origin: string): Promise<string | null> => {
      const headers = { origin, authorization: `Basic ${TOKEN}` };
      const response = await fetch(`${other.server.url}/global/health`, { headers });
      return response.headers.get('access-control-allow-origin');
    };
    expect(await allowed('https://app.example.com')).toBe('https://app.example.com');
    expect(await allowed('https://other.example.com')).toBeNull();
  });

  it('keeps the last lines of the server, which tell no password', async () => {
    const { server } = jarvis;
    await jarvis.forRepo(real.root).warm();
    const lines = await until(() => (server.recentOutput?.length ? server.recentOutput : undefined));
    const password = atob((server.authorization as string).replace('Basic ', '')).replace('opencode:', '');
    expect(lines.length).toBeLessThanOrEqual(200);
    expect(lines.join('\n')).toContain('opencode server listening on');
    expect(lines.join('\n')).not.toContain(password);
  });
});
