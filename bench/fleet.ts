// What a second server buys, in one run on real servers with a scripted model: how long a busy loop of one repository stalls a call for another one
// on the same server and on another server; and how many processes a fleet of 8 profiles has.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { JarvisFleet, type RepoClient } from 'jarvis-opencode';
import { gitRepo } from '../test/support/git-repo.js';
import { text, toolCall } from '../test/support/model-steps.js';
import { realServerOptions } from '../test/support/real-opencode.js';
import { busyTool } from '../test/support/repo-tools.js';

/** How long the loop runs. */
const BUSY_MS = Number(process.argv[2] ?? 8_000);
const PROFILES = 8;
const IDLE_MS = 10_000;

await using real = await realServerOptions({
  script: ({ prompt, step }) =>
    prompt === 'compute' && step === 0 ? [toolCall('busy', {})] : [text('done')],
});
await using evil = await gitRepo({ files: { '.opencode/tool/busy.js': busyTool(BUSY_MS) } });
await using good = await gitRepo();

/** A profile with a data directory of its own. */
const profile = (name: string) => ({ ...real.startOptions, dataDir: join(real.root, 'data', name) });

/** The longest call for `watched` while the loop of `busy` runs, in milliseconds. */
async function longestCall(watched: RepoClient, busy: RepoClient): Promise<number> {
  const session = await busy.sessions.create();
  await session.prompt('warm up');
  await watched.sessions.status();
  let longest = 0;
  let isOver = false;
  const loop = session.prompt('compute').finally(() => (isOver = true));
  while (!isOver) {
    const before = performance.now();
    await watched.sessions.status({ timeoutMs: false });
    longest = Math.max(longest, performance.now() - before);
    await sleep(10);
  }
  await loop;
  return longest;
}

async function stalls(): Promise<void> {
  await using fleet = await JarvisFleet.start({
    servers: { main: profile('main'), heavy: profile('heavy') },
  });
  const watched = fleet.forRepo(good.directory, { server: 'main' });
  const onOne = await longestCall(watched, fleet.forRepo(evil.directory, { server: 'main' }));
  await fleet.place(evil.directory, 'heavy');
  const onTwo = await longestCall(watched, fleet.forRepo(evil.directory));
  console.log(`a busy loop of ${BUSY_MS} ms in one repository: the longest call of another one`);
  console.log(`  on the same server ${onOne.toFixed(0)} ms, on another server ${onTwo.toFixed(0)} ms`);
  console.log(`  another : same = ${(onTwo / onOne).toFixed(3)} (limit ${(500 / BUSY_MS).toFixed(3)})`);
}

async function processes(): Promise<void> {
  const names = Array.from({ length: PROFILES }, (_, index) => `p${index}`);
  const servers = Object.fromEntries(
    names.map((name, index) => [name, { ...profile(name), ...(index > 0 && { stopAfterIdleMs: IDLE_MS }) }]),
  );
  await using fleet = await JarvisFleet.start({ servers });
  const running = (): number => fleet.servers().filter(({ pid }) => pid !== undefined).length;
  const megabytes = (): string => {
    const bytes = fleet.servers().reduce((sum, { usage }) => sum + (usage?.rssBytes ?? 0), 0);
    return `${(bytes / 2 ** 20).toFixed(0)} MB`;
  };
  await using repos = await manyRepos(names.length);
  await fleet.forRepo(repos.directories[0] ?? '', { server: 'p0' }).prompt('hello');
  const one = running();
  console.log(`${PROFILES} profiles: ${one} server when the first one is used (${megabytes()})`);
  await Promise.all(
    names.map((name, index) =>
      fleet.forRepo(repos.directories[index] ?? '', { server: name }).prompt('hello'),
    ),
  );
  console.log(`  ${running()} when all are used (${megabytes()})`);
  const giveUpAt = performance.now() + 120_000;
  while (running() > 1 && performance.now() < giveUpAt) await sleep(100);
  console.log(`  ${running()} when all are idle (${megabytes()})`);
  console.log(`  idle : one used = ${(running() / one).toFixed(2)} (limit 1.00)`);
}

/** Repositories that are removed together. */
async function manyRepos(
  count: number,
): Promise<AsyncDisposable & { readonly directories: readonly string[] }> {
  const repos = await Promise.all(Array.from({ length: count }, () => gitRepo()));
  return {
    directories: repos.map(({ directory }) => directory),
    [Symbol.asyncDispose]: async () => {
      for (const repo of repos) await repo.dispose();
    },
  };
}

await stalls();
await processes();
