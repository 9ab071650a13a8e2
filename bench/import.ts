// What importing the library costs: CPU time and heap of its main entry, against those of the official SDK's, each in processes of their
// own that take turns. Needs no server.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROUNDS = Number(process.argv[2] ?? 15);
const OURS = 'jarvis-opencode';
const OFFICIAL = '@opencode-ai/sdk';

const PROBE = (specifier: string): string => `
  gc();
  const heap = process.memoryUsage().heapUsed;
  const cpu = process.cpuUsage();
  await import(${JSON.stringify(specifier)});
  const { user, system } = process.cpuUsage(cpu);
  gc();
  console.log(JSON.stringify({ ms: (user + system) / 1000, mb: (process.memoryUsage().heapUsed - heap) / 2 ** 20 }));
`;

interface Cost {
  readonly ms: number;
  readonly mb: number;
}

function measure(specifier: string): Cost {
  const flags = ['--expose-gc', '--input-type=module', '-e', PROBE(specifier)];
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  return JSON.parse(execFileSync(process.execPath, flags, { cwd, encoding: 'utf8' })) as Cost;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const ours: Cost[] = [];
const official: Cost[] = [];
// The first round reads the files into the cache of the system.
for (let round = 0; round <= ROUNDS; round += 1) {
  const costs = [measure(OURS), measure(OFFICIAL)] as const;
  if (round === 0) continue;
  ours.push(costs[0]);
  official.push(costs[1]);
}
for (const [what, key, unit] of [
  ['CPU time', 'ms', 'ms'],
  ['heap', 'mb', 'MB'],
] as const) {
  const [own, other] = [ours, official].map((costs) => median(costs.map((cost) => cost[key])));
  if (own === undefined || other === undefined) continue;
  const values = `${own.toFixed(1)} ${unit} against ${other.toFixed(1)} ${unit}`;
  console.log(`${what} of the import: ${(own / other).toFixed(2)} times the official SDK's (${values})`);
}
