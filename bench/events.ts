// Events per second of CPU through this library as it is built and through the official SDK, both reading from one local process that
// sends again what a real server sent during two turns: one of a coding agent, with tools, and one that is nothing but an answer.
// The rounds are interleaved, so that what else the machine does meets all alike; what counts is the ratio.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import type * as Library from 'jarvis-opencode';
import { fakeHandle } from '../test/support/server-handle.js';
import type { RecordedTurn } from './support/record-turn.js';
import { recordTurns } from './support/turns.js';

const ROUNDS = 9;
/** Rounds before those, in which the code gets compiled. */
const WARM_UP = 3;
/** About so many events are sent in one round, in whole turns. */
const EVENTS_PER_ROUND = 100_000;
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

const turns = await recordTurns();
const source = spawn(process.execPath, [new URL('./support/event-source.mjs', import.meta.url).pathname], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
source.stdin.end(JSON.stringify(turns.map(({ turn }) => turn)));
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

/** What is sent in one round. */
interface Load {
  /** Its place among the recorded turns. */
  readonly turn: number;
  readonly times: number;
  readonly repos: number;
  /** Events that are no second deliveries. */
  readonly events: number;
}

/** Microseconds of CPU, user and system, for one round. */
async function round(peer: Peer, { turn, times, repos, events }: Load): Promise<number> {
  const expected = events * peer.share;
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
  await Promise.all([
    ask('POST', `/play?turn=${turn}&times=${times}&repos=${repos}`),
    Promise.race([consumed, reading]),
  ]);
  const { user, system } = process.cpuUsage(before);
  ended.abort();
  await reading;
  await connectionsAre(0);
  if (seen !== expected) throw new Error(`${peer.name}: ${seen} of ${expected} events`);
  return user + system;
}

/** Events sent per second of CPU: the median over the rounds, for each peer. */
async function measure(peers: readonly Peer[], load: Load): Promise<number[]> {
  const samples: number[][] = peers.map(() => []);
  for (let number = 0; number < WARM_UP + ROUNDS; number++) {
    for (const [index, peer] of peers.entries()) {
      const us = await round(peer, load);
      if (number >= WARM_UP) samples[index]?.push(us);
    }
  }
  return samples.map((values) => {
    const median = values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
    return (load.events * 1e6) / median;
  });
}

async function compare(title: string, peers: readonly [Peer, ...Peer[]], load: Load): Promise<void> {
  const rates = await measure(peers, load);
  console.log(`  ${title}`);
  for (const [index, peer] of peers.entries()) {
    const rate = rates[index] ?? Number.NaN;
    const ratio = index === 0 ? '' : `, ours : this = ${((rates[0] ?? Number.NaN) / rate).toFixed(2)}`;
    const streams = `${peer.connections} connection${peer.connections === 1 ? '' : 's'}`;
    console.log(`    ${peer.name}: ${Math.round(rate)} events per CPU-second, ${streams}${ratio}`);
  }
}

function loadOf(place: number, eventsOfTurn: number, repos: number): Load {
  const times = Math.ceil(EVENTS_PER_ROUND / (eventsOfTurn * repos));
  return { turn: place, times, repos, events: eventsOfTurn * repos * times };
}

const isSecond = (data: string): boolean =>
  (JSON.parse(data) as { payload: { type: string } }).payload.type === 'sync';

/** What the turn consists of, in one line. */
function summaryOf({ reads }: RecordedTurn): string {
  const frames = reads.flat();
  const bytes = (some: readonly string[]): number => some.reduce((sum, { length }) => sum + length, 0);
  const seconds = frames.filter(isSecond);
  const kB = Math.round(bytes(frames) / 1000);
  const share = Math.round((100 * bytes(seconds)) / bytes(frames));
  return `${frames.length} frames of ${kB} kB in ${reads.length} reads, ${seconds.length} of them second deliveries (${share} % of the bytes)`;
}

const all = { connections: 1, share: 1 };
try {
  for (const [place, { title, turn }] of turns.entries()) {
    const events = turn.reads.flat().filter((data) => !isSecond(data)).length;
    console.log(`${title}: ${summaryOf(turn)}`);
    await compare(
      '1 repository, every event consumed',
      [
        { name: 'repo.events()', read: ours(1), ...all },
        { name: 'SDK global.event()', read: sdkGlobal(), ...all },
        { name: 'SDK event.subscribe()', read: sdkRepos(1), ...all },
      ],
      loadOf(place, events, 1),
    );
    await compare(
      `${REPOS} repositories, every event consumed`,
      [
        { name: 'jarvis.events()', read: oursAll, ...all },
        { name: 'repo.events() of each', read: ours(REPOS), ...all },
        { name: 'SDK global.event()', read: sdkGlobal(), ...all },
        { name: 'SDK event.subscribe() of each', read: sdkRepos(REPOS), ...all, connections: REPOS },
      ],
      loadOf(place, events, REPOS),
    );
    await compare(
      `${REPOS} repositories, one subscribed`,
      [
        { name: 'repo.events()', read: ours(1), ...all, share: 1 / REPOS },
        { name: 'SDK global.event()', read: sdkGlobal(directoryOf(0)), ...all, share: 1 / REPOS },
      ],
      loadOf(place, events, REPOS),
    );
  }
} finally {
  source.kill();
}
