// Events per second of CPU through this library as it is built and through the official SDK, all reading from one local process
// that sends what OpenCode sends. Each peer reads in a process of its own, so that none pays for the garbage of another; the
// rounds are interleaved, so that what else the machine does meets all alike. What counts is the ratio.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ReaderName, RoundReport, RoundRequest } from './support/event-reader.js';

const ROUNDS = 9;
/** Events of one round, in whole turns. */
const EVENTS_PER_TURN = 49;
const TURNS = 2_000;
const REPOS = 50;
const EVENTS = TURNS * EVENTS_PER_TURN;

interface Peer {
  readonly name: string;
  readonly reader: ReaderName;
  /** How many streams it opens. */
  readonly connections: number;
  /** The share of all events that it consumes. */
  readonly share: number;
}

const source = spawn(
  process.execPath,
  [fileURLToPath(new URL('./support/event-source.mjs', import.meta.url))],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const [chunk] = (await once(source.stdout, 'data')) as [Buffer];
const url = `http://127.0.0.1:${chunk.toString().trim()}`;

/** The process of a peer. */
interface PeerProcess {
  readonly child: ChildProcess;
  /** Rejects when it ends. */
  readonly ended: Promise<never>;
}

function startPeer({ name }: Peer): PeerProcess {
  const child = fork(fileURLToPath(new URL('./support/event-reader.ts', import.meta.url)), [url]);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${name} ended with ${String(code)}`);
  });
  ended.catch(() => undefined);
  return { child, ended };
}

/** Microseconds of CPU, user and system, that one round cost the process of a peer. */
async function round(
  { child, ended }: PeerProcess,
  { reader, connections, share }: Peer,
  repos: number,
): Promise<number> {
  const request: RoundRequest = {
    reader,
    connections,
    repos,
    turns: TURNS / repos,
    expected: EVENTS * share,
  };
  const answer = once(child, 'message') as Promise<[RoundReport]>;
  child.send(request);
  const [{ cpuUs }] = await Promise.race([answer, ended]);
  return cpuUs;
}

/** Events sent per second of CPU: the median over the rounds, for each peer. */
async function measure(peers: readonly Peer[], repos: number): Promise<number[]> {
  const started = peers.map((peer) => ({ peer, process: startPeer(peer), samples: [] as number[] }));
  try {
    for (let number = 0; number <= ROUNDS; number++) {
      for (const { peer, process, samples } of started) {
        const us = await round(process, peer, repos);
        // The first round warms up.
        if (number > 0) samples.push(us);
      }
    }
  } finally {
    for (const { process } of started) process.child.kill();
  }
  return started.map(({ samples }) => {
    const median = samples.sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
    return (EVENTS * 1e6) / median;
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
      { name: 'repo.events()', reader: 'one repo', ...all },
      { name: 'SDK global.event()', reader: 'SDK global', ...all },
      { name: 'SDK event.subscribe()', reader: 'SDK each repo', ...all },
    ],
    1,
  );
  await compare(
    `${REPOS} repositories, every event consumed`,
    [
      { name: 'jarvis.events()', reader: 'all repos', ...all },
      { name: 'repo.events() of each', reader: 'each repo', ...all },
      { name: 'SDK global.event()', reader: 'SDK global', ...all },
      { name: 'SDK event.subscribe() of each', reader: 'SDK each repo', ...all, connections: REPOS },
    ],
    REPOS,
  );
  await compare(
    `${REPOS} repositories, one subscribed`,
    [
      { name: 'repo.events()', reader: 'one repo', ...all, share: 1 / REPOS },
      { name: 'SDK global.event()', reader: 'SDK global of one', ...all, share: 1 / REPOS },
    ],
    REPOS,
  );
} finally {
  source.kill();
}
