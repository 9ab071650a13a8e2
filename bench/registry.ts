// What a known repository, a hold, a deadline and a session binding cost, with 100 against 10,000 repositories known, and
// with the default number of them in use against all. The rounds are interleaved, so that what else the machine does meets
// all worlds alike; what counts is the ratio. Run with --expose-gc, for the memory of a binding.
import { JarvisOpenCode, type RepoClient } from 'jarvis-opencode';
import { fakeClock, type FakeClock } from '../test/support/fake-clock.js';
import { fakeHandle } from '../test/support/server-handle.js';

const ROUNDS = 21;
const OPERATIONS = 4_000;
const SESSIONS_PER_REPO = 10;

/** One client with what it knows. */
interface World {
  readonly jarvis: JarvisOpenCode;
  readonly clock: FakeClock;
  readonly known: readonly string[];
  /** The repositories in use, all of them loaded. */
  readonly used: readonly RepoClient[];
  readonly jarvisSessionIDs: readonly string[];
  readonly sessionIDs: readonly string[];
  /** The sessions by jarvis session, in nothing but a `Map`. */
  readonly plain: ReadonlyMap<string, object>;
  readonly bytesPerBinding: number;
}

/** Runs an operation for the `index`-th time. */
type Operation = (world: World, index: number) => unknown;

/** Neighbours in time are no neighbours in memory, as in an application. */
function pick<T>(items: readonly T[], index: number): T {
  return items[(index * 7_919) % items.length] as T;
}

const operations: Readonly<Record<string, Operation>> = {
  'forRepo, known path': ({ jarvis, known }, index) => jarvis.forRepo(pick(known, index)),
  'hold and release, with its touch': ({ used }, index) => pick(used, index).hold()[Symbol.dispose](),
  // The timer is always set to the oldest use, so the clock goes on to the next deadline each time.
  'touch, then the next deadline': ({ used, clock }, index) => {
    used[index % used.length]?.hold()[Symbol.dispose]();
    clock.advance(1);
  },
  'stats of one repository': ({ used }, index) => pick(used, index).stats(),
  // The yardstick: a hundred times the memory does not fit the caches of a processor, whatever is kept in it.
  'a plain Map of all sessions': ({ plain, jarvisSessionIDs }, index) =>
    plain.get(pick(jarvisSessionIDs, index)),
  'session, by jarvis session': ({ jarvis, jarvisSessionIDs }, index) =>
    jarvis.sessions.get(pick(jarvisSessionIDs, index)),
  'directory of a session': ({ jarvis, sessionIDs }, index) =>
    jarvis.sessions.directoryOf(pick(sessionIDs, index)),
  'unbind and bind a session': ({ jarvis, jarvisSessionIDs, sessionIDs, known }, index) => {
    const jarvisSessionID = pick(jarvisSessionIDs, index);
    const directory = known[Math.floor(((index * 7_919) % sessionIDs.length) / SESSIONS_PER_REPO)] ?? '';
    jarvis.sessions.unbind(jarvisSessionID);
    jarvis.sessions.bind(jarvisSessionID, { id: pick(sessionIDs, index), directory });
  },
};

/** Answers `GET /path`, and keeps an event stream open. */
const server: typeof fetch = (input, init) => {
  const { pathname } = new URL(input as string);
  if (pathname === '/global/event') {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('data: {"payload":{"type":"server.connected"}}\n\n'));
      },
    });
    return Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
  }
  const directory = decodeURIComponent(new Headers(init?.headers).get('x-opencode-directory') ?? '');
  return Promise.resolve(
    Response.json({ home: '/', state: '/', config: '/', worktree: directory, directory }),
  );
};

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

async function makeWorld(knownCount: number, usedCount: number): Promise<World> {
  const clock = fakeClock();
  const jarvis = new JarvisOpenCode(fakeHandle(), {
    clock,
    fetch: server,
    // Each use is one millisecond later than the one before: one deadline a millisecond, none of them ever reached.
    idle: { idleTimeoutMs: usedCount + 1, maxLoaded: usedCount },
  });
  const known = Array.from(
    { length: knownCount },
    (_, index) => `/srv/repositories/team-${index % 97}/${index}`,
  );
  const repos = known.map((directory) => jarvis.forRepo(directory));
  const used = repos.slice(0, usedCount);
  for (const repo of used) await repo.warm();
  const sessions = repos.flatMap((repo, repoIndex) =>
    Array.from({ length: SESSIONS_PER_REPO }, (_, index) => ({
      jarvisSessionID: `chat-${repoIndex}-${index}`,
      id: `ses_${String(repoIndex * SESSIONS_PER_REPO + index).padStart(26, '0')}`,
      directory: repo.directory,
    })),
  );
  const before = heapBytes();
  for (const session of sessions) jarvis.sessions.bind(session.jarvisSessionID, session);
  const bytesPerBinding = (heapBytes() - before) / sessions.length;
  return {
    jarvis,
    clock,
    known,
    used,
    jarvisSessionIDs: sessions.map((session) => session.jarvisSessionID),
    sessionIDs: sessions.map((session) => session.id),
    plain: new Map(sessions.map((session) => [session.jarvisSessionID, session])),
    bytesPerBinding,
  };
}

/** Nanoseconds of one operation in each world: the median over the rounds. */
function measure(worlds: readonly World[], operation: Operation): number[] {
  const samples = worlds.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [each, world] of worlds.entries()) {
      const start = process.hrtime.bigint();
      for (let index = 0; index < OPERATIONS; index++) operation(world, round * OPERATIONS + index);
      const nanoseconds = Number(process.hrtime.bigint() - start) / OPERATIONS;
      // The first round warms up.
      if (round > 0) samples[each]?.push(nanoseconds);
    }
  }
  return samples.map((values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
}

const SMALL = 100;
const LARGE = 10_000;
const IN_USE = 8;

for (const usedOf of [() => IN_USE, (known: number) => known]) {
  const worlds = [await makeWorld(SMALL, usedOf(SMALL)), await makeWorld(LARGE, usedOf(LARGE))];
  const [small, large] = worlds as [World, World];
  const describe = ({ known, used, sessionIDs }: World): string =>
    `${known.length} known, ${used.length} in use, ${sessionIDs.length} sessions`;
  console.log(`${describe(small)}, against ${describe(large)}:`);
  for (const [name, operation] of Object.entries(operations)) {
    const [smallNs = 0, largeNs = 0] = measure(worlds, operation);
    const ratio = (largeNs / smallNs).toFixed(2);
    console.log(`  ${name}: ${smallNs.toFixed(0)} ns, ${largeNs.toFixed(0)} ns, ratio ${ratio}`);
  }
  const disposed = worlds.map(({ used }) => used.filter((repo) => !repo.stats().loaded).length);
  console.log(
    `  timers: ${small.clock.timers}, ${large.clock.timers}; disposed meanwhile: ${disposed.join(', ')}`,
  );
  if (globalThis.gc !== undefined)
    console.log(
      `  heap of a session binding, its two ids not counted: ${large.bytesPerBinding.toFixed(0)} bytes`,
    );
  for (const { jarvis } of worlds) await jarvis.close();
}
