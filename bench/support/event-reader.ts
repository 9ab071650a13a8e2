// The process of one peer of the events benchmark: for each round it is asked for, it opens its streams at the source named in
// its argument, has the source play, and answers with the CPU time that passed until everything was consumed.
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import type * as Library from 'jarvis-opencode';
import { fakeHandle } from '../../test/support/server-handle.js';

/** What is asked of it. */
export interface RoundRequest {
  readonly reader: ReaderName;
  /** How many streams the reader opens. */
  readonly connections: number;
  readonly repos: number;
  /** Turns that each repository plays. */
  readonly turns: number;
  /** Events that the reader consumes. */
  readonly expected: number;
}

/** Microseconds of CPU, user and system. */
export interface RoundReport {
  readonly cpuUs: number;
}

export type ReaderName = keyof typeof readers;

/** Reads streams until it is aborted; `event` is called for each event that is not a second delivery. */
type Reader = (event: () => void, signal: AbortSignal, repos: number) => Promise<unknown>;

const url = process.argv[2] ?? '';
const { JarvisOpenCode } = (await import(
  new URL('../../dist/index.js', import.meta.url).href
)) as typeof Library;
const sdk = createOpencodeClient({ baseUrl: url });
const directoryOf = (repo: number): string => `/srv/repo-${repo}`;

/** Our events of some repositories, each with a subscriber of its own. */
const ours: Reader = async (event, signal, repos) => {
  await using jarvis = new JarvisOpenCode(fakeHandle(url), { idle: false });
  const loops = Array.from({ length: repos }, async (_, repo) => {
    for await (const { type } of jarvis.forRepo(directoryOf(repo)).events({ signal })) {
      if (type === 'jarvis.gap') throw new Error('events were dropped');
      event();
    }
  });
  await Promise.all(loops);
};

/** Our events of all repositories, with one subscriber. */
const oursAll: Reader = async (event, signal) => {
  await using jarvis = new JarvisOpenCode(fakeHandle(url), { idle: false });
  for await (const { type, directory } of jarvis.events({ signal })) {
    if (type === 'jarvis.gap') throw new Error('events were dropped');
    if (directory !== undefined) event();
  }
};

/** The official SDK's global stream; second deliveries are left out, and other directories than the one wanted. */
async function sdkGlobal(event: () => void, signal: AbortSignal, directory?: string): Promise<void> {
  const { stream } = await sdk.global.event({ signal, sseMaxRetryAttempts: 1 });
  for await (const { directory: from, payload } of stream) {
    if (payload.type === 'sync' || from === undefined) continue;
    if (directory === undefined || from === directory) event();
  }
}

/** The official SDK's streams of single repositories, one connection each. */
const sdkRepos: Reader = async (event, signal, repos) => {
  const loops = Array.from({ length: repos }, async (_, repo) => {
    const options = { signal, sseMaxRetryAttempts: 1 };
    const { stream } = await sdk.event.subscribe({ directory: directoryOf(repo) }, options);
    for await (const { type } of stream) if (type !== 'server.connected') event();
  });
  await Promise.all(loops);
};

const readers = {
  'one repo': (event, signal) => ours(event, signal, 1),
  'each repo': ours,
  'all repos': oursAll,
  'SDK global': (event, signal) => sdkGlobal(event, signal),
  'SDK global of one': (event, signal) => sdkGlobal(event, signal, directoryOf(0)),
  'SDK each repo': sdkRepos,
} satisfies Record<string, Reader>;

async function ask(method: string, path: string): Promise<number> {
  return (await (await fetch(url + path, { method })).json()) as number;
}

async function connectionsAre(count: number): Promise<void> {
  while ((await ask('GET', '/connections')) !== count) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function round({ reader, connections, repos, turns, expected }: RoundRequest): Promise<RoundReport> {
  const ended = new AbortController();
  let seen = 0;
  let allSeen = (): void => undefined;
  const consumed = new Promise<void>((resolve) => {
    allSeen = resolve;
  });
  const read: Reader = readers[reader];
  const reading = read(
    () => {
      if (++seen === expected) allSeen();
    },
    ended.signal,
    repos,
  );
  await connectionsAre(connections);
  const before = process.cpuUsage();
  await Promise.all([ask('POST', `/play?turns=${turns}&repos=${repos}`), Promise.race([consumed, reading])]);
  const { user, system } = process.cpuUsage(before);
  ended.abort();
  await reading;
  await connectionsAre(0);
  if (seen !== expected) throw new Error(`${reader}: ${seen} of ${expected} events`);
  return { cpuUs: user + system };
}

process.on('message', (request: RoundRequest) => {
  void round(request).then((report) => process.send?.(report));
});
