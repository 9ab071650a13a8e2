// Bundles an app with every bundler and runs the bundle: it starts a server, prompts, opens a terminal and closes; then it starts
// another server and is killed, and that server must be gone. Needs `npm run build` first. Arguments: `--all` runs the rows marked
// so too, a name runs only that tool.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import commonjsPlugin, { type RollupCommonJSOptions } from '@rollup/plugin-commonjs';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { build, version as esbuildVersion, type BuildOptions } from 'esbuild';
import { rollup, VERSION as rollupVersion, type Plugin } from 'rollup';
import webpack from 'webpack';
import { text } from '../../src/testing/script/steps.js';
import { gitRepo } from '../../test/support/git-repo.js';
import { waitForNone } from '../../test/support/processes.js';
import { realServerOptions } from '../../test/support/real-opencode.js';
import { Matrix } from './matrix.js';
import { packProject, type EmbeddingProject } from './pack.js';
import { runApp, type Said } from './run-app.js';

const run = promisify(execFile);
const require = createRequire(import.meta.url);

// Its types say that a module stands where the function is.
const commonjs = commonjsPlugin as unknown as (options?: RollupCommonJSOptions) => Plugin;

const ANSWER = 'hello from the bundle';

const APP = `
import { JarvisOpenCode } from 'jarvis-opencode';

const { repo, options } = JSON.parse(process.env.EMBEDDING_APP);
const say = (key, value) => console.log(JSON.stringify({ [key]: value }));

async function terminal(pty) {
  const { id } = await pty.create({ command: '/bin/sh' });
  const connection = await pty.connect(id);
  // Typed, not printed at once: OpenCode may lose what a terminal prints before anybody is connected.
  connection.write('echo re""ady\\r');
  for await (const output of connection) if (output.includes('ready')) break;
  await connection.close();
}

async function main() {
  const jarvis = await JarvisOpenCode.start(options);
  const client = jarvis.forRepo(repo);
  const session = await client.sessions.create();
  say('text', (await session.prompt('hello')).text);
  say('terminal', await terminal(client.pty).then(() => 'ok', (error) => error.message));
  await jarvis.close();
  say('closed', jarvis.server.state);
  const second = await JarvisOpenCode.start(options);
  say('pid', second.server.pid);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
`;

interface Bundle {
  readonly tool: string;
  readonly version: string;
  readonly what: string;
  /** Whether it runs only with `--all`: a form so near to another one that it seldom tells more. */
  readonly isExtra?: boolean;
  /** Whether the bundle can run CommonJS packages that load modules of Node by `require`, as `ws` does. */
  readonly hasRequire: boolean;
  /** Writes the bundle into `folder` and returns the file to run. */
  make(entry: string, folder: string): Promise<string>;
}

function withEsbuild(what: string, extension: string, options: BuildOptions): Bundle {
  return {
    tool: 'esbuild',
    version: esbuildVersion,
    what,
    hasRequire: options.format === 'cjs',
    make: async (entry, folder) => {
      const outfile = join(folder, `app.${extension}`);
      const always = { bundle: true, platform: 'node', target: 'node20', logLevel: 'error' } as const;
      await build({ ...always, ...options, entryPoints: [entry], outfile });
      return outfile;
    },
  };
}

function withRollup(what: string, format: 'es' | 'cjs'): Bundle {
  return {
    tool: 'rollup',
    version: rollupVersion,
    what,
    hasRequire: true,
    make: async (entry, folder) => {
      const plugins = [nodeResolve({ exportConditions: ['node'], preferBuiltins: true }), commonjs()];
      const bundle = await rollup({ input: entry, plugins, logLevel: 'silent' });
      const extension = format === 'es' ? 'mjs' : 'cjs';
      const names = { entryFileNames: `app.${extension}`, chunkFileNames: `[name]-[hash].${extension}` };
      await bundle.write({ dir: folder, format, ...names });
      await bundle.close();
      return join(folder, `app.${extension}`);
    },
  };
}

const withWebpack: Bundle = {
  tool: 'webpack',
  version: webpack.version,
  what: 'CommonJS, production mode',
  hasRequire: true,
  make: async (entry, folder) => {
    const output = { path: folder, filename: 'app.cjs', chunkFilename: '[id].cjs' };
    await new Promise<void>((resolve, reject) => {
      webpack({ mode: 'production', target: 'node20', entry, output }, (error, stats) => {
        if (error) reject(error);
        else if (stats?.hasErrors() === true) reject(new Error(stats.toString({ all: false, errors: true })));
        else resolve();
      });
    });
    return join(folder, 'app.cjs');
  },
};

const withNcc: Bundle = {
  tool: 'ncc',
  version: versionOf('@vercel/ncc'),
  what: 'one folder, ESM',
  hasRequire: true,
  make: async (entry, folder) => {
    const cli = join(require.resolve('@vercel/ncc/package.json'), '../dist/ncc/cli.js');
    await run(process.execPath, [cli, 'build', entry, '-o', folder, '--no-cache', '-q'], {
      // It reads the configuration of TypeScript in the current directory.
      cwd: dirname(entry),
    });
    const file = join(folder, 'index.mjs');
    await rename(join(folder, 'index.js'), file).catch(() => undefined);
    return file;
  },
};

function versionOf(name: string): string {
  const manifest = readFileSync(require.resolve(`${name}/package.json`), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

const BUNDLES: readonly Bundle[] = [
  withEsbuild('CommonJS', 'cjs', { format: 'cjs' }),
  withEsbuild('ESM, minified', 'mjs', { format: 'esm', minify: true }),
  { ...withEsbuild('CommonJS, minified', 'cjs', { format: 'cjs', minify: true }), isExtra: true },
  { ...withEsbuild('ESM', 'mjs', { format: 'esm' }), isExtra: true },
  withRollup('ESM', 'es'),
  { ...withRollup('CommonJS', 'cjs'), isExtra: true },
  withWebpack,
  withNcc,
];

function assertSaid(bundle: Bundle, { text: answer, terminal, closed }: Said): void {
  const problems: string[] = [];
  if (answer !== ANSWER) problems.push(`the answer was ${JSON.stringify(answer)}`);
  if (closed !== 'stopped') problems.push(`the server was ${String(closed)} after close()`);
  // An ESM bundle of esbuild cannot run `ws`: on Node 20 its app is told to pass a WebSocket.
  const isTold = !bundle.hasRequire && String(terminal).includes('option webSocket');
  if (terminal !== 'ok' && !(isTold && !('WebSocket' in globalThis))) {
    problems.push(`the terminal: ${String(terminal)}`);
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
}

async function check(bundle: Bundle, project: EmbeddingProject, index: number): Promise<void> {
  const folder = join(project.directory, `bundle-${index}`);
  await mkdir(folder);
  const file = await bundle.make(join(project.directory, 'app.js'), folder);
  await using repo = await gitRepo();
  await using real = await realServerOptions({ script: () => [text(ANSWER)] });
  const { config, cwd } = real.startOptions;
  const app = JSON.stringify({ repo: repo.directory, options: { config, cwd } });
  const said = await runApp(
    [process.execPath, file],
    { cwd: project.directory, env: { ...real.env, EMBEDDING_APP: app } },
    (all) => 'pid' in all,
  );
  assertSaid(bundle, said);
  // The reaper ends the server of the killed app.
  await waitForNone(real.marker, { timeoutMs: 10_000 });
}

const all = process.argv.includes('--all');
const tools = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const matrix = new Matrix();
await using project = await packProject();
await project.write('app.js', APP);
for (const [index, bundle] of BUNDLES.entries()) {
  if (tools.length > 0 ? !tools.includes(bundle.tool) : bundle.isExtra === true && !all) continue;
  await matrix.row(bundle.tool, bundle.version, bundle.what, () => check(bundle, project, index));
}
