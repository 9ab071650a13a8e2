/**
 * Installs the packed library and `opencode-ai` in the ways that hide a binary from a library, and starts a server from `/` in each;
 * prints a row for each: `npx tsx scripts/embedding/installs.ts`. Needs `npm run build` first, and a package registry.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pack } from '../../test/support/packed-project.js';
import { realServerOptions } from '../../test/support/real-opencode.js';
import { Matrix } from './matrix.js';
import { runApp } from './run-app.js';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const { version: openCode } = require('opencode-ai/package.json') as { readonly version: string };
const PNPM = '10.34.9';
const LIMIT_MS = 300_000;

const APP = `
import { JarvisOpenCode } from 'jarvis-opencode';
const jarvis = await JarvisOpenCode.start(JSON.parse(process.env.EMBEDDING_APP));
await jarvis.close();
console.log(JSON.stringify({ closed: jarvis.server.version }));
`;

const APP_PACKAGE = { name: 'app', private: true, type: 'module' };

const directory = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-installs-')));
try {
  const tarball = await pack(directory);
  const pnpm = [process.execPath, join(directory, 'tools/node_modules/pnpm/bin/pnpm.cjs')] as const;
  await folder('tools', {});
  await command(['npm', 'install', '--silent', `pnpm@${PNPM}`], 'tools');
  const npm = await run('npm', ['--version']).then(({ stdout }) => stdout.trim());
  const both = [tarball, `opencode-ai@${openCode}`];
  const matrix = new Matrix();

  await matrix.row('npm', npm, 'install scripts not run', async () => {
    await folder('npm-scripts', APP_PACKAGE);
    await command(['npm', 'install', '--ignore-scripts', '--silent', ...both], 'npm-scripts');
    await starts('npm-scripts');
  });
  for (const msw of ['2', '3']) {
    await matrix.row('npm', npm, `beside msw ${msw}`, async () => {
      await folder(`msw-${msw}`, APP_PACKAGE);
      await command(['npm', 'install', '--silent', ...both, `msw@${msw}`], `msw-${msw}`);
      await starts(`msw-${msw}`);
    });
  }
  await matrix.row('npm', npm, 'a workspace, everything hoisted to its root', async () => {
    await folder('npm-ws', { name: 'ws', private: true, workspaces: ['packages/*'] });
    const dependencies = { 'jarvis-opencode': `file:${tarball}`, 'opencode-ai': openCode };
    await folder('npm-ws/packages/app', { ...APP_PACKAGE, dependencies });
    await command(['npm', 'install', '--silent'], 'npm-ws');
    await starts('npm-ws/packages/app');
  });
  await matrix.row('pnpm', PNPM, 'build scripts blocked', async () => {
    await folder('pnpm', APP_PACKAGE);
    await command([...pnpm, 'add', ...both], 'pnpm');
    await starts('pnpm');
  });
  await matrix.row('pnpm', PNPM, 'a workspace, opencode-ai in its root only', async () => {
    await folder('pnpm-ws', { name: 'ws', private: true });
    await writeFile(join(directory, 'pnpm-ws/pnpm-workspace.yaml'), 'packages:\n  - packages/*\n');
    await folder('pnpm-ws/packages/app', APP_PACKAGE);
    await command([...pnpm, 'add', '--workspace-root', `opencode-ai@${openCode}`], 'pnpm-ws');
    await command([...pnpm, 'add', tarball], 'pnpm-ws/packages/app');
    await starts('pnpm-ws/packages/app');
  });
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

async function folder(path: string, manifest: object): Promise<void> {
  await mkdir(join(directory, path), { recursive: true });
  await writeFile(join(directory, path, 'package.json'), JSON.stringify(manifest));
}

/** Runs a package manager, whose own folders are below the scratch folder too. */
async function command([file, ...args]: readonly string[], path: string): Promise<void> {
  const env = { ...process.env, HOME: directory, XDG_DATA_HOME: join(directory, 'share'), CI: '1' };
  await run(file as string, args, { cwd: join(directory, path), env, timeout: LIMIT_MS });
}

/** Starts and closes a server with what the folder has installed, from another working directory and without the user's PATH. */
async function starts(path: string): Promise<void> {
  const script = join(directory, path, 'app.mjs');
  await writeFile(script, APP);
  await using real = await realServerOptions();
  const { config, cwd } = real.startOptions;
  const env = {
    ...real.env,
    PATH: dirname(process.execPath),
    EMBEDDING_APP: JSON.stringify({ config, cwd }),
  };
  const said = await runApp([process.execPath, script], { cwd: '/', env }, (all) => 'closed' in all);
  if (said['closed'] !== openCode) throw new Error(`it started ${String(said['closed'])}, not ${openCode}`);
}
