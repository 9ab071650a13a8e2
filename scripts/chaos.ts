/**
 * Kills hosts of the real server with SIGKILL, each at another moment, and looks what is left of them: nothing is allowed to be,
 * after 5 s, by environment, by process group and by parent. Linux only. The exit code is 0 only when every round went well.
 *
 *   tsx scripts/chaos.ts [rounds]
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, exit } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { mcpServer } from '../test/support/fixtures.js';
import { gitRepo } from '../test/support/git-repo.js';
import { startHost, type HostProcess } from '../test/support/host-process.js';
import { commandLineOf, endProcessesWith, groupMembers, processesWith } from '../test/support/processes.js';
import { realServerOptions } from '../test/support/real-opencode.js';
import { toolCall } from '../test/support/model-steps.js';
import { until } from '../test/support/wait.js';

const LIMIT_MS = 5_000;

interface Stage {
  readonly name: string;
  /** What the host says when the stage begins. */
  readonly word: string;
  /** The kill comes at a random moment of these first milliseconds of the stage. */
  readonly spanMs: number;
}

const STAGES: readonly Stage[] = [
  { name: 'start', word: 'starting', spanMs: 2_500 },
  { name: 'idle', word: 'ready', spanMs: 500 },
  { name: 'busy', word: 'prompted', spanMs: 4_000 },
  { name: 'stop', word: 'stopping', spanMs: 1_500 },
];

/** A host that goes through all stages, with tools and MCP servers that are hard to end. */
function body(directory: string): string {
  return `say('starting');
    const jarvis = await start();
    say(String(jarvis.server.pid));
    say('ready');
    const session = await jarvis.forRepo(${JSON.stringify(directory)}).sessions.create();
    const turn = session.stream('wait');
    turn.result.catch(() => undefined);
    say('prompted');
    if (process.env.JARVIS_CHAOS_STOP) {
      for await (const step of turn) if (step.type === 'tool' && step.status === 'running') break;
      jarvis.server.on('state', say);
      await jarvis.close();
      say('closed');
    }
    setInterval(() => {}, 1000);`;
}

/** Kills one host; what is left of it after the limit, and how long that took to be nothing. */
async function round(
  stage: Stage,
): Promise<{ readonly atMs: number; readonly tookMs: number; readonly left: string[] }> {
  const atMs = Math.round(Math.random() * stage.spanMs);
  const tmp = mkdtempSync(join(tmpdir(), 'jarvis-chaos-'));
  await using real = await realServerOptions({
    config: {
      mcp: { stubborn: mcpServer({ stubborn: true }), forks: mcpServer({ forks: true, stubborn: true }) },
    },
    script: () => [
      toolCall('bash', {
        command: '(setsid sleep 601 < /dev/null > /dev/null 2>&1 &)',
        description: 'Leave',
      }),
      toolCall('bash', { command: 'sleep 600', description: 'Wait' }),
    ],
  });
  await using repo = await gitRepo();
  const { config, cwd } = real.startOptions;
  const env = { ...real.env, TMPDIR: tmp, ...(stage.name === 'stop' && { JARVIS_CHAOS_STOP: '1' }) };
  try {
    await using host = startHost(body(repo.directory), { options: { config, cwd }, env });
    await host.hears(stage.word);
    await sleep(atMs);
    host.kill('SIGKILL');
    const killedAt = performance.now();
    const left = (): string[] => leftovers(real.marker, host, tmp);
    await until(() => left().length === 0, { timeoutMs: LIMIT_MS }).catch(() => undefined);
    await host.childrenGone().catch(() => undefined);
    const tookMs = Math.round(performance.now() - killedAt);
    const found = left();
    await endProcessesWith(real.marker, { graceMs: 0 });
    return { atMs, tookMs, left: found };
  } finally {
    rmSync(tmp, { recursive: true, force: true });
  }
}

function leftovers(marker: string, host: HostProcess, tmp: string): string[] {
  const server = Number(host.said().find((word) => /^\d+$/.test(word)) ?? 0);
  const pids = new Set([...processesWith(marker), ...(server > 0 ? groupMembers(server) : [])]);
  const records = readdirSync(tmp).filter((name) => name.startsWith('jarvis-opencode-'));
  return [...[...pids].map((pid) => `${pid} ${commandLineOf(pid)}`), ...records];
}

const rounds = Number(argv[2] ?? 20);
let failed = 0;
let slowest = 0;
for (let index = 0; index < rounds; index += 1) {
  const stage = STAGES[index % STAGES.length] as Stage;
  const { atMs, tookMs, left } = await round(stage);
  if (left.length > 0) failed += 1;
  else slowest = Math.max(slowest, tookMs);
  const outcome = left.length === 0 ? `nothing left after ${tookMs} ms` : `LEFT: ${left.join('; ')}`;
  console.log(`${index + 1}/${rounds} kill -9 at ${stage.name} + ${atMs} ms: ${outcome}`);
}
console.log(
  `${rounds - failed} of ${rounds} rounds left nothing; the slowest took ${slowest} ms of ${LIMIT_MS}`,
);
exit(failed === 0 ? 0 : 1);
