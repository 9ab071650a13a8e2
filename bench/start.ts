// What start() adds to the server's own start: from the server's first healthy answer, seen from outside by another client,
// to start() resolved; both counted from the spawn, in one run. And the memory of this process over all starts and stops.
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { JarvisOpenCode, type Logger } from 'jarvis-opencode';
import { freePort } from '../test/support/ports.js';
import { realServerOptions } from '../test/support/real-opencode.js';

const ROUNDS = Number(process.argv[2] ?? 30);
const PASSWORD = 'bench-start';

/** Whether the server is healthy. One asked too early never answers. */
function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = {
      port,
      path: '/global/health',
      auth: `opencode:${PASSWORD}`,
      agent: false,
      timeout: 200,
    };
    const request = get(options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });
}

/** When the server was first healthy: asked every 10 ms, without waiting for earlier questions. */
async function firstHealthy(port: number, signal: AbortSignal): Promise<number> {
  let at = 0;
  while (at === 0 && !signal.aborted) {
    void isHealthy(port).then((healthy) => {
      if (healthy && at === 0) at = performance.now();
    });
    await sleep(10);
  }
  return at;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;

await using real = await realServerOptions();
// One for all rounds, as it is with port 0: OpenCode takes 4096 whenever that is free.
const port = await freePort();
const before: number[] = [];
const own: number[] = [];
const added: number[] = [];
const stops: number[] = [];
for (let round = 1; round <= ROUNDS; round += 1) {
  const over = new AbortController();
  let spawnedAt = 0;
  const logger: Logger = {
    debug: (message) => {
      if (message === 'server starting') spawnedAt = performance.now();
    },
    info: () => undefined,
    warn: console.warn,
    error: console.error,
  };
  const healthy = firstHealthy(port, over.signal);
  const calledAt = performance.now();
  const jarvis = await JarvisOpenCode.start({ ...real.startOptions, port, password: PASSWORD, logger });
  const resolvedAt = performance.now();
  over.abort();
  const healthyAt = (await healthy) || resolvedAt;
  const stopAt = performance.now();
  await jarvis.close();
  stops.push(performance.now() - stopAt);
  before.push(spawnedAt - calledAt);
  own.push(healthyAt - spawnedAt);
  added.push(resolvedAt - healthyAt);
  if (round === 1 || round % 10 === 0) {
    globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    console.log(`after ${round} starts and stops: heap ${megabytes(heapUsed)}, resident ${megabytes(rss)}`);
  }
}
console.log(
  `medians of ${ROUNDS}: before the spawn ${median(before).toFixed(0)} ms, the server's own ${median(own).toFixed(0)} ms, ` +
    `added by start() ${median(added).toFixed(0)} ms (asked: under 150), close() ${median(stops).toFixed(0)} ms`,
);
