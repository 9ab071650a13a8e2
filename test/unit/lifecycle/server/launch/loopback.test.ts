import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  answersDirectly,
  exemptLoopback,
  isLoopback,
  loopbackExemption,
  proxyVariable,
} from '../../../../../src/lifecycle/server/launch/loopback.js';

const HTTP_PROXY = 'http://proxy.example:3128';
const ALL = '127.0.0.1,localhost,::1,[::1]';

describe('loopbackExemption', () => {
  it('changes nothing in an environment without a proxy', () => {
    expect(loopbackExemption({ NO_PROXY: 'example.com' }, '127.0.0.1')).toEqual({});
    expect(loopbackExemption({ HTTP_PROXY: '', HTTPS_PROXY: HTTP_PROXY }, '127.0.0.1')).toEqual({});
  });

  it.each(['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'])(
    'exempts loopback addresses from the proxy of %s',
    (name) => {
      expect(proxyVariable({ [name]: HTTP_PROXY })).toBe(name);
      expect(loopbackExemption({ [name]: HTTP_PROXY }, '127.0.0.1')).toEqual({ NO_PROXY: ALL });
    },
  );

  it.each<[given: string, expected: string]>([
    ['', ALL],
    ['example.com, .internal', `example.com,.internal,${ALL}`],
    ['example.com .internal', `example.com,.internal,${ALL}`],
    ['localhost', 'localhost,127.0.0.1,::1,[::1]'],
    // A port exempts that port alone, and few programs understand a range.
    ['127.0.0.1:8080,localhost:80', `127.0.0.1:8080,localhost:80,${ALL}`],
    ['127.0.0.0/8,10.0.0.0/8', `127.0.0.0/8,10.0.0.0/8,${ALL}`],
    ['*.example.com,*', `*.example.com,*,${ALL}`],
  ])('adds what %j lacks', (given, expected) => {
    expect(loopbackExemption({ HTTP_PROXY, NO_PROXY: given }, '127.0.0.1')).toEqual({ NO_PROXY: expected });
  });

  it.each(['*', ' * ', ALL, `example.com,${ALL}`])('leaves %j, which exempts loopback', (given) => {
    expect(loopbackExemption({ HTTP_PROXY, NO_PROXY: given }, '127.0.0.1')).toEqual({});
  });

  it('completes each spelling of the variable that is there, because programs differ in which one counts', () => {
    const exemption = loopbackExemption({ HTTP_PROXY, NO_PROXY: 'a.example', no_proxy: 'b.example' }, '::1');
    expect(exemption).toEqual({ NO_PROXY: `a.example,${ALL}`, no_proxy: `b.example,${ALL}` });
    expect(loopbackExemption({ HTTP_PROXY, no_proxy: 'b.example' }, '::1')).toEqual({
      no_proxy: `b.example,${ALL}`,
    });
  });

  it('exempts the address that the server listens on', () => {
    expect(loopbackExemption({ HTTP_PROXY, NO_PROXY: ALL }, '192.168.1.5')).toEqual({
      NO_PROXY: `${ALL},192.168.1.5`,
    });
  });
});

describe('exemptLoopback', () => {
  it('sets the variables of this process and returns them', () => {
    for (const name of ['ALL_PROXY', 'all_proxy', 'http_proxy', 'no_proxy']) vi.stubEnv(name, undefined);
    vi.stubEnv('HTTP_PROXY', HTTP_PROXY);
    vi.stubEnv('NO_PROXY', 'example.com');
    expect(exemptLoopback('127.0.0.1')).toEqual({ NO_PROXY: `example.com,${ALL}` });
    expect(process.env.NO_PROXY).toBe(`example.com,${ALL}`);
    expect(exemptLoopback('127.0.0.1')).toEqual({});
  });
});

describe('isLoopback', () => {
  it.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1', '[::1]'])('knows %s', (hostname) => {
    expect(isLoopback(hostname)).toBe(true);
  });

  it.each(['0.0.0.0', '::', '192.168.1.5', '127.example', 'localhost.example'])('refuses %s', (hostname) => {
    expect(isLoopback(hostname)).toBe(false);
  });
});

describe('answersDirectly', () => {
  const noLimit = new AbortController().signal;
  let server: Server | undefined;

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  /** Listens on loopback and gives each request to the listener. */
  async function serving(listener: Parameters<typeof createServer>[1]): Promise<string> {
    server = createServer(listener as never).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it('is true of a server that is healthy, asked with its password', async () => {
    const url = await serving((request, response) => {
      const isAsked = request.url === '/global/health' && request.headers.authorization === 'Basic x';
      response.writeHead(isAsked ? 200 : 401).end(JSON.stringify({ healthy: true, version: '1.18.33' }));
    });
    expect(await answersDirectly(url, 'Basic x', noLimit)).toBe(true);
    expect(await answersDirectly(url, 'Basic y', noLimit)).toBe(false);
  });

  it('is false of a server that is not healthy, and of an endless answer', async () => {
    const unhealthy = await serving((_request, response) => response.end('{"healthy":false}'));
    expect(await answersDirectly(unhealthy, 'Basic x', noLimit)).toBe(false);
    server?.close();
    const endless = await serving((_request, response) => {
      const write = (): boolean => response.write('x'.repeat(10_000));
      response.on('drain', () => void write());
      while (write());
    });
    expect(await answersDirectly(endless, 'Basic x', noLimit)).toBe(false);
  });

  it('is false where nobody listens, and of another protocol', async () => {
    expect(await answersDirectly('http://127.0.0.1:1', 'Basic x', noLimit)).toBe(false);
    expect(await answersDirectly('https://127.0.0.1:1', 'Basic x', noLimit)).toBe(false);
  });

  it('is false when the start is aborted meanwhile', async () => {
    const url = await serving(() => undefined);
    const aborting = new AbortController();
    const answer = answersDirectly(url, 'Basic x', aborting.signal);
    aborting.abort();
    expect(await answer).toBe(false);
    expect(await answersDirectly(url, 'Basic x', aborting.signal)).toBe(false);
  });
});
