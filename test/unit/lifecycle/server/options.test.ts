import { describe, expect, it } from 'vitest';
import { parseServerOptions, type ServerOptions } from '../../../../src/lifecycle/server/options.js';

const parse = (options: unknown): ReturnType<typeof parseServerOptions> =>
  parseServerOptions(options as ServerOptions);

function refusal(options: unknown): Error {
  try {
    parse(options);
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was accepted');
}

describe('the options of a server', () => {
  it('fills in server options that let nobody else in', () => {
    const plan = parse({});
    expect(plan.args).toEqual(['serve', '--hostname', '127.0.0.1', '--port', '0']);
    expect(plan.password).toMatch(/^[\w-]{43}$/);
    expect(plan.password).not.toBe(parse({}).password);
    expect(plan.env).toMatchObject({
      OPENCODE_SERVER_PASSWORD: plan.password,
      OPENCODE_SERVER_USERNAME: 'opencode',
    });
    expect(plan.args.join(' ')).not.toContain(plan.password);
    expect(plan.directories).toEqual([]);
  });

  it('keeps the command prefix, and refuses one that is no list of texts', () => {
    expect(parse({}).wrap).toEqual([]);
    expect(parse({ wrap: ['nice', '-n', '5'] }).wrap).toEqual(['nice', '-n', '5']);
    for (const wrap of ['nice', [''], ['nice', 5], ['a\0b']])
      expect(refusal({ wrap })).toBeInstanceOf(TypeError);
  });

  it('fills in what another user needs: a home, its variables and a cwd; its own env wins but for HOME', () => {
    const user = { uid: 54_321, gid: 54_321 };
    const plan = parse({ user, dataDir: '/data', env: { HOME: '/root', TMPDIR: undefined } });
    expect(plan.env).toMatchObject({
      HOME: '/data/home',
      USER: '54321',
      TMPDIR: '/data/tmp',
      XDG_DATA_HOME: '/data/data',
    });
    expect(plan.cwd).toBe('/data/home');
    expect(plan.directories).toContain('/data/tmp');
    const named = parse({
      user: { ...user, home: '/home/x' },
      dataDir: '/data',
      cwd: '/srv',
      env: { TMPDIR: '/tmp/x' },
    });
    expect(named.env).toMatchObject({ HOME: '/home/x', TMPDIR: '/tmp/x' });
    expect(named.cwd).toBe('/srv');
    expect(refusal({ user })).toBeInstanceOf(TypeError);
  });

  it('exempts loopback addresses from a proxy in the environment of the server', () => {
    const env = { HTTP_PROXY: 'http://proxy.example:3128', NO_PROXY: 'localhost:80', no_proxy: undefined };
    expect(parseServerOptions({ env }).env).toMatchObject({
      HTTP_PROXY: 'http://proxy.example:3128',
      NO_PROXY: 'localhost:80,127.0.0.1,localhost,::1,[::1]',
    });
  });

  it('merges env over that of this process, and removes a variable that is undefined', () => {
    process.env['JARVIS_A'] = 'a';
    process.env['JARVIS_B'] = 'b';
    try {
      const { env } = parse({ env: { JARVIS_A: undefined, JARVIS_C: 'c' } });
      expect(env).not.toHaveProperty('JARVIS_A');
      expect(env).toMatchObject({ JARVIS_B: 'b', JARVIS_C: 'c' });
      expect(process.env['JARVIS_A']).toBe('a');
    } finally {
      delete process.env['JARVIS_A'];
      delete process.env['JARVIS_B'];
    }
  });

  it('puts dataDir, config and trust over env', () => {
    const plan = parse({
      env: { XDG_DATA_HOME: '/elsewhere', OPENCODE_DISABLE_PROJECT_CONFIG: undefined },
      dataDir: '/srv/data',
      config: { model: 'a/b' },
      trustProjectConfig: false,
    });
    expect(plan.env).toMatchObject({
      XDG_DATA_HOME: '/srv/data/data',
      XDG_CONFIG_HOME: '/srv/data/config',
      XDG_STATE_HOME: '/srv/data/state',
      XDG_CACHE_HOME: '/srv/data/cache',
      OPENCODE_CONFIG_CONTENT: '{"model":"a/b"}',
      OPENCODE_DISABLE_PROJECT_CONFIG: '1',
    });
    expect(plan.directories).toHaveLength(4);
  });

  it('trusts the configuration of repositories by default, as OpenCode does', () => {
    expect(parse({ env: { OPENCODE_DISABLE_PROJECT_CONFIG: undefined } }).env).not.toHaveProperty(
      'OPENCODE_DISABLE_PROJECT_CONFIG',
    );
  });

  it('lists the origins that may call, and no other', () => {
    const { args } = parse({
      cors: ['https://app.example.com', 'tauri://localhost'],
      args: ['--print-logs'],
    });
    expect(args.slice(5)).toEqual([
      ...['--cors', 'https://app.example.com', '--cors', 'tauri://localhost'],
      '--print-logs',
    ]);
  });

  it.each(['127.0.0.1', '127.0.0.2', 'localhost', '::1'])('needs no password for %s', (hostname) => {
    expect(parse({ hostname }).password).not.toBe('');
  });

  it.each(['0.0.0.0', '::', '192.168.1.7', 'myhost', '127.0.0.1.example.com', 'localhost.example.com'])(
    'needs a password for %s',
    (hostname) => {
      expect(refusal({ hostname })).toBeInstanceOf(TypeError);
      expect(refusal({ hostname }).message).toMatch(/^Expected password to be given for the hostname/);
      expect(parse({ hostname, password: 'chosen' }).hostname).toBe(hostname);
    },
  );

  it.each<[options: object, type: ErrorConstructor, message: RegExp]>([
    [{ startTimeoutMs: '5' }, TypeError, /^Expected startTimeoutMs to be .*got "5" \(string\)/],
    [{ port: '80' }, TypeError, /^Expected port to be .*got "80" \(string\)/],
    [{ port: 65_536 }, RangeError, /^Expected port to be .*got 65536/],
    [{ hostname: '' }, TypeError, /^Expected hostname to be/],
    [{ hostname: 5 }, TypeError, /^Expected hostname to be/],
    [{ cwd: '' }, TypeError, /^Expected cwd to be/],
    [{ command: 5 }, TypeError, /^Expected command to be/],
    [{ password: 'a\0b' }, TypeError, /^Expected password to be/],
    [{ args: '--print-logs' }, TypeError, /^Expected args to be an array of strings/],
    [{ args: [5] }, TypeError, /^Expected args to be an array of strings/],
    [{ args: ['--hostname', '0.0.0.0'] }, TypeError, /use the option hostname/],
    [{ args: ['--hostname=0.0.0.0'] }, TypeError, /use the option hostname/],
    [{ args: ['--port=5'] }, TypeError, /use the option port/],
    [{ args: ['--cors', 'https://a.example'] }, TypeError, /use the option cors/],
    [{ cors: 'https://a.example' }, TypeError, /^Expected cors to be an array/],
    [{ cors: ['*'] }, TypeError, /^Expected cors to be origins .*got "\*"/],
    [{ cors: ['https://a.example/path'] }, TypeError, /^Expected cors to be origins/],
    [{ cors: ['--mdns'] }, TypeError, /^Expected cors to be origins/],
    [{ dataDir: '' }, TypeError, /^Expected dataDir to be/],
    [{ env: { A: 5 } }, TypeError, /^Expected env.A to be a string or undefined, got number/],
    [{ config: 'x' }, TypeError, /^Expected config to be an object/],
    [{ config: [] }, TypeError, /^Expected config to be an object/],
    [{ trustProjectConfig: 'no' }, TypeError, /^Expected trustProjectConfig to be a boolean/],
  ])('refuses the server options %j', (options, type, message) => {
    expect(refusal(options)).toBeInstanceOf(type);
    expect(refusal(options).message).toMatch(message);
  });

  it('shows no password in the error about wrong server options', () => {
    expect(refusal({ password: 'trout\0fish' }).message).not.toContain('trout');
  });
});
