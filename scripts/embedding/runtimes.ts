// Runs an app of the packed tarball under other runtimes than Node: it starts a server with an MCP child, streams an answer with a tool,
// opens a terminal and is killed; nothing of the server may be left then. The app runs with the working directory `/`. Then it starts
// behind a proxy that reaches nothing. Needs `npm run build` first.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { mcpServer } from '../../test/support/fixtures.js';
import { gitRepo } from '../../test/support/git-repo.js';
import { text, toolCall } from '../../test/support/model-steps.js';
import { waitForNone } from '../../test/support/processes.js';
import { realServerOptions } from '../../test/support/real-opencode.js';
import { Matrix } from './matrix.js';
import { packProject } from './pack.js';
import { runApp, type Said } from './run-app.js';

const require = createRequire(import.meta.url);

const ANSWER = 'hello from the runtime';
const TOOL_OUTPUT = 'output of the tool';
/** Nothing listens there. */
const DEAD_PROXY = 'http://127.0.0.1:1';

const APP = `
import { JarvisOpenCode } from 'jarvis-opencode';

const { repo, options, isShort } = JSON.parse(process.env.EMBEDDING_APP);
const say = (key, value) => console.log(JSON.stringify({ [key]: value }));

const jarvis = await JarvisOpenCode.start(options);
say('started', jarvis.server.state);
if (isShort) {
  await jarvis.close();
  say('closed', jarvis.server.state);
  process.exit(0);
}
const client = jarvis.forRepo(repo);
const turn = (await client.sessions.create()).stream('hello');
let streamed = '';
for await (const step of turn) {
  if (step.type === 'text') streamed += step.delta;
  if (step.type === 'tool' && step.status === 'completed') say('tool', step.output);
}
say('streamed', streamed);
say('mcp', (await client.mcp.status()).fixture?.status);
const { id } = await client.pty.create({ command: '/bin/sh' });
const terminal = await client.pty.connect(id);
// The shell echoes the quotes, and prints the word without them.
terminal.write('echo re""ady\\r');
for await (const output of terminal) if (output.includes('ready')) break;
say('terminal', 'ready');
say('pid', jarvis.server.pid);
setInterval(() => {}, 1000);
`;

interface Runtime {
  readonly tool: string;
  readonly version: string;
  /** The executable itself, not a script that starts it: it is killed. `undefined` where it is not installed. */
  readonly file: string | undefined;
  readonly args: readonly string[];
}

function packaged(tool: string, path: string, args: readonly string[]): Runtime {
  try {
    const manifest = require.resolve(`${tool}/package.json`);
    const { version } = require(manifest) as { readonly version: string };
    const file = join(dirname(manifest), path);
    return { tool, version, file: existsSync(file) ? file : undefined, args };
  } catch {
    return { tool, version: '', file: undefined, args };
  }
}

const RUNTIMES: readonly Runtime[] = [
  { tool: 'node', version: process.versions.node, file: process.execPath, args: [] },
  packaged('bun', 'bin/bun.exe', []),
  packaged('deno', 'deno', ['run', '--allow-all', '--no-prompt', '--node-modules-dir=manual']),
];

function expectSaid(said: Said, expected: Said): void {
  const wrong = Object.entries(expected).filter(
    ([word, value]) => !String(said[word]).includes(String(value)),
  );
  if (wrong.length > 0)
    throw new Error(`it said ${JSON.stringify(said)} instead of ${JSON.stringify(expected)}`);
}

/** One run of the app with a server and a repository of its own. */
async function check(
  runtime: Runtime & { readonly file: string },
  script: string,
  setup: { readonly env?: NodeJS.ProcessEnv; readonly isShort?: boolean; readonly expected: Said },
): Promise<void> {
  await using repo = await gitRepo();
  await using real = await realServerOptions({
    config: { mcp: { fixture: mcpServer({ stubborn: true }) } },
    script: ({ step }) =>
      step > 0
        ? [text(ANSWER)]
        : [toolCall('bash', { command: `echo ${TOOL_OUTPUT}`, description: 'Say something' })],
  });
  const { config, cwd } = real.startOptions;
  const app = { repo: repo.directory, options: { config, cwd }, isShort: setup.isShort };
  const env = { ...real.env, ...setup.env, EMBEDDING_APP: JSON.stringify(app) };
  const command = [runtime.file, ...runtime.args, script] as const;
  const said = await runApp(command, { cwd: '/', env }, (all) => 'pid' in all || 'closed' in all);
  expectSaid(said, setup.expected);
  // The reaper ends the server of an app that was killed, with all it started.
  await waitForNone(real.marker, { timeoutMs: 10_000 });
}

const WHOLE_RUN: Said = {
  started: 'ready',
  tool: TOOL_OUTPUT,
  streamed: ANSWER,
  mcp: 'connected',
  terminal: 'ready',
};

const tools = process.argv.slice(2);
const matrix = new Matrix();
await using project = await packProject();
const script = await project.write('app.mjs', APP);
for (const runtime of RUNTIMES) {
  const { tool, version, file } = runtime;
  if (tools.length > 0 && !tools.includes(tool)) continue;
  if (file === undefined) {
    matrix.skip(tool, version, 'its npm package has no binary for this machine');
    continue;
  }
  await matrix.row(tool, version, 'start, stream, tool, MCP, terminal, SIGKILL of the host', () =>
    check({ ...runtime, file }, script, { expected: WHOLE_RUN }),
  );
  if (tool === 'node' && !process.allowedNodeEnvironmentFlags.has('--use-env-proxy')) {
    matrix.skip(tool, version, 'behind a proxy: this Node does not read HTTP_PROXY');
    continue;
  }
  await matrix.row(tool, version, 'start and close behind a proxy', () =>
    check({ ...runtime, file }, script, {
      env: { HTTP_PROXY: DEAD_PROXY, NO_PROXY: 'localhost:80,10.0.0.0/8', NODE_USE_ENV_PROXY: '1' },
      isShort: true,
      expected: { started: 'ready', closed: 'stopped' },
    }),
  );
}
