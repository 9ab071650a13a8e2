// CPU per call through plain fetch, the official SDK and this library as it is built, on one local server that answers at
// once. The rounds are interleaved, so that what else the machine does meets all three alike; what counts is the ratio.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { build } from 'esbuild';
import type * as Library from 'jarvis-opencode';
import { fakeHandle } from '../test/support/server-handle.js';

/** What ours may cost, as multiples of what the others do. POST has no limit of its own. */
const LIMITS: Readonly<Record<Operation, { readonly official?: number; readonly fetch?: number }>> = {
  'GET one session': { official: 1, fetch: 1.4 },
  'POST a session': {},
  'GET a list of 100 sessions': { official: 1.1 },
};

const ROUNDS = 21;
const CALLS_PER_ROUND = 200;
const DIRECTORY = '/srv/app';

type Call = () => Promise<unknown>;
type Peer = 'fetch' | 'official SDK' | 'ours';
type Operation = 'GET one session' | 'POST a session' | 'GET a list of 100 sessions';

/** Microseconds of CPU, user and system, that one call takes: the median over the rounds, for each peer. */
async function measure(calls: Readonly<Record<Peer, Call>>): Promise<Record<Peer, number>> {
  const samples: Record<Peer, number[]> = { fetch: [], 'official SDK': [], ours: [] };
  const peers = Object.keys(calls) as Peer[];
  for (let round = 0; round < ROUNDS; round++) {
    // Each pays for what the one before it left to be collected, so the order changes.
    for (const peer of peers.reverse()) {
      const before = process.cpuUsage();
      for (let call = 0; call < CALLS_PER_ROUND; call++) await calls[peer]();
      const { user, system } = process.cpuUsage(before);
      // The first round warms up.
      if (round > 0) samples[peer].push((user + system) / CALLS_PER_ROUND);
    }
  }
  const median = (values: number[]): number =>
    values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  return {
    fetch: median(samples.fetch),
    'official SDK': median(samples['official SDK']),
    ours: median(samples.ours),
  };
}

/** Bytes of a module with all it imports, minified and compressed, as a browser would load it. */
async function bundleBytes(entry: string): Promise<number> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    logLevel: 'error',
  });
  return gzipSync(outputFiles[0]?.contents ?? '').byteLength;
}

/** One line of the table: microseconds for each, and the ratios with their limits. */
function row(operation: Operation, cpu: Readonly<Record<Peer, number>>): Record<string, string> {
  const ratio = (peer: 'fetch' | 'official SDK', limit: number | undefined): string =>
    (cpu.ours / cpu[peer]).toFixed(2) + (limit === undefined ? '' : ` (limit ${limit.toFixed(2)})`);
  return {
    'fetch us': cpu.fetch.toFixed(0),
    'official SDK us': cpu['official SDK'].toFixed(0),
    'ours us': cpu.ours.toFixed(0),
    'ours : official SDK': ratio('official SDK', LIMITS[operation].official),
    'ours : fetch': ratio('fetch', LIMITS[operation].fetch),
  };
}

const stub = spawn(process.execPath, [new URL('./support/stub-server.mjs', import.meta.url).pathname], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  const [chunk] = (await once(stub.stdout, 'data')) as [Buffer];
  const url = `http://127.0.0.1:${chunk.toString().trim()}`;
  const headers = { 'x-opencode-directory': encodeURIComponent(DIRECTORY) };
  const json = { ...headers, 'content-type': 'application/json' };
  const plain = async (path: string, init: RequestInit): Promise<unknown> =>
    (await fetch(url + path, init)).json();
  const sdk = createOpencodeClient({ baseUrl: url, directory: DIRECTORY });
  // `npm run bench:calls` builds it first.
  const built = new URL('../dist/index.js', import.meta.url).href;
  const { JarvisOpenCode } = (await import(built)) as typeof Library;
  await using jarvis = new JarvisOpenCode(fakeHandle(url), { idle: false });
  const repo = jarvis.forRepo(DIRECTORY);
  const sessionID = 'ses_dfc60aeffffeB17TWucuml4k0';
  const session = repo.sessions.session(sessionID);

  const results: Record<Operation, Record<Peer, number>> = {
    'GET one session': await measure({
      fetch: () => plain(`/session/${sessionID}`, { headers }),
      'official SDK': () => sdk.session.get({ sessionID }),
      ours: () => session.refresh(),
    }),
    'POST a session': await measure({
      fetch: () => plain('/session', { method: 'POST', headers: json, body: '{"title":"x"}' }),
      'official SDK': () => sdk.session.create({ title: 'x' }),
      ours: () => repo.sessions.create({ title: 'x' }),
    }),
    'GET a list of 100 sessions': await measure({
      fetch: () => plain('/session?directory=%2Fsrv%2Fapp', { headers }),
      'official SDK': () => sdk.session.list(),
      ours: () => repo.sessions.list(),
    }),
  };
  const operations = Object.keys(results) as Operation[];
  console.table(
    Object.fromEntries(operations.map((operation) => [operation, row(operation, results[operation])])),
  );
  const [ours, theirs] = await Promise.all([
    bundleBytes(new URL('../src/browser.ts', import.meta.url).pathname),
    bundleBytes(new URL('../node_modules/@opencode-ai/sdk/dist/v2/client.js', import.meta.url).pathname),
  ]);
  console.log(
    `browser bundle, minified and gzipped: ours ${ours} bytes, official SDK v2 client ${theirs} bytes`,
  );
} finally {
  stub.kill();
}
