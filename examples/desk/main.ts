/**
 * The desk: what a desktop host may show of many repositories behind one OpenCode server, as a page on loopback.
 *
 *   npm run desk                                    four new repositories and a scripted model that plays; no key, no network
 *   npm run desk -- --repo PATH --repo PATH         your own repositories and configuration
 *   npm run desk -- --port 4200                     on a port of your choice
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { JarvisOpenCode } from 'jarvis-opencode';
import { deskBackend } from './backend.js';
import { Desk } from './desk.js';
import { bundlePage } from './page-files.js';
import { ownStage, scriptedStage, type DeskStage } from './stage.js';

const { values } = parseArgs({
  options: { port: { type: 'string' }, repo: { type: 'string', multiple: true } },
});

async function main(): Promise<void> {
  const port = Number(values.port ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error('--port is a number up to 65535.');
  const files = await bundlePage();
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') throw cause;
    throw new Error(`Port ${port} is taken. Give another one with --port, or leave it out.`, { cause });
  });
  const stage = values.repo === undefined ? await scriptedStage() : ownStage(values.repo);
  try {
    await serve(server, stage, files);
  } finally {
    server.closeAllConnections();
    server.close();
    await stage[Symbol.asyncDispose]();
  }
}

/** Shows the page until the process is told to end. */
async function serve(
  server: ReturnType<typeof createServer>,
  stage: DeskStage,
  files: Awaited<ReturnType<typeof bundlePage>>,
): Promise<void> {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  console.log('Starting one OpenCode server …');
  await using jarvis = await JarvisOpenCode.start({ ...stage.options, signal: ending.signal });
  using desk = new Desk(jarvis, stage);
  const token = randomBytes(16).toString('hex');
  const { port } = server.address() as AddressInfo;
  const answer = deskBackend(desk, { token, origin: `http://127.0.0.1:${port}`, files });
  server.on('request', (from, to) => void respond(answer, from, to).catch(() => to.destroy()));
  console.log(`The desk is open at\n\n  http://127.0.0.1:${port}/?token=${token}\n\nCtrl-C closes it.`);
  stage.play(desk, ending.signal);
  if (!ending.signal.aborted) await once(ending.signal, 'abort');
  console.log('\nClosing …');
}

async function respond(
  answer: (request: Request) => Promise<Response>,
  from: IncomingMessage,
  to: ServerResponse,
): Promise<void> {
  const headers = new Headers();
  for (const name of ['host', 'origin', 'cookie']) {
    const value = from.headers[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  const method = from.method ?? 'GET';
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const body = hasBody ? new Uint8Array(await buffer(from)) : null;
  const response = await answer(new Request(`http://desk${from.url ?? '/'}`, { method, headers, body }));
  const { status, body: content } = response;
  await pipeline(content ?? [], to.writeHead(status, Object.fromEntries(response.headers)));
}

await main().catch((error: unknown) => {
  if ((error as Error).name === 'AbortError') return;
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
