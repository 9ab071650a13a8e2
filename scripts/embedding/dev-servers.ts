/**
 * Tries the packed library in Next.js's development server, with both of its bundlers, and prints a row for each:
 * `npx tsx scripts/embedding/dev-servers.ts`. Needs `npm run build` first, and a package registry: Next.js (340 MB) is
 * installed into a scratch folder and not among the dev dependencies. Vite is tried by test/package/vite-ssr.test.ts.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { fakeServer } from '../../test/support/fixtures.js';
import { pack } from '../../test/support/packed-project.js';
import { Matrix } from './matrix.js';

const run = promisify(execFile);
const NEXT = '16.4.6';
const PACKAGES = [`next@${NEXT}`, 'react@19.3.1', 'react-dom@19.3.1'];
const LIMIT_MS = 300_000;

/** What the application answers. */
interface Answer {
  readonly edit: number;
  readonly pid: number;
  /** How often the library was evaluated in this process. */
  readonly copies: number;
  /** Whether an error that another copy of the library threw, and one of this copy, are instances of this copy's class. */
  readonly isInstance: readonly boolean[];
}

const cases = [
  ['--turbopack', 'library bundled', '{}'],
  ['--turbopack', 'library external', `{ serverExternalPackages: ['jarvis-opencode'] }`],
  ['--webpack', 'library bundled', '{}'],
  ['--webpack', 'library external', `{ serverExternalPackages: ['jarvis-opencode'] }`],
] as const;

const matrix = new Matrix();
const directory = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-next-')));
try {
  const refusal = await install().catch(String);
  for (const [flag, what, config] of cases) {
    const title = `${flag} ${what}: edits 0 to 3, one server`;
    if (refusal === undefined) await matrix.row('next', NEXT, title, () => tryNext(flag, config));
    else matrix.skip('next', NEXT, `not installed: ${refusal.slice(0, 200)}`);
  }
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** Installs Next.js and the packed library as a user does, and writes the application. */
async function install(): Promise<undefined> {
  const tarball = await pack(directory);
  await writeFile(
    join(directory, 'package.json'),
    JSON.stringify({ name: 'app', private: true, type: 'module' }),
  );
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  await run('npm', ['install', ...flags, ...PACKAGES, tarball], { cwd: directory, timeout: LIMIT_MS });
  await mkdir(join(directory, 'app/answer'), { recursive: true });
  await mkdir(join(directory, 'lib'));
  await writeFile(
    join(directory, 'app/answer/route.js'),
    `import { answer } from '../../lib/jarvis.js';
    export const dynamic = 'force-dynamic';
    export async function GET() { return Response.json(await answer()); }`,
  );
}

/** The module of an application that makes its client, and asks it for what fails. */
function source(edit: number): string {
  const options = { command: fakeServer('healthy'), dataDir: join(directory, 'data'), health: false };
  return `import { JarvisOpenCode, RepoPathError } from 'jarvis-opencode';
    const jarvis = JarvisOpenCode.shared('main', ${JSON.stringify(options)});
    const seen = (globalThis.seenByTheTest ??= { classes: new Set(), error: undefined });
    seen.classes.add(JarvisOpenCode);
    function failure(client) {
      try { client.forRepo('relative'); } catch (error) { return error; }
    }
    export async function answer() {
      const client = await jarvis;
      const error = failure(client);
      seen.error ??= error;
      return {
        edit: ${edit},
        pid: client.server.pid,
        copies: seen.classes.size,
        isInstance: [seen.error, error, new RepoPathError('/', 'invalid')].map((each) => each instanceof RepoPathError),
      };
    }`;
}

async function tryNext(flag: string, config: string): Promise<void> {
  await rm(join(directory, '.next'), { recursive: true, force: true });
  await writeFile(join(directory, 'next.config.mjs'), `export default ${config};`);
  await writeFile(join(directory, 'lib/jarvis.js'), source(0));
  const bin = join(directory, 'node_modules/next/dist/bin/next');
  const next = spawn(process.execPath, [bin, 'dev', flag, '--hostname', '127.0.0.1', '--port', '0'], {
    cwd: directory,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const url = await addressOf(next);
    const answers: Answer[] = [];
    for (const edit of [0, 1, 2, 3]) {
      if (edit > 0) await writeFile(join(directory, 'lib/jarvis.js'), source(edit));
      answers.push(await answerOf(url, edit));
    }
    const pids = new Set(answers.map(({ pid }) => pid));
    const copies = answers.map((answer) => answer.copies).join(', ');
    console.log(`    servers: ${pids.size}; copies of the library after each edit: ${copies}`);
    const isOne = pids.size === 1 && answers.every(({ isInstance }) => isInstance.every(Boolean));
    if (!isOne) throw new Error(JSON.stringify(answers));
  } finally {
    const ended = once(next, 'exit');
    if (next.exitCode === null && next.kill('SIGTERM')) await ended;
  }
}

/** The address that it prints when it is ready. */
async function addressOf(next: ChildProcess): Promise<string> {
  if (next.stdout === null) throw new Error('Next.js has no output');
  for await (const line of createInterface({ input: next.stdout })) {
    const address = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (address === undefined) continue;
    next.stdout.resume();
    return `${address}/answer`;
  }
  throw new Error('Next.js ended before it was ready');
}

/** Asks until the module with this edit answers: the development server watches files in its own time. */
async function answerOf(url: string, edit: number): Promise<Answer> {
  const deadline = Date.now() + LIMIT_MS;
  let text = '';
  while (Date.now() < deadline) {
    const response = await fetch(url).catch(() => undefined);
    text = (await response?.text()) ?? 'no answer';
    if (response?.ok) {
      const answer = JSON.parse(text) as Answer;
      if (answer.edit === edit) return answer;
    }
    await sleep(200);
  }
  throw new Error(`Edit ${edit} did not come: ${text.slice(0, 300)}`);
}
