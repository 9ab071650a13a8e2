import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { constants, createGzip } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import {
  ConnectionError,
  JarvisOpenCode,
  ResponseShapeError,
  ResponseTooLargeError,
} from '../../../src/index.js';
import { Http } from '../../../src/client/http/http.js';
import { deferred } from '../../../src/core/abort.js';
import { locateSessions } from '../../../src/client/sessions/locate-sessions.js';
import { FakeEventSource, take } from '../../support/event-source.js';
import { fakeHandle } from '../../support/server-handle.js';

const MiB = 1024 * 1024;
const blank = Buffer.alloc(64 * 1024, ' ');

interface Flood {
  readonly url: string;
  /** How many bytes were written until the client closed the connection, which it resolves with. */
  readonly written: Promise<number>;
}

/** A server whose answers go on for ever, except the one that says that an instance is loaded. */
async function flood(
  begin: (response: ServerResponse) => NodeJS.WritableStream,
  { loads = true } = {},
): Promise<Flood> {
  const written = deferred<number>();
  let isLoaded = !loads;
  const server = createServer(({ url }, response) => {
    if (url === '/path' && !isLoaded) {
      isLoaded = true;
      return void response.end('{}');
    }
    let bytes = 0;
    const out = begin(response);
    const push = (): void => {
      while (!response.destroyed && out.write(blank)) bytes += blank.length;
      bytes += blank.length;
    };
    out.on('drain', push);
    response.on('close', () => written.resolve(bytes));
    push();
  });
  return { url: await listening(server), written: written.promise };
}

/** Where the server listens until the end of the test. */
async function listening(server: Server): Promise<string> {
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}

const endless = (type = 'application/json', status = 200) =>
  flood((response) => response.writeHead(status, { 'content-type': type }));

const client = (url: string, maxResponseBytes?: number): JarvisOpenCode =>
  new JarvisOpenCode(fakeHandle(url), { maxResponseBytes });

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('an endless answer', () => {
  it.each<[what: string, call: (jarvis: JarvisOpenCode) => Promise<unknown>]>([
    ['of JSON', (jarvis) => jarvis.forRepo('/a').path()],
    [
      'of a page',
      (jarvis) =>
        jarvis
          .forRepo('/a')
          .sessions.list()
          .then((list) => list),
    ],
    ['of text', (jarvis) => jarvis.forRepo('/a').vcs.diffRaw()],
  ])(
    'rejects an endless answer with ResponseTooLargeError and ends the connection: %s',
    async (_what, call) => {
      const { url, written } = await endless();
      const jarvis = client(url, MiB);
      const error = await failure(call(jarvis));
      expect(error).toBeInstanceOf(ResponseTooLargeError);
      expect(error).toMatchObject({ maxBytes: MiB, method: 'GET' });
      // What lies in the buffers of two sockets is written, too.
      expect(await written).toBeLessThan(32 * MiB);
      await jarvis.close();
    },
  );

  it('bounds the answer of one call by its maxResponseBytes', async () => {
    const { url, written } = await endless();
    const jarvis = client(url);
    const error = await failure(jarvis.forRepo('/a').path({ maxResponseBytes: 1_000 }));
    expect(error).toMatchObject({ name: 'ResponseTooLargeError', maxBytes: 1_000 });
    expect(await written).toBeLessThan(32 * MiB);
    await jarvis.close();
  });

  it.each(['connect', 'health'] as const)(
    'bounds the answer about health by a limit of its own: %s',
    async (how) => {
      const { url, written } = await endless();
      const jarvis = client(url);
      const error = await failure(
        how === 'connect' ? JarvisOpenCode.connect({ url }) : jarvis.global.health(),
      );
      expect(error).toMatchObject({ name: 'ResponseTooLargeError', maxBytes: 64 * 1024 });
      expect(await written).toBeLessThan(32 * MiB);
      await jarvis.close();
    },
  );

  it('bounds the answer to the request that loads an instance by a limit of its own', async () => {
    const { url, written } = await flood((response) => response.writeHead(200), { loads: false });
    const jarvis = client(url);
    const call = failure(jarvis.forRepo('/a').sessions.create({}, { maxResponseBytes: MiB }));
    // The first connection that is closed is the one that was to load the instance.
    expect(await written).toBeLessThan(32 * MiB);
    expect(await call).toBeInstanceOf(ResponseTooLargeError);
    await jarvis.close();
  });

  it('cuts the endless body of a refusal', async () => {
    const { url, written } = await endless('text/plain', 400);
    const jarvis = client(url);
    const error = await failure(jarvis.forRepo('/a').path());
    expect(error).toMatchObject({ name: 'RequestError', status: 400 });
    expect(String((error as { body: unknown }).body)).toHaveLength(64 * 1024);
    expect(await written).toBeLessThan(32 * MiB);
    await jarvis.close();
  });

  it('counts the bytes of an answer after it decompressed them', async () => {
    const { url, written } = await flood((response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      const gzip = createGzip();
      gzip.pipe(response);
      return gzip;
    });
    const jarvis = client(url, 8 * MiB);
    expect(await failure(jarvis.forRepo('/a').path())).toBeInstanceOf(ResponseTooLargeError);
    expect(await written).toBeGreaterThan(0);
    await jarvis.close();
  });

  it('reads nothing of an answer whose content-length exceeds the bound', async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(blank);
        },
      },
      { highWaterMark: 0 },
    );
    const answer = new Response(body, { headers: { 'content-length': '1001' } });
    const http = new Http({
      endpoint: () => ({ url: 'http://127.0.0.1:9' }),
      signal: new AbortController().signal,
      fetch: () => Promise.resolve(answer),
      maxResponseBytes: 1_000,
    });
    const error = await failure(http.send({ method: 'GET', path: '/x', schema: z.unknown }));
    expect(error).toBeInstanceOf(ResponseTooLargeError);
    expect(pulled).toBe(0);
  });
});

describe('a gzip bomb', () => {
  const bomb = (status: number, type = 'application/json'): Promise<Flood> =>
    flood((response) => {
      response.writeHead(status, { 'content-type': type, 'content-encoding': 'gzip' });
      const gzip = createGzip();
      gzip.pipe(response);
      return gzip;
    });

  it.each<[what: string, call: (jarvis: JarvisOpenCode, url: string) => Promise<unknown>]>([
    ['connecting', (_jarvis, url) => JarvisOpenCode.connect({ url })],
    ['health', (jarvis) => jarvis.global.health()],
    ['plain text', (jarvis) => jarvis.forRepo('/a').vcs.diffRaw()],
    ['a page', async (jarvis) => jarvis.forRepo('/a').sessions.list()],
  ])('rejects a gzip bomb in answer to %s with ResponseTooLargeError', async (_what, call) => {
    const { url, written } = await bomb(200);
    const jarvis = client(url, 8 * MiB);
    expect(await failure(call(jarvis, url))).toBeInstanceOf(ResponseTooLargeError);
    expect(await written).toBeLessThan(256 * MiB);
    await jarvis.close();
  });

  it('cuts a gzip bomb in a refusal', async () => {
    const { url, written } = await bomb(400, 'text/plain');
    const jarvis = client(url);
    const error = await failure(jarvis.forRepo('/a').path());
    expect(error).toMatchObject({ name: 'RequestError', status: 400 });
    expect(String((error as { body: unknown }).body)).toHaveLength(64 * 1024);
    expect(await written).toBeLessThan(256 * MiB);
    await jarvis.close();
  });
});

describe('headers without end', () => {
  it.each<[what: string, call: (jarvis: JarvisOpenCode, url: string) => Promise<unknown>]>([
    ['connecting', (_jarvis, url) => JarvisOpenCode.connect({ url })],
    ['health', (jarvis) => jarvis.global.health({ retry: false })],
    ['a call', (jarvis) => jarvis.forRepo('/a').path({ retry: false })],
    [
      'repo.fetch',
      (jarvis) => {
        const repo = jarvis.forRepo('/a');
        return repo.fetch(`${repo.baseUrl}/path`);
      },
    ],
  ])('rejects headers without end in answer to %s, and closes the connection', async (what, call) => {
    const written = deferred<number>();
    const server = createTcpServer((socket) => {
      let bytes = 0;
      const push = (): void => {
        while (!socket.destroyed && socket.write(`x-flood-${bytes}: ${'x'.repeat(1_000)}\r\n`))
          bytes += 1_000;
      };
      socket.on('error', () => undefined);
      socket.on('drain', push);
      socket.on('close', () => written.resolve(bytes));
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n');
        push();
      });
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const jarvis = client(url);
    const error = await failure(call(jarvis, url));
    if (what === 'repo.fetch') expect(error).toBeInstanceOf(TypeError);
    else expect(error).toBeInstanceOf(ConnectionError);
    expect(await written.promise).toBeLessThan(32 * MiB);
    await jarvis.close();
  });
});

describe('an endless event', () => {
  /** The first stream of events has one event without end, the second a short one. */
  async function eventFlood(encode: (response: ServerResponse) => NodeJS.WritableStream): Promise<Flood> {
    const written = deferred<number>();
    let streams = 0;
    const server = createServer(({ url }, response) => {
      if (url !== '/global/event') return void response.end('{"healthy":true,"version":"1.18.33"}');
      streams += 1;
      response.setHeader('content-type', 'text/event-stream');
      const out = encode(response);
      out.write('data: {"payload":{"type":"server.connected","properties":{}}}\n\n');
      if (streams > 1) {
        out.write('data: {"directory":"/a","payload":{"type":"brand.new","properties":{}}}\n\n');
        return;
      }
      let bytes = 0;
      const push = (): void => {
        while (!response.destroyed && out.write(blank)) bytes += blank.length;
        bytes += blank.length;
      };
      out.on('drain', push);
      response.on('close', () => written.resolve(bytes));
      out.write('data: ');
      push();
    });
    return { url: await listening(server), written: written.promise };
  }

  it.each<[what: string, encode: (response: ServerResponse) => NodeJS.WritableStream]>([
    ['as it is', (response) => response],
    [
      'compressed',
      (response) => {
        const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
        response.setHeader('content-encoding', 'gzip');
        gzip.pipe(response);
        return gzip;
      },
    ],
  ])(
    'closes the stream of an endless event, delivers a gap, and opens the stream again: %s',
    async (_what, encode) => {
      const { url, written } = await eventFlood(encode);
      const warned: unknown[] = [];
      const ignore = (): void => undefined;
      const logger = {
        debug: ignore,
        info: ignore,
        error: ignore,
        warn: (message: string, details?: object) => void warned.push({ message, ...details }),
      };
      const jarvis = new JarvisOpenCode(fakeHandle(url), { maxEventBytes: MiB, logger });
      const events = await take(jarvis.events({ types: ['brand.new' as never] }), 2);
      expect(events).toMatchObject([
        { type: 'jarvis.gap', properties: { reason: 'reconnect' } },
        { type: 'brand.new' },
      ]);
      expect(warned).toContainEqual({
        message: 'event stream lost',
        error: expect.stringMatching(
          /^ResponseTooLargeError: .* more than 1048576 bytes\. Raise maxEventBytes/,
        ),
      });
      expect(await written).toBeLessThan(64 * MiB);
      await jarvis.close();
    },
  );
});

describe('an answer as long as its bound', () => {
  const text = 'é🦊x'.repeat(20_000);
  const json = JSON.stringify(text);
  const bytes = new TextEncoder().encode(json);

  /** An answer in chunks that cut characters. */
  const answering = (maxResponseBytes: number): Http =>
    new Http({
      endpoint: () => ({ url: 'http://127.0.0.1:9' }),
      signal: new AbortController().signal,
      maxResponseBytes,
      fetch: async () =>
        new Response(
          new ReadableStream({
            start(controller) {
              for (let at = 0; at < bytes.length; at += 1_001)
                controller.enqueue(bytes.slice(at, at + 1_001));
              controller.close();
            },
          }),
        ),
    });
  const request = { method: 'GET', path: '/x', schema: z.string } as const;

  it('reads an answer as long as its bound as it was sent, and refuses it when the bound is one byte less', async () => {
    expect(await answering(bytes.length).send(request)).toBe(text);
    expect(await failure(answering(bytes.length - 1).send(request))).toBeInstanceOf(ResponseTooLargeError);
  });
});

describe('a depth bomb', () => {
  const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
  const recursive: z.ZodType = z.lazy(() => z.array(recursive));

  it.each([
    ['that is of no known shape', z.string()],
    ['that the schema follows', recursive],
  ])('rejects a depth bomb with ResponseShapeError: %s', async (_what, schema) => {
    const http = new Http({
      endpoint: () => ({ url: 'http://127.0.0.1:9' }),
      signal: new AbortController().signal,
      fetch: () => Promise.resolve(new Response(deep)),
    });
    const error = await failure(http.send({ method: 'GET', path: '/x', schema: () => schema }));
    expect(error).toBeInstanceOf(ResponseShapeError);
    expect(JSON.stringify(error).length).toBeLessThan(2_000);
  });

  it.each([400, 500])(
    'rejects a depth bomb in a refusal with status %i with a RequestError with a short message and JSON',
    async (status) => {
      const http = new Http({
        endpoint: () => ({ url: 'http://127.0.0.1:9' }),
        signal: new AbortController().signal,
        fetch: () => Promise.resolve(new Response(`{"name":"BadRequest","data":${deep}}`, { status })),
      });
      const error = await failure(http.send({ method: 'POST', path: '/x', schema: z.unknown }));
      expect(error).toMatchObject({ name: 'RequestError', status });
      expect((error as Error).message.length + JSON.stringify(error).length).toBeLessThan(2_000);
    },
  );

  it('skips or delivers a depth bomb in an event, and delivers the next event', async () => {
    const source = new FakeEventSource();
    const stream = source.hub.stream('/a', { types: ['session.idle'] });
    await stream.ready;
    source.write(`data: {"directory":"/a","payload":{"type":"file.edited","properties":${deep}}}\n\n`);
    source.write(`data: ${deep}\n\n`);
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    expect((await take(stream, 1)).map(({ type }) => type)).toEqual(['session.idle']);
    await source.hub.close(undefined);
  });
});

describe('an event of the server that has a name of this library', () => {
  it('drops an event of the server that has a name of this library with one warning, in every form', async () => {
    const source = new FakeEventSource();
    const stream = source.hub.stream(undefined);
    await stream.ready;
    source.send('/a', 'jarvis.gap', { reason: 'overflow' });
    source.send(undefined, 'jarvis.server', { state: 'failed' });
    source.write('data: {"payload":{"type":"jarvis.gap"},"directory":"/a"}\n\n');
    source.send('/a', 'session.idle', { sessionID: 'ses_1' });
    const events = await take(stream, 2);
    expect(events.map(({ type }) => type)).not.toContain('jarvis.gap');
    expect(events.at(-1)?.type).toBe('session.idle');
    expect(source.logged.filter((line) => line.includes('has a name of this library'))).toHaveLength(1);
    expect(source.observed).not.toContain('jarvis.gap');
    await source.hub.close(undefined);
  });
});

describe('a list whose pages never end', () => {
  /** A server that has the same answer for everything, and how often it was asked for `path`. */
  function paging(path: string, answer: object, headers = {}): { fetch: typeof fetch; asked: () => number } {
    let asked = 0;
    return {
      fetch: async (input) => {
        if (new URL(new Request(input).url).pathname === path) asked += 1;
        return Response.json(answer, { headers });
      },
      asked: () => asked,
    };
  }

  it('ends a list whose pages never end with an empty page', async () => {
    const server = paging('/session/ses_1/message', [], { 'x-next-cursor': 'more' });
    const jarvis = new JarvisOpenCode(fakeHandle(), { fetch: server.fetch });
    jarvis.sessions.bind('chat-1', { id: 'ses_1', directory: '/a' });
    const messages = jarvis.forRepo('/a').sessions.session('ses_1').messages({ limit: 2 });
    for await (const message of messages) expect(message).toBeUndefined();
    expect(server.asked()).toBe(1);
    await jarvis.close();
  });

  it('rejects with ResponseShapeError after a million sessions of a list whose pages never end', async () => {
    const session = { id: 'ses_0', location: { directory: '/b' } };
    const server = paging('/api/session', {
      data: Array.from({ length: 500 }, () => session),
      cursor: { next: 'more' },
    });
    const http = new Http({
      endpoint: () => ({ url: 'http://127.0.0.1:9' }),
      signal: new AbortController().signal,
      fetch: server.fetch,
    });
    const error = await failure(locateSessions(http, [{ sessionID: 'ses_1', directory: '/a' }]));
    expect(error).toBeInstanceOf(ResponseShapeError);
    expect(server.asked()).toBe(2_000);
  }, 60_000);
});
