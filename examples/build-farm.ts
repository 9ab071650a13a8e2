/**
 * Asks the same of any number of repositories, three at a time, and prints what became of each.
 *
 *   npx tsx examples/build-farm.ts PATH...
 *
 * One server, at most three repositories loaded, each of them once. Ctrl-C lets the three end for up to a minute; a second one
 * ends everything at once.
 */
import { resolve } from 'node:path';
import { argv, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import { JarvisOpenCode, type MapResult, type RepoClient } from 'jarvis-opencode';

const TASK = 'Run the test suite. Answer with one line: what fails, or "all green". Do not change any file.';

/** The work on one repository; ends when the signal aborts. */
async function check(repo: RepoClient, signal: AbortSignal): Promise<string> {
  const session = await repo.sessions.create({ title: 'Build farm' }, { signal });
  const { text } = await session.prompt(TASK, { signal });
  return text;
}

/** Works on every repository, and says what became of each, in their order. */
export function runFarm(
  jarvis: Pick<JarvisOpenCode, 'map'>,
  directories: readonly string[],
  print: (line: string) => void,
): Promise<MapResult<string>[]> {
  return jarvis.map(directories, (repo, _directory, _index, { signal }) => check(repo, signal), {
    // Of each repository, from when its work begins.
    timeoutMs: 10 * 60_000,
    onProgress: ({ result, done, total }) =>
      print(`${done}/${total} ${result.directory}: ${outcome(result)}`),
  });
}

function outcome(result: MapResult<string>): string {
  if (result.status === 'fulfilled') return result.value;
  return `failed: ${result.reason instanceof Error ? result.reason.message : String(result.reason)}`;
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  await using jarvis = await JarvisOpenCode.start({
    idle: { maxLoaded: 3 },
    // Nobody is there to answer.
    permissions: 'deny',
    onSignal: { drainMs: 60_000 },
  });
  const directories = argv.slice(2).map((path) => resolve(path));
  const results = await runFarm(jarvis, directories, (line) => stdout.write(`${line}\n`));
  process.exitCode = results.every(({ status }) => status === 'fulfilled') ? 0 : 1;
}
