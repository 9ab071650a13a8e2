import { afterEach, describe, expect, it } from 'vitest';
import { JarvisOpenCode, type ServerHandle } from '../../../src/index.js';
import { ask, mockOpenCode, realOpenCode, reasoning, retry, subtask, text } from '../../../src/testing.js';
import { nearest } from '../../../src/core/checks.js';
import { fakeHandle } from '../../support/server-handle.js';

/** What a call throws or rejects with. */
async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

const NOBODY = 'http://127.0.0.1:1';
const start = (options: unknown) => () => JarvisOpenCode.start(options as object);
const connect = (options: object) => () => JarvisOpenCode.connect({ url: NOBODY, ...options });

const mocks: Disposable[] = [];
afterEach(() => {
  for (const mock of mocks.splice(0)) mock[Symbol.dispose]();
});

/** A client that sends nothing: whoever sends a request fails the test. */
async function set() {
  const sent: string[] = [];
  const mock = mockOpenCode();
  mocks.push(mock);
  const handle: ServerHandle = fakeHandle();
  const jarvis = new JarvisOpenCode(handle, {
    fetch: async (input) => {
      sent.push(new Request(input).url);
      throw new TypeError('fetch failed');
    },
  });
  const repo = jarvis.forRepo('/repo');
  return { sent, mock, jarvis, repo, session: repo.sessions.session('ses_1') };
}
const wrong = (options: object): never => options as never;

describe('an unknown option', () => {
  it.each<[call: () => unknown, message: string]>([
    [start({ idel: {} }), "Unknown option 'idel' of JarvisOpenCode.start(); did you mean 'idle'?"],
    [
      start({ dataDirectory: undefined }),
      "Unknown option 'dataDirectory' of JarvisOpenCode.start(); did you mean 'dataDir'?",
    ],
    [start({ idle: { maxloaded: 2 } }), "Unknown option 'maxloaded' of idle; did you mean 'maxLoaded'?"],
    [
      start({ turns: { concurency: 2 } }),
      "Unknown option 'concurency' of turns; did you mean 'concurrency'?",
    ],
    [
      start({ restart: { attempts: 2 } }),
      "Unknown option 'attempts' of restart; did you mean 'maxAttempts'?",
    ],
    [start({ health: { timeout: 2 } }), "Unknown option 'timeout' of health; did you mean 'timeoutMs'?"],
    [
      start({ permissions: { decide: () => 'ask', timeout: 5 } }),
      "Unknown option 'timeout' of permissions; did you mean 'timeoutMs'?",
    ],
    [
      start({ ['__proto__x']: 1 }),
      "Unknown option '__proto__x' of JarvisOpenCode.start(); it takes command, wrap, user, args, ",
    ],
    [start(Object.create({ paswword: 'x' })), "did you mean 'password'?"],
    [
      connect({ pathes: 'local' }),
      "Unknown option 'pathes' of JarvisOpenCode.connect(); did you mean 'paths'?",
    ],
    [connect({ env: {} }), "Unknown option 'env' of JarvisOpenCode.connect(); it takes "],
    [
      () => new JarvisOpenCode(fakeHandle(), wrong({ lgger: 1 })),
      "Unknown option 'lgger' of new JarvisOpenCode(); did you mean 'logger'?",
    ],
    [
      () => mockOpenCode(wrong({ agent: [] })),
      "Unknown option 'agent' of mockOpenCode(); did you mean 'agents'?",
    ],
    [() => realOpenCode(wrong({ ask: [] })), "Unknown option 'ask' of realOpenCode(); did you mean 'asks'?"],
    [() => text('a', wrong({ chunk: 1 })), "Unknown option 'chunk' of text(); did you mean 'chunks'?"],
    [
      () => reasoning('a', wrong({ delay: 1 })),
      "Unknown option 'delay' of reasoning(); did you mean 'delayMs'?",
    ],
    [() => retry('a', wrong({ after: 1 })), "Unknown option 'after' of retry(); did you mean 'afterMs'?"],
    [
      () => subtask('a', wrong({ agents: 'x' })),
      "Unknown option 'agents' of subtask(); did you mean 'agent'?",
    ],
    [
      () => ask('bash', {}, wrong({ pattern: [] })),
      "Unknown option 'pattern' of ask(); did you mean 'patterns'?",
    ],
  ])(
    'rejects an unknown option with a TypeError that names it and the nearest one, before anything is started: %#',
    async (call, message) => {
      const error = await failure(call);
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toContain(message);
    },
  );

  it('refuses an unknown option in every call that takes options, before anything is sent', async () => {
    const { sent, mock, jarvis, repo, session } = await set();
    const calls: [call: () => unknown, key: string, meant: string][] = [
      [() => repo.sessions.list({}, wrong({ timeout: 1 })), 'timeout', 'timeoutMs'],
      [() => repo.sessions.create({}, wrong({ jarvisSession: 'a' })), 'jarvisSession', 'jarvisSessionID'],
      [() => session.messages({}, wrong({ singal: 1 })), 'singal', 'signal'],
      [() => session.summarize({ providerID: 'a', modelID: 'b' }, wrong({ retries: 1 })), 'retries', 'retry'],
      [() => session.prompt('a', wrong({ stallTimeout: 1 })), 'stallTimeout', 'stallTimeoutMs'],
      [() => session.prompt('a', wrong({ retry: 1 })), 'retry', 'a turn; it takes'],
      [() => session.stream('a', wrong({ onPermissions: 'ask' })), 'onPermissions', 'onPermission'],
      [() => session.events(wrong({ sessionID: 'ses_2' })), 'sessionID', 'it takes'],
      [() => repo.events(wrong({ type: [] })), 'type', 'types'],
      [() => jarvis.events(wrong({ buffer: 5 })), 'buffer', 'bufferSize'],
      [() => repo.dispose(wrong({ forced: true })), 'forced', 'force'],
      [() => jarvis.global.dispose(wrong({ force: true })), 'force', 'it takes'],
      [() => jarvis.global.config.update({}, wrong({ timeout: 1 })), 'timeout', 'timeoutMs'],
      [() => repo.config.update({}, wrong({ timeout: 1 })), 'timeout', 'timeoutMs'],
      [() => repo.worktrees.create({}, wrong({ timeout: 1 })), 'timeout', 'timeoutMs'],
      [() => repo.pty.connect('pty_1', wrong({ cursr: 1 })), 'cursr', 'cursor'],
      [() => repo.tui.controlNext(wrong({ timeout: 1 })), 'timeout', 'timeoutMs'],
      [() => jarvis.sessions.reconcile(wrong({ timeout: 1 })), 'timeout', 'timeoutMs'],
      [() => jarvis.close(wrong({ grace: 1 })), 'grace', 'graceMs'],
      [() => mock.reply('a', wrong({ dir: '/a' })), 'dir', 'directory'],
      [() => mock.failRequest('GET /session', wrong({ time: 2 })), 'time', 'times'],
    ];
    for (const [call, key, meant] of calls) {
      const error = await failure(call);
      expect(error, key).toBeInstanceOf(TypeError);
      expect((error as Error).message).toMatch(new RegExp(`^Unknown option '${key}' of .*${meant}`));
    }
    expect(sent).toEqual([]);
    await jarvis.close();
  });
});

describe('an option of the wrong shape', () => {
  it.each<[options: object, message: string]>([
    [{ idle: 7 }, 'Expected idle to be an object or false, got 7 (number).'],
    [{ idle: true }, 'Expected idle to be an object or false, got true (boolean).'],
    [{ idle: { maxLoaded: '4' } }, 'Expected idle.maxLoaded to be a positive integer, got "4" (string).'],
    [{ turns: 7 }, 'Expected the options of turns to be an object, got 7 (number).'],
    [
      { turns: { concurrency: '2' } },
      'Expected turns.concurrency to be a positive integer or Infinity, got "2" (string).',
    ],
    [{ restart: 'yes' }, 'Expected restart to be an object or false, got "yes" (string).'],
    [{ health: [] }, 'Expected health to be an object or false, got an array.'],
    [{ paths: 'locl' }, "Expected paths to be 'local' or 'remote', got \"locl\" (string)."],
    [
      { logger: {} },
      'Expected logger to be a logger with the methods debug, info, warn, error, got an object without debug, info, warn, error.',
    ],
    [
      { logger: console.log },
      'Expected logger to be a logger with the methods debug, info, warn, error, got a function.',
    ],
    [{ signal: {} }, 'Expected signal to be an AbortSignal, got object.'],
    [{ fetch: 5 }, 'Expected fetch to be a function, got 5 (number).'],
    [{ webSocket: 'ws' }, 'Expected webSocket to be a function, got "ws" (string).'],
    [
      { clock: {} },
      'Expected clock to be a clock with the methods now, after, got an object without now, after.',
    ],
    [{ env: 5 }, 'Expected env to be an object, got number.'],
    [{ config: 'x' }, 'Expected config to be an object, got string.'],
    [{ args: 'x' }, 'Expected args to be an array of strings, got "x" (string).'],
    [{ policyScope: 'mine' }, "Expected policyScope to be 'own' or 'all', got \"mine\" (string)."],
    [{ command: null }, 'Expected command to be a string, got null.'],
    [{ restore: { version: 1 } }, 'Expected what snapshot() gave'],
    [{ command: 'x'.repeat(5_000), args: 'y'.repeat(5_000) }, 'got "yyy'],
  ])(
    'rejects an option of the wrong shape with a TypeError that shows its value and type, before anything is started: %#',
    async (options, message) => {
      const error = await failure(start({ command: '/nonexistent', ...options }));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toContain(message);
      expect((error as Error).message.length).toBeLessThan(400);
    },
  );

  it.each([5, 'x', null, [], () => undefined])(
    'rejects with a TypeError when all options are %o',
    async (options) => {
      const error = await failure(start(options));
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toMatch(
        /^Expected the options of JarvisOpenCode.start\(\) to be an object/,
      );
    },
  );

  it('shows nothing of headers, environment and password, which may be secret, in a TypeError', async () => {
    const { repo, jarvis } = await set();
    const errors = [
      await failure(() => repo.path(wrong({ headers: 'trout' }))),
      await failure(start({ env: 'trout' })),
      await failure(start({ password: 'trout\0' })),
      await failure(start({ config: 'trout' })),
    ];
    for (const error of errors) {
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).not.toContain('trout');
    }
    await jarvis.close();
  });

  it('rejects an option of the right type but out of bounds with a RangeError', async () => {
    expect(await failure(start({ idle: { maxLoaded: 0 } }))).toBeInstanceOf(RangeError);
    expect(await failure(start({ port: -1 }))).toBeInstanceOf(RangeError);
    expect(await failure(connect({ timeoutMs: -1 }))).toBeInstanceOf(RangeError);
  });
});

describe('the nearest name', () => {
  it.each([
    ['idel', 'idle'],
    ['IDLE', 'idle'],
    ['idleTimeoutMs', 'idle'],
    ['max', undefined],
    ['', undefined],
    ['x'.repeat(100_000), undefined],
  ])('finds for the name %.20s the nearest name %s', (key, name) => {
    expect(nearest(key, ['idle', 'turns', 'permissions'])).toBe(name);
  });
});
