// What a turn costs through this library, as it is built, and through the official SDK: on one real server, whose scripted model answers at
// once. The rounds are interleaved, so that what else the machine does meets both alike; what counts is the ratio of the medians.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import type * as Library from 'jarvis-opencode';

/** Rounds that count. */
const ROUNDS = 40;
/** Rounds before those, in which the code gets compiled. */
const WARM_UP = 5;

interface Connection {
  readonly url: string;
  readonly password: string;
  readonly directory: string;
}

interface Sample {
  readonly wallMs: number;
  /** CPU of this process, user and system. */
  readonly cpuMs: number;
}

/** Runs one turn; may call `done` before its end, when that is reached which counts. */
type Run = (done: () => void) => Promise<void>;

interface Peer {
  readonly name: string;
  /** Called before each run, not measured. */
  readonly prepare?: () => Promise<unknown>;
  readonly run: Run;
}

const { JarvisOpenCode } = (await import(
  new URL('../dist/index.js', import.meta.url).href
)) as typeof Library;
const script = new URL('./support/real-server.ts', import.meta.url).pathname;
const server = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['pipe', 'pipe', 'inherit'] });
const [line] = (await once(server.stdout, 'data')) as [Buffer];
const { url, password, directory } = JSON.parse(line.toString()) as Connection;

async function measure({ prepare, run }: Peer): Promise<Sample> {
  await prepare?.();
  const start = performance.now();
  const before = process.cpuUsage();
  let wallMs: number | undefined;
  await run(() => (wallMs ??= performance.now() - start));
  wallMs ??= performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return { wallMs, cpuMs: (user + system) / 1000 };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function compare(title: string, peers: readonly [Peer, Peer]): Promise<void> {
  const samples: [Sample[], Sample[]] = [[], []];
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    // Who comes first alternates.
    for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const sample = await measure(peers[index]);
      if (round >= WARM_UP) samples[index].push(sample);
    }
  }
  console.log(`${title} (${ROUNDS} rounds, medians)`);
  const [ours, theirs] = samples.map((some) => ({
    wall: median(some.map(({ wallMs }) => wallMs)),
    cpu: median(some.map(({ cpuMs }) => cpuMs)),
  })) as [{ wall: number; cpu: number }, { wall: number; cpu: number }];
  for (const [index, { wall, cpu }] of [ours, theirs].entries()) {
    console.log(
      `  ${peers[index as 0 | 1].name}: ${wall.toFixed(1)} ms, CPU of the host ${cpu.toFixed(1)} ms`,
    );
  }
  const share = (100 * (ours.wall / theirs.wall - 1)).toFixed(1);
  console.log(
    `  ours - official SDK: ${(ours.wall - theirs.wall).toFixed(1)} ms (${share} %, limit 5 ms or 3 %), ` +
      `CPU ours : official SDK = ${(ours.cpu / theirs.cpu).toFixed(2)} (limit 1.30)`,
  );
}

const authorization = `Basic ${btoa(`opencode:${password}`)}`;
const sdk = createOpencodeClient({ baseUrl: url, directory, headers: { authorization } });
const ended = new AbortController();
try {
  await using jarvis = await JarvisOpenCode.connect({ url, password, idle: false });
  const repo = jarvis.forRepo(directory);
  const session = await repo.sessions.create();
  const created = await sdk.session.create({}, { throwOnError: true });
  const sessionID = created.data.id;
  const parts = [{ type: 'text' as const, text: 'Hello' }];
  const askSdk = async (): Promise<void> => {
    await sdk.session.prompt({ sessionID, parts }, { throwOnError: true });
  };
  const askOurs = async (): Promise<void> => {
    await session.prompt('Hello');
  };
  const blocking = 'official SDK session.prompt()';
  await compare('A prompt on a warm instance', [
    { name: 'session.prompt()', run: askOurs },
    { name: blocking, run: askSdk },
  ]);

  // A host of the official SDK has its subscription open, as this library has.
  const { stream } = await sdk.event.subscribe({}, { signal: ended.signal, sseMaxRetryAttempts: 1 });
  let firstText = (): void => undefined;
  let idle = (): void => undefined;
  const following = (async () => {
    for await (const event of stream) {
      if (event.type === 'message.part.delta' && event.properties.sessionID === sessionID) firstText();
      if (event.type === 'session.idle' && event.properties.sessionID === sessionID) idle();
    }
  })().catch(() => undefined);
  await compare('The first text of a streamed turn', [
    {
      name: 'session.stream()',
      run: async (done) => {
        for await (const step of session.stream('Hello')) if (step.type === 'text') done();
      },
    },
    {
      name: 'official SDK promptAsync() with event.subscribe()',
      run: async (done) => {
        firstText = done;
        const isIdle = new Promise<void>((resolve) => (idle = resolve));
        await sdk.session.promptAsync({ sessionID, parts }, { throwOnError: true });
        await isIdle;
      },
    },
  ]);
  ended.abort();
  await following;

  const dispose = (): Promise<unknown> => repo.dispose();
  await compare('The first prompt after a disposal', [
    { name: 'session.prompt()', prepare: dispose, run: askOurs },
    { name: blocking, prepare: dispose, run: askSdk },
  ]);
} finally {
  ended.abort();
  server.stdin.end();
  await once(server, 'exit');
}
