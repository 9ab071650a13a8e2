import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Http } from '../../src/client/http/http.js';
import { RepoTransport } from '../../src/client/http/repo-transport.js';
import { McpResource } from '../../src/client/resources/mcp.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';

// Every operation must reach this directory and this server, whose names need escaping.
const DIRECTORY = `a b%20ü日#?+'`;
const NAME = 'a/b %20ü?#';

const command = [process.execPath, fileURLToPath(new URL('../fixtures/mcp-server.mjs', import.meta.url))];

let world: RealJarvis;
let mcp: McpResource;

async function mcpOf(name: string): Promise<McpResource> {
  const { directory } = await world.repo({ name });
  const { server } = world.jarvis;
  const endpoint = () => ({ url: server.url, authorization: server.authorization });
  const http = new Http({ endpoint, signal: new AbortController().signal });
  return new McpResource(new RepoTransport(http, directory, () => Promise.resolve(() => undefined)));
}

/** An MCP server that wants a sign-in, and the provider for it. It registers everybody and takes the code `right`. */
async function protectedServer(): Promise<string> {
  const results: Record<string, unknown> = {
    initialize: {
      protocolVersion: '2025-03-26',
      capabilities: { tools: {} },
      serverInfo: { name: 'protected', version: '1.0.0' },
    },
    'tools/list': { tools: [] },
    ping: {},
  };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const send = (status: number, json?: unknown, headers: Record<string, string> = {}): void => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(json === undefined ? '' : JSON.stringify(json));
      };
      const { pathname } = new URL(request.url ?? '/', url);
      if (pathname.startsWith('/.well-known/oauth-protected-resource')) {
        send(200, { resource: `${url}/mcp`, authorization_servers: [url] });
      } else if (pathname.startsWith('/.well-known/')) {
        send(200, {
          issuer: url,
          authorization_endpoint: `${url}/authorize`,
          token_endpoint: `${url}/token`,
          registration_endpoint: `${url}/register`,
          response_types_supported: ['code'],
          grant_types_supported: ['authorization_code'],
          code_challenge_methods_supported: ['S256'],
          token_endpoint_auth_methods_supported: ['none'],
        });
      } else if (pathname === '/register') {
        send(201, { ...(JSON.parse(body) as object), client_id: 'client' });
      } else if (pathname === '/token') {
        const right = new URLSearchParams(body).get('code') === 'right';
        if (right) send(200, { access_token: 'token', token_type: 'Bearer', expires_in: 3600 });
        else send(400, { error: 'invalid_grant' });
      } else if (request.headers.authorization !== 'Bearer token') {
        const metadata = `${url}/.well-known/oauth-protected-resource`;
        send(401, undefined, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` });
      } else if (request.method !== 'POST') {
        send(405);
      } else {
        const { id, method } = JSON.parse(body) as { id?: number; method: string };
        if (id === undefined) send(202);
        else send(200, { jsonrpc: '2.0', id, result: results[method] ?? {} });
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return `${url}/mcp`;
}

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  mcp = await mcpOf(DIRECTORY);
});
afterAll(() => world[Symbol.asyncDispose]());

describe('an MCP server', () => {
  it('adds, disconnects and connects an MCP server in its repository only', async () => {
    expect(await mcp.status()).toEqual({});
    const added = await mcp.add({ name: NAME, config: { type: 'local', command, environment: { A: '1' } } });
    expect(added).toEqual({ [NAME]: { status: 'connected' } });
    await mcp.disconnect(NAME);
    expect(await mcp.status()).toEqual({ [NAME]: { status: 'disabled' } });
    await mcp.connect(NAME);
    expect(await mcp.status()).toEqual({ [NAME]: { status: 'connected' } });
    expect(await (await mcpOf('other')).status()).toEqual({});
  });

  it('reports an MCP server as disabled or as failed with the reason', async () => {
    const config = { type: 'local', command: ['/nowhere/at all'] } as const;
    await mcp.add({ name: 'off', config: { ...config, command, enabled: false } });
    expect(
      await mcp.add({ name: 'failing', config: { ...config, command: [...config.command] } }),
    ).toMatchObject({
      off: { status: 'disabled' },
      failing: { status: 'failed', error: expect.stringContaining('/nowhere') as string },
    });
  });

  it('refuses to sign in to an MCP server that has no sign-in', async () => {
    await mcp.add({ name: 'plain', config: { type: 'local', command } });
    await expect(mcp.authStart('plain')).rejects.toMatchObject({ status: 400 });
    await expect(mcp.authenticate('plain')).rejects.toMatchObject({ status: 400 });
    await expect(mcp.authCallback('plain', { code: 'x' })).rejects.toMatchObject({ status: 500 });
    await mcp.authRemove('plain');
  });

  it('rejects calls for an unknown MCP server with 404', async () => {
    const calls = [
      () => mcp.connect('none'),
      () => mcp.disconnect('none'),
      () => mcp.authStart('none'),
      () => mcp.authCallback('none', { code: 'x' }),
      () => mcp.authenticate('none'),
      () => mcp.authRemove('none'),
    ];
    for (const call of calls) {
      const body = { _tag: 'McpServerNotFoundError', name: 'none' };
      await expect(call()).rejects.toMatchObject({ status: 404, body });
    }
  });

  it('signs in to an MCP server', async () => {
    const url = await protectedServer();
    const added = await mcp.add({ name: 'protected', config: { type: 'remote', url } });
    expect(added).toMatchObject({ protected: { status: 'needs_auth' } });
    const { authorizationUrl, oauthState } = await mcp.authStart('protected');
    expect(new URL(authorizationUrl).searchParams.get('state')).toBe(oauthState);
    expect(await mcp.authCallback('protected', { code: 'wrong' })).toEqual({ status: 'needs_auth' });
    await mcp.authStart('protected');
    expect(await mcp.authCallback('protected', { code: 'right' })).toEqual({ status: 'connected' });
    expect(await mcp.status()).toMatchObject({ protected: { status: 'connected' } });
    await mcp.authRemove('protected');
    await mcp.disconnect('protected');
    await mcp.connect('protected');
    expect(await mcp.status()).toMatchObject({ protected: { status: 'needs_auth' } });
  });

  it('refuses an incomplete or incorrect description of an MCP server', async () => {
    await expect(mcp.add({ name: 'x', config: { type: 'local', command: [] } })).rejects.toThrow(TypeError);
    await expect(mcp.add({ name: 'x', config: { type: 'remote' } } as never)).rejects.toThrow(TypeError);
    await expect(mcp.connect('')).rejects.toThrow(TypeError);
  });
});
