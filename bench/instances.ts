// Many repositories with two MCP servers each get one short prompt in turn, then are left alone: once through the official
// SDK and once through this library, one real server each. What counts is what stays: child processes and resident memory
// of the server's process tree. The server keeps its own heap for later; the memory of its children returns.
import { setTimeout as sleep } from 'node:timers/promises';
import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { JarvisOpenCode } from 'jarvis-opencode';
import { mcpServer } from '../test/support/fixtures.js';
import { gitRepo, type GitRepo } from '../test/support/git-repo.js';
import { realServerOptions, spawnPlainOpenCode } from '../test/support/real-opencode.js';
import { orAborted } from '../test/support/wait.js';
import { processTree, type ProcessTree } from './support/process-tree.js';

const REPOSITORIES = 20;
const MAX_LOADED = 8;
/** Longer than it takes to prompt `MAX_LOADED` repositories, so that it is the cap that counts while they are touched. */
const IDLE_TIMEOUT_MS = 30_000;
/** How long they are left alone after that. */
const GRACE_MS = 10_000;
const SAMPLE_MS = 200;

interface Phase {
  readonly peak: ProcessTree;
  readonly final: ProcessTree;
}

interface Figures {
  readonly touching: Phase;
  readonly leftAlone: Phase;
}

/** What a script does with its server. */
interface Peer {
  readonly pid: number;
  readonly prompt: (directory: string) => Promise<unknown>;
}

// Ends by itself what was started, however it ends.
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => interrupted.abort(new Error(`interrupted by ${signal}`)));

/** Runs `work` and looks at the tree of `pid` all the while. */
async function watch(pid: number, work: () => Promise<unknown>): Promise<Phase> {
  let peak: ProcessTree = { children: 0, rssBytes: 0 };
  const look = (): ProcessTree => {
    const now = processTree(pid);
    peak = {
      children: Math.max(peak.children, now.children),
      rssBytes: Math.max(peak.rssBytes, now.rssBytes),
    };
    return now;
  };
  const timer = setInterval(look, SAMPLE_MS);
  try {
    await orAborted(work(), interrupted.signal);
    return { final: look(), peak };
  } finally {
    clearInterval(timer);
  }
}

async function measure({ pid, prompt }: Peer, directories: readonly string[]): Promise<Figures> {
  const touching = await watch(pid, async () => {
    for (const directory of directories) await prompt(directory);
  });
  const { signal } = interrupted;
  const leftAlone = await watch(pid, () => sleep(IDLE_TIMEOUT_MS + GRACE_MS, undefined, { signal }));
  return { touching, leftAlone };
}

const setup = { config: { mcp: { one: mcpServer(), two: mcpServer() } } };

async function officialSdk(directories: readonly string[]): Promise<Figures> {
  await using real = await realServerOptions(setup);
  await using server = await spawnPlainOpenCode(real.startOptions);
  const authorization = `Basic ${btoa(`opencode:${server.password}`)}`;
  const prompt = async (directory: string): Promise<void> => {
    const sdk = createOpencodeClient({ baseUrl: server.url, directory, headers: { authorization } });
    const created = await sdk.session.create({}, { throwOnError: true });
    await sdk.session.prompt(
      { sessionID: created.data.id, parts: [{ type: 'text', text: 'Hello' }] },
      { throwOnError: true },
    );
  };
  return await measure({ pid: server.pid, prompt }, directories);
}

async function ours(directories: readonly string[]): Promise<Figures> {
  await using real = await realServerOptions(setup);
  const idle = { maxLoaded: MAX_LOADED, idleTimeoutMs: IDLE_TIMEOUT_MS };
  await using jarvis = await JarvisOpenCode.start({ ...real.startOptions, idle });
  const prompt = async (directory: string): Promise<void> => {
    const session = await jarvis.forRepo(directory).sessions.create();
    await session.prompt('Hello');
  };
  return await measure({ pid: jarvis.server.pid ?? 0, prompt }, directories);
}

function print(what: string, their: ProcessTree, our: ProcessTree): void {
  const megabytes = ({ rssBytes }: ProcessTree): string => `${Math.round(rssBytes / 1e6)} MB`;
  const rssRatio = (our.rssBytes / their.rssBytes).toFixed(2);
  const childrenRatio = (our.children / their.children).toFixed(2);
  console.log(`${what}:`);
  console.log(
    `  child processes: official SDK ${their.children}, ours ${our.children}, ratio ${childrenRatio}`,
  );
  console.log(
    `  RSS of the tree: official SDK ${megabytes(their)}, ours ${megabytes(our)}, ratio ${rssRatio}`,
  );
}

console.log(
  `${REPOSITORIES} repositories, 2 MCP servers each; ours with maxLoaded ${MAX_LOADED} and idleTimeoutMs ${IDLE_TIMEOUT_MS}`,
);
const repos: GitRepo[] = [];
try {
  for (let index = 0; index < REPOSITORIES; index++) repos.push(await gitRepo());
  const directories = repos.map((repo) => repo.directory);
  const their = await officialSdk(directories);
  const our = await ours(directories);
  print('while touching, peak', their.touching.peak, our.touching.peak);
  print('while touching, final', their.touching.final, our.touching.final);
  print('left alone, peak', their.leftAlone.peak, our.leftAlone.peak);
  print('left alone, final', their.leftAlone.final, our.leftAlone.final);
} finally {
  for (const repo of repos) await repo.dispose();
}
