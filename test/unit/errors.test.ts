import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import {
  ClosedError,
  ConnectionError,
  DisposeRefusedError,
  FilePathError,
  OperationRefusedError,
  JarvisError,
  RepoPathError,
  RepoBoundError,
  RepoPlacedError,
  RequestError,
  ResponseShapeError,
  ResponseTooLargeError,
  RevertError,
  ServerLostError,
  ServerStartError,
  SessionAlreadyBoundError,
  SessionDirectoryError,
  RemoteTurnError,
  SessionNotBoundError,
  TimeoutError,
  TurnError,
  UnsupportedOperationError,
  UnsupportedServerError,
  UseDeadlockError,
  isJarvisError,
  toProblem,
  type RepoPathReason,
  type TurnErrorReason,
} from 'jarvis-opencode';
import * as api from 'jarvis-opencode';
import { isPermanent } from '../../src/errors.js';

const target = { method: 'POST', path: '/session/ses_1/prompt_async' };
const cause = new Error('the cause');
const turn = { sessionID: 'ses_1', messageID: 'msg_1' };
const turnHold = { kind: 'turn', detail: 'ses_1', since: 0 } as const;

/** One of each, with the code that is promised for it. */
const errors: readonly (readonly [name: string, code: string, error: JarvisError])[] = [
  ['RequestError', 'REQUEST_FAILED', new RequestError({ ...target, status: 404 }, { cause })],
  ['ConnectionError', 'CONNECTION_FAILED', new ConnectionError(target, { cause })],
  ['TimeoutError', 'TIMEOUT', new TimeoutError('Work', { phase: 'request', timeoutMs: 5 }, { cause })],
  ['ResponseShapeError', 'RESPONSE_SHAPE', new ResponseShapeError(target, [], { cause })],
  ['ResponseTooLargeError', 'RESPONSE_TOO_LARGE', new ResponseTooLargeError(target, 5, { cause })],
  ['RepoPathError', 'REPO_PATH', new RepoPathError('/srv', 'not-found', { cause })],
  ['FilePathError', 'FILE_PATH', new FilePathError('/srv/a', 'not-found', { cause })],
  [
    'SessionDirectoryError',
    'SESSION_DIRECTORY',
    new SessionDirectoryError({ sessionID: 'ses_1', expected: '/srv/a', found: '/srv/b' }),
  ],
  ['SessionNotBoundError', 'SESSION_NOT_BOUND', new SessionNotBoundError('chat-1')],
  [
    'SessionAlreadyBoundError',
    'SESSION_ALREADY_BOUND',
    new SessionAlreadyBoundError({ jarvisSessionID: 'chat-1', sessionID: 'ses_1', directory: '/srv/a' }),
  ],
  [
    'RepoPlacedError',
    'REPO_PLACED',
    new RepoPlacedError({ directory: '/srv/a', server: 'main', requested: 'heavy' }, { cause }),
  ],
  [
    'RepoBoundError',
    'REPO_BOUND',
    new RepoBoundError({ directory: '/srv/a', server: 'main', requested: 'heavy', bindings: [] }, { cause }),
  ],
  [
    'RevertError',
    'REVERT_FAILED',
    new RevertError({ reason: 'unknown-message', sessionID: 'ses_1', messageID: 'msg_1' }, { cause }),
  ],
  ['TurnError', 'TURN_FAILED', new TurnError({ ...turn, reason: 'failed' }, { cause })],
  [
    'RemoteTurnError',
    'REMOTE_TURN_FAILED',
    new RemoteTurnError({ type: 'about:blank', title: 'Bad Gateway', status: 502, detail: 'No.' }, { cause }),
  ],
  ['DisposeRefusedError', 'DISPOSE_REFUSED', new DisposeRefusedError('/srv', [turnHold], { cause })],
  [
    'UseDeadlockError',
    'USE_DEADLOCK',
    new UseDeadlockError('/srv/b', [{ directory: '/srv/a', waitsFor: '/srv/b' }], { cause }),
  ],
  [
    'OperationRefusedError',
    'OPERATION_REFUSED',
    new OperationRefusedError({ ...target, why: 'it ends work', instead: 'repo.dispose()' }),
  ],
  ['ServerStartError', 'SERVER_START', new ServerStartError({ message: 'No.', command: 'x' }, { cause })],
  ['ServerLostError', 'SERVER_LOST', new ServerLostError('The work', { cause })],
  ['UnsupportedServerError', 'UNSUPPORTED_SERVER', new UnsupportedServerError('2.0.0', '1.18', { cause })],
  ['UnsupportedOperationError', 'UNSUPPORTED_OPERATION', new UnsupportedOperationError('session.todos()', 2)],
  ['ClosedError', 'CLOSED', new ClosedError()],
];

describe('every error', () => {
  it('lists every error that the package exports', () => {
    const exported = Object.entries(api)
      .filter(([, value]) => typeof value === 'function' && value.prototype instanceof Error)
      .map(([name]) => name)
      .filter((name) => name !== 'JarvisError');
    expect(errors.map(([name]) => name).sort()).toEqual(exported.sort());
  });

  it.each(errors)('gives %s its name and its code %s, and makes it a JarvisError', (name, code, error) => {
    expect(error).toBeInstanceOf(JarvisError);
    expect(error).toBeInstanceOf(Error);
    expect(error.constructor.name).toBe(name);
    expect(error).toMatchObject({ name, code });
    expect(error.stack).toContain(error.message);
  });

  it('gives each error a code of its own', () => {
    expect(new Set(errors.map(([, code]) => code)).size).toBe(errors.length);
  });

  it.each(errors)('writes the message of %s in sentences', (_name, _code, error) => {
    expect(error.message).toMatch(/^\S.*[.!?]$/s);
    expect(error.message).not.toMatch(/undefined|\[object|NaN/);
  });

  it.each(errors.filter(([, , error]) => 'cause' in error))(
    'keeps the cause of %s',
    (_name, _code, error) => {
      expect(error.cause).toBe(cause);
      expect(Object.keys(error)).not.toContain('cause');
    },
  );

  it.each([
    new ClosedError(),
    new ServerLostError('The work'),
    new RequestError({ ...target, status: 500 }),
    new TurnError({ ...turn, reason: 'failed' }),
  ])('sets no cause on $name when it is made without one', (error) => {
    expect(error).not.toHaveProperty('cause');
  });
});

/** `[[[…]]]` */
function nested(depth: number): unknown {
  return JSON.parse('['.repeat(depth) + ']'.repeat(depth));
}

describe('errors of two copies of the library', () => {
  /** Evaluates the library again, as a development server does. */
  async function anotherCopy(): Promise<typeof api> {
    vi.resetModules();
    const copy = await import('jarvis-opencode');
    expect(copy.JarvisError).not.toBe(JarvisError);
    return copy;
  }

  it('recognises each error by its class of the other copy, and by no other class', async () => {
    const copy = await anotherCopy();
    const classes = copy as unknown as Record<string, new () => JarvisError>;
    for (const [name, , error] of errors) {
      const names = [...errors.map(([each]) => each), 'JarvisError'];
      const matching = names.filter((each) => error instanceof (classes[each] as new () => JarvisError));
      expect(matching).toEqual([name, 'JarvisError']);
      expect(copy.isJarvisError(error)).toBe(true);
    }
  });

  it('recognises an error of the other copy as that of a base class, but not of a subclass', async () => {
    const copy = await anotherCopy();
    class GoneError extends RequestError {}
    const gone = new GoneError({ ...target, status: 410 });
    const refused = new copy.RequestError({ ...target, status: 410 });
    expect(gone).toBeInstanceOf(GoneError);
    expect(gone).toBeInstanceOf(RequestError);
    expect(gone).toBeInstanceOf(copy.RequestError);
    expect(gone).toBeInstanceOf(copy.JarvisError);
    expect(gone).not.toBeInstanceOf(copy.TurnError);
    expect(refused).toBeInstanceOf(RequestError);
    expect(refused).not.toBeInstanceOf(GoneError);
    expect(new RequestError({ ...target, status: 410 })).not.toBeInstanceOf(GoneError);
  });

  it('takes an error with an unknown code, of another version, for a JarvisError', async () => {
    const copy = await anotherCopy();
    class NewError extends copy.JarvisError {
      override readonly name = 'NewError';
      override readonly code = 'NEW' as never;
    }
    const error = new NewError('It is new.');
    expect(isJarvisError(error)).toBe(true);
    expect(error).not.toBeInstanceOf(RequestError);
  });

  it.each([
    undefined,
    null,
    'TURN_FAILED',
    new Error('no'),
    { name: 'TurnError', code: 'TURN_FAILED' },
    TurnError,
    JarvisError.prototype,
  ])('takes nothing else for an error of the library: %s', (value) => {
    expect(isJarvisError(value)).toBe(false);
    expect(value instanceof JarvisError).toBe(false);
  });

  it('shows no mark of the copies on an error', () => {
    const error = new ClosedError();
    expect(Object.getOwnPropertySymbols(error)).toEqual([]);
    expect(Object.keys(error).sort()).toEqual(['code', 'isDraining', 'name']);
    expect(Object.keys(error.toJSON()).sort()).toEqual(['code', 'isDraining', 'message', 'name']);
  });
});

describe('an error of a large or deep answer', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const wide = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, key) => [`key ${key}`, 'x'.repeat(5_000)]),
  );

  it.each<[what: string, body: unknown]>([
    ['a depth bomb', nested(30_000)],
    ['a circle', circular],
    ['many fields', wide],
    ['fields of many fields', Array.from({ length: 50 }, () => Array.from({ length: 50 }, () => wide))],
    ['a long text', 'x'.repeat(5_000_000)],
    ['a long name', { name: 'n'.repeat(5_000_000), data: { message: 'm'.repeat(5_000_000) } }],
    ['a long field', { ['k'.repeat(5_000_000)]: 1n }],
  ])('keeps the message and the JSON of an error short: %s', (_what, body) => {
    const request = new RequestError({ ...target, status: 400, body });
    const turnError = new TurnError({ ...turn, reason: 'failed', serverError: { name: 'E', data: body } });
    for (const error of [request, turnError]) {
      expect(error.message.length).toBeLessThan(1_000);
      expect(JSON.stringify(error).length).toBeLessThan(250_000);
    }
    expect(request.body).toBe(body);
  });

  it('names ten issues and ten holds at most in an error, each of them short', () => {
    const issues = Array.from({ length: 1_000 }, () => ({
      path: 'p'.repeat(10_000),
      message: 'm'.repeat(10_000),
    }));
    const shape = new ResponseShapeError(target, issues);
    const refused = new DisposeRefusedError(
      '/srv',
      Array.from({ length: 1_000 }, () => turnHold),
    );
    expect(shape.issues).toHaveLength(10);
    expect(inspect(shape).length + inspect(refused).length).toBeLessThan(50_000);
    expect(shape.message.length + refused.message.length).toBeLessThan(3_000);
    expect(refused.message).toContain('turn ses_1, 990 more');
  });

  it('writes the fields of an error into its JSON', () => {
    const body = { name: 'NotFoundError', data: { message: 'gone' } };
    const error = new RequestError({ ...target, status: 404, body });
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({
      ...target,
      name: 'RequestError',
      code: 'REQUEST_FAILED',
      message: error.message,
      status: 404,
      body,
    });
  });
});

describe('RequestError', () => {
  it('ends its message with the advice it is given', () => {
    const body = { name: 'UnknownError', data: { message: 'Unexpected server error.', ref: 'err_1' } };
    const error = new RequestError({ ...target, status: 500, body, advice: 'Look into the log.' });
    expect(error.message).toMatch(/\(UnknownError: Unexpected server error\.\)\. Look into the log\.$/);
  });

  it("names in a RequestError what failed, how, and the server's name for it", () => {
    const body = { name: 'NotFoundError', data: { message: 'Session not found: ses_1' } };
    const error = new RequestError({ ...target, status: 404, body });
    expect(error).toMatchObject({ ...target, status: 404, body, serverError: 'NotFoundError' });
    expect(error.message).toBe(
      'POST /session/ses_1/prompt_async failed with status 404 (NotFoundError: Session not found: ses_1).',
    );
  });

  it.each<[body: unknown, serverError: string | undefined, detail: string]>([
    [{ _tag: 'SessionBusyError', message: 'busy' }, 'SessionBusyError', ' (SessionBusyError: busy)'],
    [{ _tag: 'BadRequest' }, 'BadRequest', ' (BadRequest)'],
    [{ name: 'A', data: null }, 'A', ' (A)'],
    [{ name: 'A', data: { message: 5 } }, 'A', ' (A)'],
    [{ name: 5 }, undefined, ''],
    [{ message: 'plain' }, undefined, ' (plain)'],
    ['  text\n', undefined, ' (text)'],
    ['', undefined, ''],
    [undefined, undefined, ''],
    [null, undefined, ''],
    [[], undefined, ''],
    [42, undefined, ''],
  ])('reads the body %j of a RequestError', (body, serverError, detail) => {
    const error = new RequestError({ ...target, status: 400, body });
    expect(error.serverError).toBe(serverError);
    expect(error.body).toBe(body);
    expect(error.message).toBe(`POST ${target.path} failed with status 400${detail}.`);
  });

  it.each([
    [
      { data: { path: '/r/a.json', message: '\n--- Errors ---\nInvalidSymbol at line 3, column 7\n' } },
      'line 3, column 7: InvalidSymbol',
    ],
    [
      { data: { path: '/r/a.json', issues: [{ path: ['mcp', 'a'], message: 'Expected x' }] } },
      'line 9: mcp.a: Expected x',
    ],
    [{ data: { path: '/r/a.json', message: 'bad file reference' } }, 'line 9: bad file reference'],
    [{ data: { path: '/r/a.json', issues: [null, { path: 5 }, 'x'] } }, 'line 9'],
  ])('names file, line and reason of the broken configuration %j', (body, text) => {
    const error = new RequestError({
      ...target,
      status: 400,
      body: { name: 'ConfigInvalidError', ...body },
      line: 9,
    });
    expect(error.message).toContain(`(ConfigInvalidError: "/r/a.json", ${text}).`);
  });

  it('cuts a long text in the message of a RequestError', () => {
    const error = new RequestError({ ...target, status: 502, body: 'x'.repeat(60_000) });
    expect(error.message.length).toBeLessThan(500);
    expect(error.body).toHaveLength(60_000);
  });

  it.each([
    [401, undefined, /username and password/],
    [302, undefined, /Redirects are not followed.*Connect to the address/],
    [200, undefined, /does not know this path.*OpenCode 1\.18/],
    [400, { name: 'ConfigInvalidError', data: { path: '/srv/opencode.json' } }, /Repair the configuration/],
    [400, { name: 'ConfigJsonError', data: {} }, /Repair the configuration/],
  ])('advises in a RequestError what to try after a %i with %j', (status, body, advice) => {
    expect(new RequestError({ ...target, status, body }).message).toMatch(advice);
  });
});

describe('ConnectionError', () => {
  it('names the cause of the cause in a ConnectionError, where fetch hides the reason', () => {
    const inner = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
    const error = new ConnectionError(target, { cause: new TypeError('fetch failed', { cause: inner }) });
    expect(error).toMatchObject(target);
    expect(error.message).toContain(`POST ${target.path} got no answer (connect ECONNREFUSED 127.0.0.1:1)`);
  });

  it.each([
    [new Error('socket hang up'), ' (socket hang up)'],
    [new AggregateError([], ''), ' (AggregateError)'],
    ['a string', ''],
    [undefined, ''],
  ])('adds to a ConnectionError the text of its cause, if there is any: %s', (reason, told) => {
    expect(new ConnectionError(target, { cause: reason }).message).toContain(`got no answer${told}.`);
  });

  it('names in a ConnectionError what a browser may have blocked, and what to do about it', () => {
    vi.stubGlobal('location', { href: 'https://app.example/' });
    vi.stubGlobal('process', { versions: {} });
    const { message } = new ConnectionError(target, { cause: new TypeError('Failed to fetch') });
    expect(message).toContain(
      'got no answer (Failed to fetch). Is the server still running at this address?',
    );
    expect(message).toMatch(/CORS, .*`cors`; CSP, .*`connect-src`; mixed content, .*https/);
  });

  it.each([
    ['Node', undefined],
    ['jsdom, whose fetch is that of Node', { href: 'http://localhost/' }],
  ])('leaves browsers out of a ConnectionError in %s', (_where, location) => {
    vi.stubGlobal('location', location);
    expect(new ConnectionError(target).message).toMatch(/at this address\?$/);
  });

  it('advises in a ConnectionError of a redirect what to do instead', () => {
    const error = new ConnectionError(target, { isRedirect: true });
    expect(error.isRedirect).toBe(true);
    expect(error.message).toMatch(/^POST .* was redirected by the server\. .*Connect to the address/);
    expect(new ConnectionError(target).isRedirect).toBe(false);
  });
});

describe('TimeoutError', () => {
  it('names in a TimeoutError what took too long, and which limit it met', () => {
    const error = new TimeoutError('GET /path', { phase: 'dispose', timeoutMs: 250 });
    expect(error).toMatchObject({ phase: 'dispose', timeoutMs: 250 });
    expect(error.message).toMatch(/^GET \/path took longer than 250 ms\. .*timeoutMs/);
  });
});

describe('ResponseShapeError', () => {
  const issues = Array.from({ length: 12 }, (_, index) => ({ path: `${index}.id`, message: 'is no string' }));

  it('keeps ten issues in a ResponseShapeError and shows three in its message', () => {
    const error = new ResponseShapeError(target, issues);
    expect(error).toMatchObject(target);
    expect(error.issues).toEqual(issues.slice(0, 10));
    expect(error.message).toContain('(0.id: is no string; 1.id: is no string; 2.id: is no string)');
    expect(error.message).not.toContain('3.id');
  });

  it('shows an issue of the whole body without a path', () => {
    const error = new ResponseShapeError(target, [{ path: '', message: 'the body is empty' }]);
    expect(error.message).toContain('(the body is empty)');
  });
});

describe('RepoPathError', () => {
  const reasons: readonly RepoPathReason[] = [
    'not-absolute',
    'not-found',
    'not-a-directory',
    'unreadable',
    'invalid',
    'plugins',
    'replaced',
    'backslash',
    'too-long',
    'data-directory',
    'owner',
  ];

  it('gives a RepoPathError another message for each reason, and quotes the path', () => {
    const path = 'a "b"\n\0';
    const made = reasons.map((reason) => new RepoPathError(path, reason));
    expect(made.map((error) => error.reason)).toEqual(reasons);
    for (const error of made) {
      expect(error.path).toBe(path);
      expect(error.message).toContain(JSON.stringify(path));
    }
    expect(new Set(made.map((error) => error.message)).size).toBe(reasons.length);
  });
});

describe('the errors of sessions', () => {
  it('names both directories in a SessionDirectoryError', () => {
    const error = new SessionDirectoryError({ sessionID: 'ses_1', expected: '/srv/a', found: '/srv/b' });
    expect(error).toMatchObject({ sessionID: 'ses_1', expected: '/srv/a', found: '/srv/b' });
    expect(error.message).toMatch(/ses_1 belongs to "\/srv\/b", not to "\/srv\/a"/);
  });

  it('names the jarvis session in a SessionNotBoundError', () => {
    const error = new SessionNotBoundError('chat "1"');
    expect(error.jarvisSessionID).toBe('chat "1"');
    expect(error.message).toContain('"chat \\"1\\""');
  });

  it('names the existing binding in a SessionAlreadyBoundError', () => {
    const existing = { jarvisSessionID: 'chat-1', sessionID: 'ses_1', directory: '/srv/a' };
    const error = new SessionAlreadyBoundError(existing);
    expect(error).toMatchObject(existing);
    for (const value of Object.values(existing)) expect(error.message).toContain(value);
    expect(error.message).toContain('unbind');
  });

  it('names who waits for whom in a UseDeadlockError, ten at most', () => {
    const waits = Array.from({ length: 12 }, (_, index) => ({ directory: `/${index}`, waitsFor: '/last' }));
    const error = new UseDeadlockError('/last', waits);
    expect(error).toMatchObject({ directory: '/last', waits });
    expect(error.message).toContain('("/0" waits for "/last", "/1" waits for "/last"');
    expect(error.message).toContain('"/9" waits for "/last", 2 more)');
  });

  it('says in a ClosedError whether what runs may still end', () => {
    const draining = new ClosedError(undefined, { isDraining: true });
    expect([draining.isDraining, new ClosedError().isDraining]).toEqual([true, false]);
    expect(draining.message).toContain('is closing: what runs may end, and nothing new begins');
  });

  it('names the holds in a DisposeRefusedError', () => {
    const error = new DisposeRefusedError('/srv/a', [turnHold, { kind: 'pty', detail: 'pty_1', since: 1 }]);
    expect(error).toMatchObject({ directory: '/srv/a', holds: [turnHold, { kind: 'pty' }] });
    expect(error.message).toContain('"/srv/a" is in use (turn ses_1, pty pty_1)');
  });
});

describe('TurnError', () => {
  const reasons: readonly TurnErrorReason[] = [
    'aborted',
    'interrupted',
    'unfinished',
    'not-started',
    'stalled',
    'unreachable',
    'refused',
    'provider',
    'failed',
  ];

  it('gives a TurnError another message for each reason', () => {
    const made = reasons.map((reason) => new TurnError({ ...turn, reason }));
    expect(made.map((error) => error.reason)).toEqual(reasons);
    for (const error of made) {
      expect(error).toMatchObject({ ...turn, serverError: undefined });
      expect(error.message).toContain('ses_1');
    }
    expect(new Set(made.map((error) => error.message)).size).toBe(reasons.length);
  });

  it("shows the server's own error in a TurnError", () => {
    const serverError = { name: 'APIError', data: { message: 'overloaded', statusCode: 529 } };
    const error = new TurnError({ ...turn, reason: 'provider', serverError });
    expect(error.serverError).toEqual(serverError);
    expect(error.message).toContain('(APIError: overloaded)');
  });
});

describe('the errors of the server process', () => {
  it('shows the last lines in a ServerStartError and keeps all that it was given', () => {
    const recentOutput = Array.from({ length: 8 }, (_, index) => `line ${index}`);
    const error = new ServerStartError({
      message: 'No.',
      command: 'opencode serve',
      exitCode: 3,
      recentOutput,
    });
    expect(error).toMatchObject({ command: 'opencode serve', exitCode: 3, recentOutput });
    expect(error.message).toBe('No. Last output:\n  line 3\n  line 4\n  line 5\n  line 6\n  line 7');
  });

  it('sets no exit code on a ServerStartError when the process did not exit by itself', () => {
    const error = new ServerStartError({ message: 'No.', command: 'opencode' });
    expect(error).toMatchObject({ exitCode: null, recentOutput: [], message: 'No.' });
  });

  it('names in an UnsupportedServerError the version that was found and the one that is needed', () => {
    const error = new UnsupportedServerError('2.0.0', 'OpenCode 1.18 or a later 1.x');
    expect(error).toMatchObject({ found: '2.0.0', supported: 'OpenCode 1.18 or a later 1.x' });
    expect(error.message).toMatch(/2\.0\.0 is not supported.*OpenCode 1\.18 or a later 1\.x/);
  });

  it('names in an UnsupportedServerError the operations that a server lacks', () => {
    const missing = ['POST /api/session', 'GET /api/form'];
    const error = new UnsupportedServerError('2.1.0', 'OpenCode 2', { missing });
    expect(error.missing).toEqual(missing);
    expect(error.message).toContain('It has no POST /api/session, no GET /api/form.');
  });

  it('names in an UnsupportedOperationError the operation and the major version of the server', () => {
    const error = new UnsupportedOperationError('session.todos()', 2);
    expect(error).toMatchObject({ operation: 'session.todos()', opencode: 2 });
    expect(error.message).toMatch(/^OpenCode 2 has nothing for session\.todos\(\)\./);
  });

  it('names in ServerLostError and ClosedError what ended', () => {
    expect(new ServerLostError('The work on the server').message).toMatch(
      /^The work on the server was cut off/,
    );
    expect(new ClosedError().message).toMatch(/^JarvisOpenCode is closed/);
    expect(new ClosedError('The stream').message).toMatch(/^The stream is closed/);
  });
});

describe('for logs', () => {
  it.each(errors)('prints %s as readable text', (name, code, error) => {
    expect(String(error)).toBe(`${name}: ${error.message}`);
    expect(inspect(error)).toContain(code);
  });

  it.each(errors)('keeps the code of %s in JSON', (_name, code, error) => {
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code });
  });
});

describe('what a server says', () => {
  it("shows on a RequestError the name, the data and the log reference of the server's error", () => {
    const body = { name: 'UnknownError', data: { message: 'Unexpected server error', ref: 'err_1' } };
    const error = new RequestError({ method: 'GET', path: '/x', status: 500, body });
    expect(error).toMatchObject({ serverError: 'UnknownError', data: body.data, ref: 'err_1' });
  });

  it.each([undefined, 'text', { _tag: 'SessionBusyError', message: 'busy' }, { name: 'X', data: null }])(
    'sets no log reference when the server sends none: %o',
    (body) => {
      expect(new RequestError({ method: 'GET', path: '/x', status: 409, body }).ref).toBeUndefined();
    },
  );
});

describe('what an application can do about an error', () => {
  const turnError = (reason: TurnErrorReason, data?: object): TurnError =>
    new TurnError({
      ...{ reason, sessionID: 'ses_1', messageID: 'msg_1' },
      ...(data && { serverError: { name: 'APIError', data } }),
    });

  it.each<readonly [string, boolean, JarvisError]>([
    ['a 503', true, new RequestError({ ...target, status: 503 })],
    ['a 429', true, new RequestError({ ...target, status: 429 })],
    ['a 404', false, new RequestError({ ...target, status: 404 })],
    ['a lost connection', true, new ConnectionError(target)],
    ['a redirect', false, new ConnectionError(target, { isRedirect: true })],
    ['a time limit', true, new TimeoutError('Work', { phase: 'queue', timeoutMs: 5 })],
    ['a busy session', true, turnError('busy')],
    ['an aborted turn', false, turnError('aborted')],
    ['a provider that may recover', true, turnError('provider', { isRetryable: true })],
    ['a provider that refuses', false, turnError('provider', { isRetryable: false })],
    ['a closed client', false, new ClosedError()],
  ])('says of %s that a repetition may succeed: %s', (_what, expected, error) => {
    expect(error.isRetryable).toBe(expected);
    expect(isPermanent(error)).toBe(!expected);
  });

  it('says when to try again, as the server or the provider asks', () => {
    expect(new RequestError({ ...target, status: 429, retryAfterMs: 2_000 }).retryAfterMs).toBe(2_000);
    const headers = (responseHeaders: object): number | undefined =>
      turnError('provider', { isRetryable: true, responseHeaders }).retryAfterMs;
    expect(headers({ 'Retry-After': '3' })).toBe(3_000);
    expect(headers({ 'retry-after': '3', 'retry-after-ms': '1500' })).toBe(1_500);
    expect(headers({ 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' })).toBe(0);
    expect(headers({ 'retry-after': '2', 'retry-after-ms': '' })).toBe(2_000);
    for (const text of ['soon', 'soon-1', '-1', ' ', '9'.repeat(400)])
      expect(headers({ 'retry-after': text, 'retry-after-ms': text })).toBeUndefined();
    expect(turnError('stalled').retryAfterMs).toBeUndefined();
  });

  it('tells a client so in the problem of the error', () => {
    const error = new RequestError({ ...target, status: 429, retryAfterMs: 2_000 });
    const problem = toProblem(error);
    expect(problem).toMatchObject({ status: 429, isRetryable: true, retryAfterMs: 2_000 });
    const remote = new RemoteTurnError(problem);
    expect([remote.isRetryable, remote.retryAfterMs]).toEqual([true, 2_000]);
    expect(toProblem(turnError('aborted'))).not.toHaveProperty('retryAfterMs');
  });
});
