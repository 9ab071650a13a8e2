// Events per second of CPU through this library as it is built and through the official SDK, both reading from one local process that
// sends what OpenCode sends. The rounds are interleaved, so that what else the machine does meets all alike; what counts is
// the ratio.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import type * as Library from 'jarvis-opencode';
import { fakeHandle } from '../test/support/server-handle.js';

const ROUNDS = 9;
/** Rounds before those, in which the code gets compiled. */
const WARM_UP = 3;
/** Events of one round, in whole turns. */
const EVENTS_PER_TURN = 49;
const TURNS = 2_000;
const REPOS = 50;

/** Reads streams until it is aborted; `event` is called for each event that is not a second delivery. */
type Reader = (event: () => void, signal: AbortSignal) => Promise<unknown>;

interface Peer {
  readonly name: string;
  readonly read: Reader;
  /** How many streams it opens. */
  readonly connections: number;
  /** The share of all events that it consumes. */
  readonly share: number;
}

const source = spawn(process.execPath, [new URL('./support/event-source.mjs', import.meta.url).pathname], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const { JarvisOpenCode } = (await import(
  new URL('../dist/index.js', import.meta.url).href
)) as typeof Library;
const [chunk] = (await once(source.stdout, 'data')) as [Buffer];
const url = `http://127.0.0.1:${chunk.toString().trim()}`;
const sdk = createOpencodeClient({ baseUrl: url });
const directoryOf = (repo: number): string => `/srv/repo-${repo}`;

async function ask(method: string, path: string): Promise<number> {
  return (await (await fetch(url + path, { method })).json()) as number;
}

async function connectionsAre(count: number): Promise<void> {
  while ((await ask('GET', '/connections')) !== count) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Our events of some repositories, each with a subscriber of its own. */
function ours(repos: number): Reader {
  return async (event, signal) => {
    await using jarvis = new JarvisOpenCode(fakeHandle(url), { idle: false });
    const loops = Array.from({ length: repos }, async (_, repo) => {
      for await (const { type } of jarvis.forRepo(directoryOf(repo)).events({ signal })) {
        if (type === 'jarvis.gap') throw new Error('events were dropped');
        event();
      }
    });
    await Promise.all(loops);
  };
}

/** Our events of all repositories, with one subscriber. */
const oursAll: Reader = async (event, signal) => {
  await using jarvis = new JarvisOpenCode(fakeHandle(url), { idle: false });
  for await (const { type, directory } of jarvis.events({ signal })) {
    if (type === 'jarvis.gap') throw new Error('events were dropped');
    if (directory !== undefined) event();
  }
};

/** The official SDK's global stream; second deliveries are left out, and other directories than the one wanted. */
function sdkGlobal(directory?: string): Reader {
  return async (event, signal) => {
    const { stream } = await sdk.global.event({ signal, sseMaxRetryAttempts: 1 });
    for await (const { directory: from, payload } of stream) {
      if (payload.type === 'sync' || from === undefined) continue;
      if (directory === undefined || from === directory) event();
    }
  };
}

/** The official SDK's streams of single repositories, one connection each. */
function sdkRepos(repos: number): Reader {
  return async (event, signal) => {
    const loops = Array.from({ length: repos }, async (_, repo) => {
      const options = { signal, sseMaxRetryAttempts: 1 };
      const { stream } = await sdk.event.subscribe({ directory: directoryOf(repo) }, options);
      for await (const { type } of stream) if (type !== 'server.connected') event();
    });
    await Promise.all(loops);
  };
}

/** Microseconds of CPU, user and system, for one round: `total` events are sent, and `expected` consumed. */
async function round(peer: Peer, repos: number): Promise<number> {
  const turns = TURNS / repos;
  const expected = turns * repos * EVENTS_PER_TURN * peer.share;
  const ended = new AbortController();
  let seen = 0;
  let allSeen = (): void => undefined;
  const consumed = new Promise<void>((resolve) => {
    allSeen = resolve;
  });
  const reading = peer.read(() => {
    if (++seen === expected) allSeen();
  }, ended.signal);
  await connectionsAre(peer.connections);
  const before = process.cpuUsage();
  const [sent] = await Promise.all([
    ask('POST', `/play?turns=${turns}&repos=${repos}`),
    Promise.race([consumed, reading]),
  ]);
  const { user, system } = process.cpuUsage(before);
  ended.abort();
  await reading;
  await connectionsAre(0);
  if (seen !== expected) throw new Error(`${peer.name}: ${seen} of ${expected} events (${sent} sent)`);
  return user + system;
}

/** Events sent per second of CPU: the median over the rounds, for each peer. */
async function measure(peers: readonly Peer[], repos: number): Promise<number[]> {
  const samples: number[][] = peers.map(() => []);
  for (let number = 0; number < WARM_UP + ROUNDS; number++) {
    for (const [index, peer] of peers.entries()) {
      const us = await round(peer, repos);
      if (number >= WARM_UP) samples[index]?.push(us);
    }
  }
  return samples.map((values) => {
    const median = values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
    return (TURNS * EVENTS_PER_TURN * 1e6) / median;
  });
}

async function compare(title: string, peers: readonly [Peer, ...Peer[]], repos: number): Promise<void> {
  const rates = await measure(peers, repos);
  console.log(title);
  for (const [index, peer] of peers.entries()) {
    const rate = rates[index] ?? Number.NaN;
    const ratio = index === 0 ? '' : `, ours : this = ${((rates[0] ?? Number.NaN) / rate).toFixed(2)}`;
    const streams = `${peer.connections} connection${peer.connections === 1 ? '' : 's'}`;
    console.log(`  ${peer.name}: ${Math.round(rate)} events per CPU-second, ${streams}${ratio}`);
  }
}

const all = { connections: 1, share: 1 };
try {
  await compare(
    '1 repository, every event consumed',
    [
      { name: 'repo.events()', read: ours(1), ...all },
      { name: 'SDK global.event()', read: sdkGlobal(), ...all },
      { name: 'SDK event.subscribe()', read: sdkRepos(1), ...all },
    ],
    1,
  );
  await compare(
    `${REPOS} repositories, every event consumed`,
    [
      { name: 'jarvis.events()', read: oursAll, ...all },
      { name: 'repo.events() of each', read: ours(REPOS), ...all },
      { name: 'SDK global.event()', read: sdkGlobal(), ...all },
      { name: 'SDK event.subscribe() of each', read: sdkRepos(REPOS), ...all, connections: REPOS },
    ],
    REPOS,
  );
  await compare(
    `${REPOS} repositories, one subscribed`,
    [
      { name: 'repo.events()', read: ours(1), ...all, share: 1 / REPOS },
      { name: 'SDK global.event()', read: sdkGlobal(directoryOf(0)), ...all, share: 1 / REPOS },
    ],
    REPOS,
  );
} finally {
  source.kill();
}
