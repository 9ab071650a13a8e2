import { getEventListeners, once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { abortable, deferred } from '../../../../src/core/abort.js';
import { Http } from '../../../../src/client/http/http.js';
import { DIRECTORY_HEADER, type Endpoint, type HttpRequest } from '../../../../src/client/http/request.js';
import type { FetchFunction, RequestOptions } from '../../../../src/client/http/request-options.js';
import { ConnectionError, RequestError, ResponseShapeError, TimeoutError } from '../../../../src/errors.js';

vi.mock('../../../../src/core/real-time.js', () => import('../../../support/global-time.js'));

/** What the loopback server received. */
interface Received {
  readonly method: string;
  /** The request target as it was on the wire. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** Every value that was sent under a name, before anything is joined. */
  valuesOf(header: string): string[];
  readonly body: string;
}

interface Loopback {
  readonly url: string;
  readonly requests: readonly Received[];
}

type Answer = (response: ServerResponse, request: Received, attempt: number) => void;

/** A real HTTP server on loopback, gone with the test. */
async function serve(answer: Answer): Promise<Loopback> {
  const requests: Received[] = [];
  const listener: RequestListener = (request, response) => {
    void text(request).then((body) => {
      const pairs = request.rawHeaders;
      const received: Received = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        valuesOf: (header) =>
          pairs.filter((_value, index) => index % 2 === 1 && pairs[index - 1]?.toLowerCase() === header),
        body,
      };
      requests.push(received);
      answer(response, received, requests.length);
    });
  };
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests };
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const hang: Answer = () => undefined;
const cutOff: Answer = (response) => response.destroy();

const thingSchema = z.looseObject({ id: z.string(), size: z.number() });
const thing = { id: 'a', size: 1 };
type ThingRequest = HttpRequest<z.infer<typeof thingSchema>>;

function get(extra: Partial<ThingRequest> = {}): ThingRequest {
  return { method: 'GET', path: '/thing', schema: () => thingSchema, ...extra };
}

function post(extra: Partial<ThingRequest> = {}): ThingRequest {
  return { method: 'POST', path: '/thing', schema: () => thingSchema, json: { a: 1 }, ...extra };
}

function client(
  endpoint: Endpoint,
  init: { readonly fetch?: FetchFunction; readonly signal?: AbortSignal } = {},
): Http {
  return new Http({
    endpoint: () => endpoint,
    signal: init.signal ?? new AbortController().signal,
    fetch: init.fetch,
  });
}

/** What the promise rejects with. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`expected a rejection, got ${inspect(value)}`);
    },
    (error: unknown) => error,
  );
}

async function failureOf(answer: Answer, request: ThingRequest = get()): Promise<unknown> {
  const server = await serve(answer);
  return rejection(client(server).send(request, { retry: false }));
}

describe('what is sent', () => {
  it('sends the method, the path as it is encoded, and the type that it accepts', async () => {
    const server = await serve((response) => json(response, thing));
    await expect(client(server).send(get({ path: '/session/ses%5Fa%2Fb' }))).resolves.toEqual(thing);
    expect(server.requests).toMatchObject([{ method: 'GET', url: '/session/ses%5Fa%2Fb', body: '' }]);
    expect(server.requests[0]?.headers).toMatchObject({ accept: 'application/json' });
    expect(server.requests[0]?.headers['content-type']).toBeUndefined();
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
    expect(server.requests[0]?.headers[DIRECTORY_HEADER]).toBeUndefined();
  });

  it.each(['POST', 'PATCH', 'PUT', 'DELETE'] as const)('carries JSON in a %s', async (method) => {
    const server = await serve((response) => json(response, thing));
    await client(server).send(post({ method, json: { text: 'ü 日 🦊 "' } }));
    expect(server.requests[0]?.method).toBe(method);
    expect(server.requests[0]?.headers['content-type']).toBe('application/json');
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual({ text: 'ü 日 🦊 "' });
  });

  it('sends no body with a POST that has none', async () => {
    const server = await serve((response) => json(response, thing));
    await client(server).send(post({ json: undefined }));
    expect(server.requests[0]?.body).toBe('');
    expect(server.requests[0]?.headers['content-type']).toBeUndefined();
  });

  it('encodes the query and leaves out what is undefined', async () => {
    const server = await serve((response) => json(response, thing));
    const search = `a b&c=d+e#f?g%20ü日🦊'"/`;
    await client(server).send(get({ query: { search, limit: 5, roots: true, start: 0, none: undefined } }));
    const url = new URL(server.requests[0]?.url ?? '', server.url);
    expect([...url.searchParams]).toEqual([
      ['search', search],
      ['limit', '5'],
      ['roots', 'true'],
      ['start', '0'],
    ]);
    expect(url.hash).toBe('');
  });

  it.each([[undefined], [{}], [{ none: undefined }]])(
    'sends no question mark for the query %j',
    async (query) => {
      const server = await serve((response) => json(response, thing));
      await client(server).send(get({ query }));
      expect(server.requests[0]?.url).toBe('/thing');
    },
  );

  it('sends a request to where the server is at that moment, with the credentials that hold there', async () => {
    const first = await serve((response) => json(response, thing));
    const second = await serve((response) => json(response, thing));
    let endpoint: Endpoint = { url: first.url, authorization: 'Basic one' };
    const http = new Http({ endpoint: () => endpoint, signal: new AbortController().signal });
    await http.send(get());
    endpoint = { url: second.url, authorization: 'Basic two' };
    await http.send(get());
    expect(first.requests.map((request) => request.headers.authorization)).toEqual(['Basic one']);
    expect(second.requests.map((request) => request.headers.authorization)).toEqual(['Basic two']);
  });

  it('sends a request once with a fetch function that answers with a class of its own', async () => {
    const server = await serve((response) => json(response, thing));
    const fetch: FetchFunction = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      return new Proxy(response, {
        getPrototypeOf: () => Object.prototype,
        get: (target, name): unknown => {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
    };
    await expect(client(server, { fetch }).send(post())).resolves.toEqual(thing);
    expect(server.requests).toHaveLength(1);
  });

  it('sends a request through the fetch function that was given', async () => {
    const server = await serve((response) => json(response, thing));
    const fetch = vi.fn<FetchFunction>((input, init) => globalThis.fetch(input, init));
    await client(server, { fetch }).send(get());
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(server.requests).toHaveLength(1);
  });
});

describe('the pin', () => {
  it.each([
    '/srv/app',
    '/srv/a b',
    '/srv/100%',
    '/srv/a%20b',
    '/srv/a#b',
    '/srv/a?b',
    '/srv/a+b',
    `/srv/it's "quoted"`,
    '/srv/ü',
    '/srv/日本',
    '/srv/🦊',
    '/srv/a\nb',
    'C:\\app',
    `/srv/a b%20ü日#?+'"🦊`,
  ])('brings the directory %j to the server as it is', async (directory) => {
    const server = await serve((response) => json(response, thing));
    const http = client(server);
    await http.send(get({ directory }));
    await http.send(post({ directory }));
    for (const request of server.requests) {
      const [sent = '', ...others] = request.valuesOf(DIRECTORY_HEADER);
      expect(others).toEqual([]);
      expect(sent).toMatch(/^[!-~]+$/);
      expect(decodeURIComponent(sent)).toBe(directory);
    }
    expect(server.requests).toHaveLength(2);
  });

  it.each(['x-opencode-directory', 'X-OpenCode-Directory', 'X-OPENCODE-DIRECTORY'])(
    'keeps the directory when the caller passes a header %s',
    async (name) => {
      const server = await serve((response) => json(response, thing));
      await client(server).send(get({ directory: '/srv/app' }), { headers: { [name]: '%2Fsrv%2Fother' } });
      expect(server.requests[0]?.valuesOf(DIRECTORY_HEADER)).toEqual(['%2Fsrv%2Fapp']);
    },
  );

  it.each(['authorization', 'Authorization', 'AUTHORIZATION'])(
    'keeps the credentials when the caller passes a header %s',
    async (name) => {
      const server = await serve((response) => json(response, thing));
      const http = client({ url: server.url, authorization: 'Basic right' });
      await http.send(get(), { headers: { [name]: 'Basic wrong' } });
      expect(server.requests[0]?.valuesOf('authorization')).toEqual(['Basic right']);
    },
  );

  it('leaves other headers of the caller alone', async () => {
    const server = await serve((response) => json(response, thing));
    await client(server).send(get({ directory: '/srv/app' }), { headers: { 'X-Trace': 'abc' } });
    expect(server.requests[0]?.headers['x-trace']).toBe('abc');
  });
});

describe('an answer that is an error', () => {
  it.each<[what: string, status: number, headers: Record<string, string>, body: string, expected: object]>([
    [
      '{name, data}',
      404,
      { 'content-type': 'application/json' },
      '{"name":"NotFoundError","data":{"message":"Session not found: ses_x"}}',
      {
        body: { name: 'NotFoundError', data: { message: 'Session not found: ses_x' } },
        serverError: 'NotFoundError',
        message: expect.stringContaining('NotFoundError: Session not found: ses_x'),
      },
    ],
    [
      '{_tag, message}',
      409,
      { 'content-type': 'application/json; charset=utf-8' },
      '{"_tag":"SessionBusyError","sessionID":"ses_x","message":"Session is busy"}',
      {
        body: { _tag: 'SessionBusyError', sessionID: 'ses_x', message: 'Session is busy' },
        serverError: 'SessionBusyError',
        message: expect.stringContaining('SessionBusyError: Session is busy'),
      },
    ],
    [
      '{_tag} alone',
      400,
      { 'content-type': 'application/json' },
      '{"_tag":"BadRequest"}',
      { body: { _tag: 'BadRequest' }, serverError: 'BadRequest' },
    ],
    [
      'a 401 without a body',
      401,
      { 'www-authenticate': 'Basic' },
      '',
      {
        body: undefined,
        serverError: undefined,
        message: 'GET /thing failed with status 401. Check the username and password of the server.',
      },
    ],
    [
      'a 415 of text',
      415,
      { 'content-type': 'text/plain' },
      'Unsupported Media Type\n',
      {
        body: 'Unsupported Media Type\n',
        serverError: undefined,
        message: 'GET /thing failed with status 415 (Unsupported Media Type).',
      },
    ],
    [
      'a 500 with a reference',
      500,
      { 'content-type': 'application/json' },
      '{"name":"UnknownError","data":{"message":"Unexpected server error","ref":"err_1"}}',
      {
        body: { name: 'UnknownError', data: { message: 'Unexpected server error', ref: 'err_1' } },
        serverError: 'UnknownError',
      },
    ],
    [
      'a broken configuration',
      400,
      { 'content-type': 'application/json' },
      '{"name":"ConfigJsonError","data":{"path":"/srv/app/opencode.json","message":"x"}}',
      { serverError: 'ConfigJsonError', message: expect.stringMatching(/Repair the configuration file/) },
    ],
    ['JSON that is no object', 400, { 'content-type': 'application/json' }, 'null', { body: null }],
    ['JSON that is cut', 500, { 'content-type': 'application/json' }, '{"name":', { body: '{"name":' }],
    [
      'the web page, which stands for an unknown path',
      200,
      { 'content-type': 'text/html; charset=utf-8' },
      '<!doctype html><title>opencode</title>',
      { body: undefined, message: expect.stringMatching(/does not know this path/) },
    ],
    ['a redirect', 302, { location: '/elsewhere' }, '', { body: undefined }],
  ])(
    'rejects with RequestError for an answer that is an error: %s',
    async (_what, status, headers, body, expected) => {
      const error = await failureOf((response) => response.writeHead(status, headers).end(body));
      expect(error).toBeInstanceOf(RequestError);
      expect(error).toMatchObject({
        status,
        method: 'GET',
        path: '/thing',
        code: 'REQUEST_FAILED',
        ...expected,
      });
      expect((error as Error).message).toContain(`GET /thing failed with status ${status}`);
    },
  );

  it('names the method and the path without the query in a RequestError', async () => {
    const error = await failureOf(
      (response) => json(response, { name: 'BadRequest', data: {} }, 400),
      post({ path: '/session/ses_1/fork', query: { token: 'secret-token' } }),
    );
    expect(error).toMatchObject({ method: 'POST', path: '/session/ses_1/fork' });
    expect(inspect(error)).not.toContain('secret-token');
  });

  it('keeps what Retry-After asks for in a RequestError', async () => {
    const error = await failureOf(
      (response) => {
        response.setHeader('retry-after', '7');
        json(response, {}, 429);
      },
      post({ path: '/session' }),
    );
    expect(error).toMatchObject({ status: 429, isRetryable: true, retryAfterMs: 7_000 });
  });

  it('shows no credentials in a RequestError', async () => {
    const server = await serve((response) => json(response, { _tag: 'No' }, 403));
    const http = client({ url: server.url, authorization: 'Basic c3dvcmRmaXNo' });
    const error = await rejection(http.send(get()));
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain('c3dvcmRmaXNo');
    expect(JSON.stringify(error)).not.toContain('c3dvcmRmaXNo');
    expect(inspect(http, { depth: null, showHidden: true })).not.toContain('c3dvcmRmaXNo');
  });

  it('reads the body of an error within bounds, and closes it when it has no end', async () => {
    const closed = deferred();
    const error = await failureOf((response) => {
      response.once('close', () => closed.resolve());
      response.writeHead(500, { 'content-type': 'text/plain' });
      const chunk = 'x'.repeat(16 * 1024);
      const pour = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', pour);
      pour();
    });
    expect(error).toBeInstanceOf(RequestError);
    const { body, message } = error as RequestError;
    expect(body).toMatch(/^x+$/);
    expect((body as string).length).toBeLessThanOrEqual(256 * 1024);
    expect(message.length).toBeLessThan(1_000);
    await closed.promise;
  });

  it('does not wait for ever for the rest of the body of an error', async () => {
    const server = await serve((response) => void response.writeHead(500).write('{"name":"Half'));
    const error = await rejection(client(server).send(get(), { retry: false, timeoutMs: 200 }));
    expect([RequestError, TimeoutError]).toContain((error as Error).constructor);
  });

  it('rejects with the reason of the caller who aborts while the body of an error is read', async () => {
    const headersSent = deferred();
    const server = await serve((response) => {
      response.writeHead(500).write('{"name":"Half', () => headersSent.resolve());
    });
    const abort = new AbortController();
    const reason = { because: 'the user left' };
    const fetch: FetchFunction = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      setImmediate(() => abort.abort(reason));
      return response;
    };
    const error = await rejection(
      client(server, { fetch }).send(get(), { retry: false, timeoutMs: false, signal: abort.signal }),
    );
    await headersSent.promise;
    expect(error).toBe(reason);
  });
});

describe('a request that its caller aborts', () => {
  it('does not repeat a request that its caller aborts, and leaves no timer behind', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const abort = new AbortController();
    const reason = { because: 'the user left' };
    let sent = 0;
    const fetch: FetchFunction = (_input, init) => {
      sent += 1;
      return abortable(new Promise<never>(() => undefined), init?.signal ?? undefined);
    };
    const sending = client({ url: 'http://127.0.0.1:9' }, { fetch }).send(get(), { signal: abort.signal });
    await vi.waitFor(() => expect(sent).toBe(1));
    abort.abort(reason);
    expect(await rejection(sending)).toBe(reason);
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('an answer of success that is none', () => {
  const ok = { 'content-type': 'application/json' };

  it.each<[what: string, answer: Answer, issues: unknown]>([
    [
      'an empty body',
      (response) => response.writeHead(200, ok).end(),
      [{ path: '', message: 'the body is empty' }],
    ],
    [
      'no JSON',
      (response) => response.writeHead(200, ok).end('nope'),
      [{ path: '', message: 'the body is not valid JSON' }],
    ],
    [
      'JSON that is cut',
      (response) => response.writeHead(200, ok).end('{"id":"a","si'),
      [{ path: '', message: 'the body is not valid JSON' }],
    ],
    ['no content', (response) => response.writeHead(204).end(), [{ path: '', message: expect.any(String) }]],
    [
      'another type in it',
      (response) => json(response, { id: 'a', size: '1' }),
      [{ path: 'size', message: expect.stringMatching(/number/) }],
    ],
    [
      'nothing of it',
      (response) => json(response, {}),
      [
        { path: 'id', message: expect.stringMatching(/string/) },
        { path: 'size', message: expect.stringMatching(/number/) },
      ],
    ],
    [
      'another kind of value',
      (response) => json(response, ['a']),
      [{ path: '', message: expect.stringMatching(/object/) }],
    ],
    ['null', (response) => json(response, null), [{ path: '', message: expect.stringMatching(/object/) }]],
  ])(
    'rejects with ResponseShapeError for an answer of the wrong shape: %s',
    async (_what, answer, issues) => {
      const error = await failureOf(answer, post());
      expect(error).toBeInstanceOf(ResponseShapeError);
      expect(error).toMatchObject({ method: 'POST', path: '/thing', code: 'RESPONSE_SHAPE', issues });
      expect((error as Error).message).toContain('POST /thing answered with an unexpected shape');
    },
  );

  it('names the index of the list at which an answer has the wrong shape', async () => {
    const server = await serve((response) => json(response, [thing, { id: 'b' }]));
    const error = await rejection(
      client(server).send({ method: 'GET', path: '/things', schema: () => z.array(thingSchema) }),
    );
    expect(error).toMatchObject({ issues: [{ path: '1.size' }] });
    expect((error as Error).message).toContain('1.size: ');
  });

  it('names ten issues of an answer at most', async () => {
    const server = await serve((response) => json(response, Array(50).fill({})));
    const error = await rejection(
      client(server).send({ method: 'GET', path: '/things', schema: () => z.array(thingSchema) }),
    );
    expect((error as ResponseShapeError).issues).toHaveLength(10);
  });

  it('rejects with ConnectionError when a body ends before its length', async () => {
    const error = await failureOf((response) => {
      response
        .writeHead(200, { ...ok, 'content-length': '1000' })
        .write('{"id":"a"', () => response.destroy());
    });
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ method: 'GET', path: '/thing', code: 'CONNECTION_FAILED' });
    expect((error as Error).cause).toBeInstanceOf(Error);
  });

  it('rejects with ConnectionError when a chunked body has no end', async () => {
    const error = await failureOf((response) => {
      response.writeHead(200, ok).write('{"id":"a","size":1}', () => response.destroy());
    });
    expect(error).toBeInstanceOf(ConnectionError);
  });

  it('takes no answer for an operation without an answer', async () => {
    const server = await serve((response) => response.writeHead(204).end());
    const request = { method: 'POST', path: '/prompt', schema: z.undefined } as const;
    await expect(client(server).send(request)).resolves.toBeUndefined();
  });

  it('passes fields through that are new to the library', async () => {
    const server = await serve((response) => json(response, { ...thing, color: 'red' }));
    await expect(client(server).send(get())).resolves.toEqual({ ...thing, color: 'red' });
  });
});

describe('no answer', () => {
  it('rejects with ConnectionError when nothing listens on the port', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const error = await rejection(client({ url: `http://127.0.0.1:${port}` }).send(get(), { retry: false }));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ method: 'GET', path: '/thing' });
    expect((error as Error).message).toMatch(/GET \/thing got no answer \(.*ECONNREFUSED.*\)/);
  });

  it('rejects with ConnectionError when the connection is reset', async () => {
    const error = await failureOf(cutOff, post());
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ method: 'POST', path: '/thing' });
    expect((error as Error).cause).toBeInstanceOf(Error);
  });
});

describe('repeating', () => {
  const unavailable = (status: number): Answer => {
    return (response, _request, attempt) => {
      if (attempt === 1) json(response, { name: 'Unavailable' }, status);
      else json(response, thing);
    };
  };

  it.each([429, 502, 503, 504])('repeats a GET after a %i', async (status) => {
    const server = await serve(unavailable(status));
    await expect(client(server).send(get())).resolves.toEqual(thing);
    expect(server.requests).toHaveLength(2);
  });

  it('repeats a GET after a reset, with its pin and credentials', async () => {
    const server = await serve((response, request, attempt) => {
      if (attempt === 1) cutOff(response, request, attempt);
      else json(response, thing);
    });
    const http = client({ url: server.url, authorization: 'Basic right' });
    await expect(http.send(get({ directory: '/srv/ü' }))).resolves.toEqual(thing);
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /thing',
      'GET /thing',
    ]);
    expect(server.requests[1]?.headers).toMatchObject({
      [DIRECTORY_HEADER]: '%2Fsrv%2F%C3%BC',
      authorization: 'Basic right',
    });
  });

  it('repeats a GET twice, then never again', async () => {
    const server = await serve((response) => json(response, { name: 'Unavailable' }, 503));
    expect(await rejection(client(server).send(get()))).toMatchObject({ status: 503 });
    expect(server.requests).toHaveLength(3);
  });

  it('repeats a GET as often as the caller says', async () => {
    const server = await serve((response) => json(response, { name: 'Unavailable' }, 503));
    await rejection(client(server).send(get(), { retry: 1 }));
    expect(server.requests).toHaveLength(2);
  });

  it.each([false, 0] as const)('repeats nothing with retry: %s', async (retry) => {
    const server = await serve((response, request, attempt) => {
      if (attempt === 1) json(response, { name: 'Unavailable' }, 503);
      else cutOff(response, request, attempt);
    });
    const http = client(server);
    expect(await rejection(http.send(get(), { retry }))).toBeInstanceOf(RequestError);
    expect(await rejection(http.send(get(), { retry }))).toBeInstanceOf(ConnectionError);
    expect(server.requests).toHaveLength(2);
  });

  it.each(['POST', 'PATCH', 'PUT', 'DELETE'] as const)('repeats no %s', async (method) => {
    const server = await serve((response, request, attempt) => {
      if (attempt === 1) json(response, { name: 'Unavailable' }, 503);
      else cutOff(response, request, attempt);
    });
    const http = client(server);
    expect(await rejection(http.send(post({ method }), { retry: 5 }))).toBeInstanceOf(RequestError);
    expect(await rejection(http.send(post({ method }), { retry: 5 }))).toBeInstanceOf(ConnectionError);
    expect(server.requests).toHaveLength(2);
  });

  it('repeats any request that was refused before it was sent, as when the server is just coming up', async () => {
    const server = await serve((response) => json(response, thing));
    let attempts = 0;
    const refusing: typeof fetch = async (input, init) => {
      attempts += 1;
      if (attempts > 1) return fetch(input, init);
      const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      throw new TypeError('fetch failed', { cause: refused });
    };
    await expect(client(server, { fetch: refusing }).send(post())).resolves.toEqual(thing);
    expect(server.requests).toHaveLength(1);
  });

  it.each([400, 401, 404, 409, 500])('repeats no request after a %i', async (status) => {
    const server = await serve((response) => json(response, {}, status));
    expect(await rejection(client(server).send(get()))).toMatchObject({ status });
    expect(server.requests).toHaveLength(1);
  });

  it('repeats no request after an answer of the wrong shape', async () => {
    const server = await serve((response) => json(response, {}));
    expect(await rejection(client(server).send(get()))).toBeInstanceOf(ResponseShapeError);
    expect(server.requests).toHaveLength(1);
  });

  it('repeats a GET after a 503 that was cut', async () => {
    const cut = deferred();
    const server = await serve((response, _request, attempt) => {
      if (attempt > 1) return json(response, thing);
      response.writeHead(503, { 'content-length': '1000' }).write('half', () => response.destroy());
      response.once('close', () => cut.resolve());
    });
    const fetch: FetchFunction = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      if (response.status === 503) {
        await cut.promise;
        await response
          .clone()
          .text()
          .catch(() => undefined);
      }
      return response;
    };
    await expect(client(server, { fetch }).send(get())).resolves.toEqual(thing);
  });

  it('closes the answer that it does not read', async () => {
    const closed = deferred();
    const server = await serve((response, _request, attempt) => {
      if (attempt > 1) return json(response, thing);
      response.once('close', () => closed.resolve());
      response.writeHead(503).write('and so on');
    });
    await client(server).send(get());
    await closed.promise;
  });

  it.each([
    [-1, RangeError],
    [1.5, RangeError],
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
    ['2', TypeError],
    [true, TypeError],
    [null, TypeError],
  ])('refuses retry: %s before anything is sent', async (retry, type) => {
    const server = await serve((response) => json(response, thing));
    const error = await rejection(client(server).send(get(), { retry: retry as number }));
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(/expected retry to be .*got/i);
    expect(server.requests).toHaveLength(0);
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])(
    'does not follow a redirect, so that nobody else gets the credentials: %i',
    async (status) => {
      const other = await serve((response) => json(response, thing));
      const server = await serve((response) => {
        response.writeHead(status, { location: `${other.url}/thing` }).end();
      });
      const http = client({ url: server.url, authorization: 'Basic right' });
      const error = await rejection(http.send(get({ directory: '/srv/app' })));
      expect(error).toBeInstanceOf(RequestError);
      expect(error).toMatchObject({ status });
      expect(other.requests).toHaveLength(0);
      expect(server.requests).toHaveLength(1);
    },
  );

  it('rejects with ConnectionError for a redirect in a browser, which hides its status', async () => {
    let sent = 0;
    // As the Fetch standard has it: status 0, no headers, no body.
    const fetch: FetchFunction = () => {
      sent += 1;
      const hidden = Response.error();
      Object.defineProperty(hidden, 'type', { value: 'opaqueredirect' });
      return Promise.resolve(hidden);
    };
    const http = client({ url: 'http://127.0.0.1:1' }, { fetch });
    const redirected = { name: 'ConnectionError', isRedirect: true, path: '/thing' };
    expect(await rejection(http.send(get()))).toMatchObject(redirected);
    expect(await rejection(http.openEventStream('/thing', new AbortController().signal))).toMatchObject(
      redirected,
    );
    expect(sent).toBe(2);
  });
});

describe('the time limit', () => {
  it.each<[what: string, answer: Answer, request: ThingRequest]>([
    ['no answer at all', hang, get()],
    ['an answer without its body', (response) => void response.writeHead(200).flushHeaders(), post()],
    ['waiting to repeat', (response) => json(response, {}, 503), get()],
    [
      'waiting at the gate',
      (response) => json(response, thing),
      get({ acquire: (signal) => abortable(deferred<() => void>().promise, signal) }),
    ],
  ])('ends at the time limit: %s', async (_what, answer, request) => {
    const server = await serve(answer);
    const error = await rejection(client(server).send(request, { timeoutMs: 100 }));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ phase: 'request', timeoutMs: 100, code: 'TIMEOUT' });
    expect((error as Error).message).toContain(`${request.method} /thing took longer than 100 ms`);
  });

  it('closes the request that it gave up at the time limit', async () => {
    const closed = deferred();
    const server = await serve((response) => response.once('close', () => closed.resolve()));
    await rejection(client(server).send(get(), { timeoutMs: 50 }));
    await closed.promise;
  });

  it.each([false, 2 ** 31, 2 ** 40] as const)(
    'lets a slow answer come with timeoutMs: %s',
    async (timeoutMs) => {
      const server = await serve((response) => setTimeout(() => json(response, thing), 100));
      await expect(client(server).send(get(), { timeoutMs })).resolves.toEqual(thing);
    },
  );

  it.each<[value: unknown, type: ErrorConstructor]>([
    [0, RangeError],
    [-5, RangeError],
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
    ['5', TypeError],
    [null, TypeError],
    [true, TypeError],
  ])('refuses timeoutMs: %s before anything is sent', async (timeoutMs, type) => {
    const server = await serve((response) => json(response, thing));
    const error = await rejection(client(server).send(get(), { timeoutMs: timeoutMs as number }));
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(/expected timeoutMs to be .*got/i);
    expect(server.requests).toHaveLength(0);
  });
});

describe('the signal', () => {
  it.each<[what: string, reason: unknown]>([
    ['an Error', new Error('enough')],
    ['an object', { because: 'the user left' }],
    ['a string', 'stop'],
    ['null', null],
    ['a RangeError', new RangeError('mine')],
  ])('rejects with the reason of the signal, untouched: %s', async (_what, reason) => {
    const arrived = deferred();
    const server = await serve(() => arrived.resolve());
    const abort = new AbortController();
    const error = rejection(client(server).send(get(), { signal: abort.signal }));
    await arrived.promise;
    abort.abort(reason);
    expect(await error).toBe(reason);
  });

  it('rejects with the AbortError of a signal that was aborted without a reason', async () => {
    const arrived = deferred();
    const server = await serve(() => arrived.resolve());
    const abort = new AbortController();
    const error = rejection(client(server).send(get(), { signal: abort.signal }));
    await arrived.promise;
    abort.abort();
    expect(await error).toBe(abort.signal.reason);
    expect(await error).toMatchObject({ name: 'AbortError' });
  });

  it('sends nothing when the signal was aborted before', async () => {
    const server = await serve((response) => json(response, thing));
    const reason = new Error('too late');
    const acquire = vi.fn(async () => () => undefined);
    const error = await rejection(
      client(server).send(get({ acquire }), { signal: AbortSignal.abort(reason) }),
    );
    expect(error).toBe(reason);
    expect(acquire).not.toHaveBeenCalled();
    expect(server.requests).toHaveLength(0);
  });

  it('rejects with the reason of a signal that is aborted while the body is read', async () => {
    const server = await serve((response) => void response.writeHead(200).flushHeaders());
    const abort = new AbortController();
    const reason = new Error('enough');
    const fetch: FetchFunction = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      setImmediate(() => abort.abort(reason));
      return response;
    };
    const error = await rejection(client(server, { fetch }).send(get(), { signal: abort.signal }));
    expect(error).toBe(reason);
  });

  it('rejects with the reason of a signal that is aborted while it waits to repeat, and repeats nothing', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const server = await serve((response) => {
      response.once('finish', () => setImmediate(() => abort.abort(reason)));
      json(response, {}, 503);
    });
    expect(await rejection(client(server).send(get(), { signal: abort.signal }))).toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  it('ignores a signal that is aborted after the answer', async () => {
    const server = await serve((response) => json(response, thing));
    const abort = new AbortController();
    const answer = await client(server).send(get(), { signal: abort.signal });
    abort.abort(new Error('too late'));
    expect(answer).toEqual(thing);
  });

  it("ends what is under way, and every later call, with the reason of the client's signal", async () => {
    const arrived = deferred();
    const server = await serve(() => arrived.resolve());
    const closing = new AbortController();
    const reason = new Error('closed');
    const http = client(server, { signal: closing.signal });
    const error = rejection(http.send(post()));
    await arrived.promise;
    closing.abort(reason);
    expect(await error).toBe(reason);
    expect(await rejection(http.send(get()))).toBe(reason);
    expect(server.requests).toHaveLength(1);
  });
});

/** Every way a call can end. */
const endings: readonly (readonly [
  what: string,
  answer: Answer,
  request: ThingRequest,
  options: RequestOptions,
])[] = [
  ['success', (response) => json(response, thing), get(), {}],
  ['success after a repetition', (r, _q, n) => json(r, n === 1 ? {} : thing, n === 1 ? 503 : 200), get(), {}],
  ['a 404', (response) => json(response, { name: 'NotFoundError' }, 404), get(), {}],
  ['a 500 of a POST', (response) => json(response, {}, 500), post(), {}],
  ['a web page', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), get(), {}],
  ['no JSON', (response) => response.end('nope'), get(), {}],
  ['the wrong shape', (response) => json(response, {}), get(), {}],
  ['a reset', cutOff, post(), {}],
  ['a cut body', (r) => r.write('{', () => r.destroy()), get(), {}],
  ['a time limit', hang, get(), { timeoutMs: 50 }],
];

describe('whatever the ending', () => {
  it.each(endings)(
    'releases the hold of a request once after %s',
    async (_what, answer, request, options) => {
      const server = await serve(answer);
      const release = vi.fn();
      const acquire = vi.fn(async () => release);
      await client(server)
        .send({ ...request, acquire }, options)
        .catch(() => undefined);
      expect(acquire).toHaveBeenCalledTimes(1);
      expect(release).toHaveBeenCalledTimes(1);
    },
  );

  it.each(endings)('leaves no listener on a signal after %s', async (_what, answer, request, options) => {
    const server = await serve(answer);
    const { signal } = new AbortController();
    const closing = new AbortController();
    const http = client(server, { signal: closing.signal });
    const before = getEventListeners(closing.signal, 'abort');
    const sent = http.send(request, { ...options, signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await sent.catch(() => undefined);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(getEventListeners(closing.signal, 'abort')).toEqual(before);
  });

  it('releases the hold once and leaves no listener on a signal after an abort', async () => {
    const arrived = deferred();
    const server = await serve(() => arrived.resolve());
    const abort = new AbortController();
    const closing = new AbortController();
    const release = vi.fn();
    const http = client(server, { signal: closing.signal });
    const before = getEventListeners(closing.signal, 'abort');
    const sent = http.send(get({ acquire: async () => release }), { signal: abort.signal });
    await arrived.promise;
    expect(release).not.toHaveBeenCalled();
    abort.abort();
    await rejection(sent);
    expect(release).toHaveBeenCalledTimes(1);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
    expect(getEventListeners(closing.signal, 'abort')).toEqual(before);
  });

  it('keeps the hold until the answer is read to its end', async () => {
    const finish = deferred();
    const server = await serve((response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"id":"a",');
      void finish.promise.then(() => response.end('"size":1}'));
    });
    const release = vi.fn();
    const headersRead = deferred();
    const fetch: FetchFunction = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      headersRead.resolve();
      return response;
    };
    const sent = client(server, { fetch }).send(get({ acquire: async () => release }));
    await headersRead.promise;
    expect(release).not.toHaveBeenCalled();
    finish.resolve();
    await sent;
    expect(release).toHaveBeenCalledTimes(1);
  });

  it('rejects with the error of a gate that refuses, and sends nothing', async () => {
    const server = await serve((response) => json(response, thing));
    const refusal = new TimeoutError('Disposing', { phase: 'dispose', timeoutMs: 5 });
    const error = await rejection(client(server).send(get({ acquire: () => Promise.reject(refusal) })));
    expect(error).toBe(refusal);
    expect(server.requests).toHaveLength(0);
  });

  it.each<[what: string, request: ThingRequest, options: RequestOptions]>([
    ['a header of two lines', get(), { headers: { 'x-bad': 'a\nb' } }],
    ['a header that reads like a failure', get(), { headers: { 'x-bad': 'fetch\nnetwork' } }],
    ['a header name that is none', get(), { headers: { 'x bad': 'a' } }],
    ['a body that is no JSON', post({ json: { n: 1n } }), {}],
    ['a time limit that is none', get(), { timeoutMs: '5' as unknown as number }],
  ])(
    'rejects with a TypeError for a mistake of the caller, and holds or sends nothing: %s',
    async (_what, request, options) => {
      const server = await serve((response) => json(response, thing));
      const { signal } = new AbortController();
      const release = vi.fn();
      const acquire = vi.fn(async () => release);
      const error = await rejection(client(server).send({ ...request, acquire }, { ...options, signal }));
      expect(error).toBeInstanceOf(TypeError);
      expect(server.requests).toHaveLength(0);
      expect(release).toHaveBeenCalledTimes(acquire.mock.calls.length);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    },
  );
});

describe('a page', () => {
  const things = { method: 'GET', path: '/things', schema: () => z.array(thingSchema) } as const;

  it('reads from a page where the next one begins', async () => {
    const server = await serve((response, _request, attempt) => {
      if (attempt === 1) response.setHeader('x-next-cursor', 'abc');
      json(response, [thing]);
    });
    const http = client(server);
    await expect(http.sendPage(things)).resolves.toEqual({ items: [thing], next: 'abc' });
    await expect(http.sendPage(things)).resolves.toEqual({ items: [thing], next: undefined });
  });

  it('refuses a page of the wrong shape', async () => {
    const server = await serve((response) => json(response, { items: [thing] }));
    expect(await rejection(client(server).sendPage(things))).toBeInstanceOf(ResponseShapeError);
  });
});

describe('a text', () => {
  const diff = { method: 'GET', path: '/diff' } as const;

  it.each(['', 'a\nü 日 🦊\n', '{"a":1}'])('gives a text as it is: %j', async (body) => {
    const server = await serve((response) => {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
    });
    await expect(client(server).sendText(diff)).resolves.toBe(body);
  });

  it('refuses a text that is the web page of an unknown path', async () => {
    const server = await serve((response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    });
    const error = await rejection(client(server).sendText(diff));
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ status: 200, path: '/diff' });
  });

  it('rejects with ConnectionError when a text is cut', async () => {
    const server = await serve((response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('half', () => response.destroy());
    });
    expect(await rejection(client(server).sendText(diff))).toBeInstanceOf(ConnectionError);
  });
});

describe('a stream', () => {
  const stream: Answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n');
  };

  it('opens a stream as soon as its headers are there, with the credentials', async () => {
    const server = await serve(stream);
    const abort = new AbortController();
    const body = await client({ url: server.url, authorization: 'Basic right' }).openEventStream(
      '/global/event',
      abort.signal,
    );
    const reader = body.getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toBe('data: {}\n\n');
    expect(server.requests[0]?.headers).toMatchObject({
      accept: 'text/event-stream',
      authorization: 'Basic right',
    });
    await reader.cancel();
  });

  it('ends a stream on the server when its signal aborts', async () => {
    const closed = deferred();
    const server = await serve((response, request, attempt) => {
      response.once('close', () => closed.resolve());
      stream(response, request, attempt);
    });
    const abort = new AbortController();
    const body = await client(server).openEventStream('/global/event', abort.signal);
    const reader = body.getReader();
    await reader.read();
    abort.abort(new Error('enough'));
    await expect(reader.read()).rejects.toThrow('enough');
    await closed.promise;
  });

  it('rejects with RequestError when the server refuses a stream', async () => {
    const server = await serve((response) => response.writeHead(401).end());
    const error = await rejection(
      client(server).openEventStream('/global/event', new AbortController().signal),
    );
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ status: 401, method: 'GET', path: '/global/event' });
  });

  it.each([
    ['the web page', 'text/html'],
    ['JSON', 'application/json'],
  ])('refuses %s in place of an event stream, and closes it', async (_what, type) => {
    const closed = deferred();
    const server = await serve((response) => {
      response.once('close', () => closed.resolve());
      response.writeHead(200, { 'content-type': type }).write('and so on');
    });
    const error = await rejection(
      client(server).openEventStream('/global/event', new AbortController().signal),
    );
    expect(error).toBeInstanceOf(ResponseShapeError);
    expect((error as Error).message).toContain(`expected an event stream, got ${type}`);
    await closed.promise;
  });

  it('rejects with the reason of its signal when nobody answers a stream', async () => {
    const arrived = deferred();
    const server = await serve(() => arrived.resolve());
    const abort = new AbortController();
    const reason = new Error('enough');
    const error = rejection(client(server).openEventStream('/global/event', abort.signal));
    await arrived.promise;
    abort.abort(reason);
    expect(await error).toBe(reason);
  });

  it('rejects with ConnectionError when a stream is cut before its headers', async () => {
    const server = await serve(cutOff);
    const error = await rejection(
      client(server).openEventStream('/global/event', new AbortController().signal),
    );
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ method: 'GET', path: '/global/event' });
    expect(server.requests).toHaveLength(1);
  });
});
