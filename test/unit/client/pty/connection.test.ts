import { getEventListeners } from 'node:events';
import type { WebSocket as NodeWebSocket } from 'ws';
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { Http } from '../../../../src/client/http/http.js';
import type { PtyConnection, WebSocketConstructor } from '../../../../src/client/pty/connection.js';
import { RepoTransport } from '../../../../src/client/http/repo-transport.js';
import { PtyResource, type PtyConnectOptions } from '../../../../src/client/resources/pty.js';
import { ClosedError, ConnectionError, RequestError, TimeoutError } from '../../../../src/errors.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

const DIRECTORY = `/srv/a b%20ü日#?+'`;
const encode = (text: string): ArrayBuffer => {
  const { buffer } = new TextEncoder().encode(text);
  return buffer;
};

/** A WebSocket without a network: the test is the server. */
class FakeWebSocket {
  static made: FakeWebSocket[] = [];
  /** Runs when one is made, after its maker has added its listeners. */
  static onMade: (socket: FakeWebSocket) => void = (socket) => socket.open();
  binaryType = 'blob';
  readyState = 0;
  readonly sent: string[] = [];
  readonly closes: (number | undefined)[] = [];
  /** Whether a close is answered. */
  answers = true;
  readonly #listeners = new Map<string, ((event: never) => void)[]>();

  constructor(readonly url: string) {
    FakeWebSocket.made.push(this);
    queueMicrotask(() => FakeWebSocket.onMade(this));
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  send(data: string): void {
    if (this.readyState !== 1) throw new Error('not open');
    this.sent.push(data);
  }

  close(code?: number): void {
    this.closes.push(code);
    if (this.readyState > 1) return;
    this.readyState = 2;
    if (this.answers) this.end(code ?? 1005);
  }

  open(): void {
    this.readyState = 1;
    this.#emit('open', {});
  }

  message(data: string | ArrayBuffer): void {
    this.#emit('message', { data });
  }

  fail(message?: string): void {
    this.#emit('error', message === undefined ? {} : { message });
    this.end(1006);
  }

  end(code: number, reason = ''): void {
    this.readyState = 3;
    queueMicrotask(() => this.#emit('close', { code, reason }));
  }

  #emit(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}

function setUp(
  init: {
    webSocket?: WebSocketConstructor | undefined;
    loadWebSocket?: () => Promise<WebSocketConstructor>;
    status?: number;
  } = {},
) {
  const { status = 200 } = init;
  const requests: { method: string; path: string; ticket: string | null; body: string }[] = [];
  const closed = new AbortController();
  let held = 0;
  const endpoint = () => ({ url: 'https://example.test:4096' });
  const http = new Http({
    endpoint,
    signal: closed.signal,
    fetch: async (input, fetchInit) => {
      const request = new Request(input, fetchInit);
      const { pathname: path } = new URL(request.url);
      const ticket = request.headers.get('x-opencode-ticket');
      requests.push({ method: request.method, path, ticket, body: await request.text() });
      return Response.json({ id: 'pty_1', ticket: 'one+two', expires_in: 60 }, { status });
    },
  });
  const enter = (): Promise<() => void> => {
    const release = { done: false };
    held += 1;
    return Promise.resolve(() => {
      if (!release.done) held -= 1;
      release.done = true;
    });
  };
  const sockets = {
    loadWebSocket:
      init.loadWebSocket ?? (() => Promise.resolve('webSocket' in init ? init.webSocket : FakeWebSocket)),
    endpoint,
    closed: closed.signal,
  };
  const opening = { accepted: () => undefined, over: () => undefined };
  const pty = new PtyResource(new RepoTransport(http, DIRECTORY, enter), sockets, () => opening);
  return { pty, requests, closed, held: () => held };
}

async function connected(options?: PtyConnectOptions) {
  const world = setUp();
  const connection = await world.pty.connect('pty_1', options);
  const socket = FakeWebSocket.made.at(-1);
  if (socket === undefined) throw new Error('no socket was made');
  return { ...world, connection, socket };
}

async function collect(connection: PtyConnection): Promise<string[]> {
  const chunks: string[] = [];
  for await (const chunk of connection) chunks.push(chunk);
  return chunks;
}

afterEach(() => {
  vi.useRealTimers();
  FakeWebSocket.made = [];
  FakeWebSocket.onMade = (socket) => socket.open();
});

describe('connecting', () => {
  it('connects with a ticket of its own, and names the directory for a server that decodes it twice', async () => {
    const { socket, requests, held, connection } = await connected({ cursor: 7 });
    expect(requests).toMatchObject([{ method: 'POST', path: '/pty/pty_1/connect-token', ticket: '1' }]);
    const url = new URL(socket.url);
    expect(url.origin + url.pathname).toBe('wss://example.test:4096/pty/pty_1/connect');
    expect(decodeURIComponent(url.searchParams.get('directory') ?? '')).toBe(DIRECTORY);
    expect(url.search).not.toContain('+');
    expect(url.searchParams.get('ticket')).toBe('one+two');
    expect(url.searchParams.get('cursor')).toBe('7');
    expect(held()).toBe(1);
    await connection.close();
    expect(held()).toBe(0);
  });

  it('accepts every kind of WebSocket', () => {
    expectTypeOf<typeof NodeWebSocket>().toExtend<WebSocketConstructor>();
    expectTypeOf<typeof globalThis.WebSocket>().toExtend<WebSocketConstructor>();
  });

  it('names what to pass where there is no WebSocket', async () => {
    const { pty, requests } = setUp({ webSocket: undefined });
    await expect(pty.connect('pty_1')).rejects.toThrow(/webSocket/);
    await expect(pty.connect('pty_1')).rejects.toThrow(TypeError);
    expect(requests).toEqual([]);
  });

  it('names what to pass, and the cause, where its WebSocket cannot be loaded', async () => {
    const cause = new Error('Dynamic require of "events" is not supported');
    const { pty } = setUp({ loadWebSocket: () => Promise.reject(cause) });
    const error: unknown = await pty.connect('pty_1').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message: expect.stringContaining('option webSocket') as string, cause });
  });

  it('refuses arguments of a connection that make no sense', async () => {
    const { pty, requests } = setUp();
    for (const cursor of [-2, 1.5, Number.NaN, '1' as never]) {
      await expect(pty.connect('pty_1', { cursor })).rejects.toThrow(TypeError);
    }
    await expect(pty.connect('..')).rejects.toThrow(TypeError);
    await expect(pty.connect('pty_1', { timeoutMs: 0 })).rejects.toThrow(RangeError);
    expect(requests).toEqual([]);
  });

  it('rejects when the server refuses the connection, and releases its hold', async () => {
    const gone = setUp({ status: 404 });
    await expect(gone.pty.connect('pty_1')).rejects.toThrow(RequestError);
    expect(gone.held()).toBe(0);
    expect(FakeWebSocket.made).toEqual([]);

    FakeWebSocket.onMade = (socket) => socket.fail('Unexpected server response: 403');
    const refused = setUp();
    const error: unknown = await refused.pty.connect('pty_1').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ message: expect.stringContaining('403') as string });
    expect(String(error)).not.toContain('one+two');
    expect(refused.held()).toBe(0);

    const failing = setUp({
      webSocket: class extends FakeWebSocket {
        constructor(url: string) {
          super(url);
          throw new SyntaxError('bad URL');
        }
      },
    });
    await expect(failing.pty.connect('pty_1')).rejects.toThrow(ConnectionError);
    expect(failing.held()).toBe(0);
  });

  it('ends the attempt to connect by its time limit or its signal, and closes the socket', async () => {
    FakeWebSocket.onMade = () => undefined;
    const { pty, held } = setUp();
    await expect(pty.connect('pty_1', { timeoutMs: 20 })).rejects.toThrow(TimeoutError);
    const controller = new AbortController();
    const reason = new Error('mine');
    const pending = pty.connect('pty_1', { signal: controller.signal });
    await expect.poll(() => FakeWebSocket.made.length).toBe(2);
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    await expect(pty.connect('pty_1', { signal: controller.signal })).rejects.toBe(reason);
    expect(FakeWebSocket.made).toHaveLength(2);
    expect(FakeWebSocket.made.map((socket) => socket.readyState)).toEqual([3, 3]);
    expect(held()).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });
});

describe('a connection', () => {
  it('keeps the output that comes while the connection opens', async () => {
    FakeWebSocket.onMade = (socket) => {
      socket.open();
      socket.message('backlog');
      socket.end(1000);
    };
    const { connection } = await connected();
    expect(await collect(connection)).toEqual(['backlog']);
  });

  it('continues in the next loop over a connection where the last loop stopped', async () => {
    const { connection, socket } = await connected();
    for (const text of ['one', 'two', '', 'three']) socket.message(text);
    for await (const chunk of connection) if (chunk === 'two') break;
    socket.end(1000);
    expect(await collect(connection)).toEqual(['three']);
    expect(await collect(connection)).toEqual([]);
  });

  it('serves several loops that wait at once', async () => {
    const { connection, socket } = await connected();
    const loops = [collect(connection), collect(connection)];
    await Promise.resolve();
    socket.message('a');
    socket.end(1000);
    expect((await Promise.all(loops)).flat()).toEqual(['a']);
  });

  it('counts the position of its reader in UTF-16 code units', async () => {
    const { connection, socket } = await connected();
    socket.message('old 🦊');
    expect(connection.cursor).toBeUndefined();
    socket.message(encode('\0{"cursor":106}'));
    expect(connection.cursor).toBe(100);
    socket.message('new');
    const reader = connection[Symbol.asyncIterator]();
    expect(await reader.next()).toEqual({ done: false, value: 'old 🦊' });
    expect(connection.cursor).toBe(106);
    await reader.next();
    expect(connection.cursor).toBe(109);
    for (const frame of ['', '{"cursor":1}', '\0', '\0null', '\0{"cursor":"x"}', '\0{']) {
      socket.message(encode(frame));
    }
    expect(connection.cursor).toBe(109);
  });

  it('writes in messages that the server takes, without cutting a character', async () => {
    const { connection, socket } = await connected();
    connection.write('ls\r');
    connection.write('');
    expect(socket.sent).toEqual(['ls\r']);
    const text = `x${'🦊'.repeat(100_000)}`;
    connection.write(text);
    const pieces = socket.sent.slice(1);
    expect(pieces.join('')).toBe(text);
    expect(pieces.length).toBeGreaterThan(1);
    for (const piece of pieces) {
      expect(piece.isWellFormed()).toBe(true);
      expect(piece.length).toBeLessThanOrEqual(64 * 1024);
    }
    expect(() => connection.write(7 as never)).toThrow(TypeError);
    await connection.close();
    expect(() => connection.write('x')).toThrow(ClosedError);
  });

  it('resizes the terminal by a request', async () => {
    const { connection, requests } = await connected();
    await connection.resize({ rows: 3, cols: 4 });
    expect(requests.at(-1)).toMatchObject({
      method: 'PUT',
      path: '/pty/pty_1',
      body: '{"size":{"rows":3,"cols":4}}',
    });
    await expect(connection.resize({ rows: 0, cols: 4 })).rejects.toThrow(TypeError);
  });

  it('ends the output quietly with the terminal, and with an error when the connection is lost, after what came before', async () => {
    const ended = await connected();
    ended.socket.message('bye');
    ended.socket.end(1000, 'exit');
    expect(await collect(ended.connection)).toEqual(['bye']);
    expect(await ended.connection.closed).toEqual({ code: 1000, reason: 'exit' });
    expect(ended.held()).toBe(0);

    const lost = await connected();
    const chunks: string[] = [];
    lost.socket.message('half');
    lost.socket.fail();
    await expect(
      (async () => {
        for await (const chunk of lost.connection) chunks.push(chunk);
      })(),
    ).rejects.toThrow(ConnectionError);
    expect(chunks).toEqual(['half']);
    expect(await lost.connection.closed).toMatchObject({ code: 1006 });
    expect(lost.held()).toBe(0);
  });

  it('closes a connection once, by call, by disposal, by its signal and with the client', async () => {
    const byCall = await connected();
    const waiting = collect(byCall.connection);
    byCall.socket.message('unread');
    await Promise.all([byCall.connection.close(), byCall.connection.close()]);
    expect(byCall.socket.closes).toContain(1000);
    expect(await waiting).toEqual([]);
    byCall.socket.message('late');
    expect(await collect(byCall.connection)).toEqual([]);

    const controller = new AbortController();
    const bySignal = await connected({ signal: controller.signal });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort();
    expect(await bySignal.connection.closed).toMatchObject({ code: 1000 });
    expect(bySignal.held()).toBe(0);

    const byClient = await connected();
    byClient.closed.abort(new ClosedError());
    expect(await byClient.connection.closed).toMatchObject({ code: 1000 });
    expect(getEventListeners(byClient.closed.signal, 'abort')).toEqual([]);

    const byScope = await connected();
    {
      await using connection = byScope.connection;
      void connection;
    }
    expect(byScope.socket.readyState).toBe(3);
    expect(byScope.held()).toBe(0);
  });

  it('ends a connection in bounded time when the other side does not answer the close', async () => {
    const { connection, socket, held } = await connected();
    socket.answers = false;
    vi.useFakeTimers();
    const closing = connection.close();
    await vi.advanceTimersByTimeAsync(2_000);
    await closing;
    expect(await connection.closed).toMatchObject({ code: 1006 });
    expect(held()).toBe(0);
  });

  it('keeps a bounded amount of output that nobody reads', async () => {
    const { connection, socket } = await connected();
    const chunk = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 20; count += 1) socket.message(chunk);
    let read = 0;
    await expect(
      (async () => {
        for await (const text of connection) read += text.length;
      })(),
    ).rejects.toThrow(/were not read/);
    expect(read).toBe(9 * chunk.length);
    expect(socket.readyState).toBe(3);
  });
});
