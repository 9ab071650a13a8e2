import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { serve, type ServerType } from '@hono/node-server';
import { transform } from 'esbuild';
import type { Express } from 'express';
import type { Hono } from 'hono';
import { readTurn, type RepoClient } from 'jarvis-opencode';
import { hang, mockOpenCode, text } from 'jarvis-opencode/testing';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { blocksOf } from '../../scripts/docs/blocks.js';

// The back ends of docs/backends.md, as they stand there, over the mock.

interface Backends {
  honoApp(repo: RepoClient): Hono;
  expressApp(repo: RepoClient): Express;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const opencode = mockOpenCode();
const network = setupServer(...opencode.handlers);
let directory: string;
let backends: Backends;
let repo: RepoClient;

beforeAll(async () => {
  network.listen({ onUnhandledRequest: 'bypass' });
  repo = (await opencode.client()).forRepo('/home/me/app');
  directory = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-backends-')));
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  const blocks = blocksOf(readFileSync(join(root, 'docs/backends.md'), 'utf8'));
  const parts: Partial<Backends> = {};
  for (const { code } of blocks.filter((block) => /from '(hono|express)'/.test(block.code))) {
    const file = join(directory, `${Object.keys(parts).length}.mjs`);
    await writeFile(file, (await transform(code, { loader: 'ts' })).code);
    Object.assign(parts, (await import(pathToFileURL(file).href)) as object);
  }
  backends = parts as Backends;
});
afterAll(async () => {
  await opencode.close();
  network.close();
  await rm(directory, { recursive: true, force: true });
});

describe.each<[name: string, listen: () => ServerType]>([
  ['Hono', () => serve({ fetch: backends.honoApp(repo).fetch, port: 0, hostname: '127.0.0.1' })],
  ['Express', () => backends.expressApp(repo).listen(0, '127.0.0.1')],
])('the back end of the guide with %s', (_name, listen) => {
  let server: Server;
  let url: string;
  beforeEach(async () => {
    server = listen() as Server;
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const chat = (id: string, message: string, signal?: AbortSignal): Promise<Response> =>
    fetch(`${url}/chat/${id}`, {
      method: 'POST',
      body: message,
      headers: { 'content-type': 'text/plain' },
      ...(signal && { signal }),
    });

  it('streams the turns of one conversation', async () => {
    opencode.script(({ prompt }) => [text(`You said: ${prompt}`)]);
    const turn = readTurn(await chat('one', 'hello'));
    let seen = '';
    for await (const piece of turn.text) seen += piece;
    expect(seen).toBe('You said: hello');
    expect((await readTurn(await chat('one', 'again')).result).text).toBe('You said: again');
    expect(await (await repo.sessions.open('one')).messages()).toHaveLength(4);
    await (await repo.sessions.open('one')).delete();
  });

  it('aborts the turn when the client goes away', async () => {
    opencode.script(() => [text('Working'), hang()]);
    const leave = new AbortController();
    const turn = readTurn(await chat('left', 'hello', leave.signal));
    for await (const step of turn) if (step.type === 'text') break;
    const session = await repo.sessions.open('left');
    leave.abort();
    await turn.result.catch(() => undefined);
    await vi.waitFor(async () => expect((await repo.sessions.status())[session.id]).toBeUndefined());
  });
});
