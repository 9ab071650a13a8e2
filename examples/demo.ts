/**
 * Two repositories behind one OpenCode server: two turns at the same time, one repository goes idle and is disposed
 * while the other is busy, and is woken by its next prompt. Ends with exit code 1 when it does not happen like that.
 *
 *   npm start                                                            a scripted model; no key, no network
 *   npm start -- --opencode 2                                            the same on OpenCode 2
 *   npm start -- --model PROVIDER/MODEL --repo PATH --repo PATH          your own repositories and configuration
 */
import { argv, cwd, env, exit, stderr, stdout } from 'node:process';
import { parseOptions, USAGE, UsageError, type DemoOptions } from './demo/options.js';
import { ownStage } from './demo/own-stage.js';
import { Screen } from './demo/screen.js';
import { scriptedStage } from './demo/scripted-stage.js';
import { play } from './demo/story.js';

/** How long the process may take to end by itself when everything is closed. */
const END_LIMIT_MS = 3_000;

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

async function run(options: Exclude<DemoOptions, { kind: 'help' }>): Promise<number> {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => ending.abort(new Interrupted(`Interrupted by ${signal}`)));
  }
  // Whoever read the output has gone, e.g. `npm start | head -1`.
  stdout.on('error', (error) => ending.abort(error));
  const screen = new Screen(stdout);
  const stage = options.kind === 'own' ? ownStage(options) : await scriptedStage(options.opencode);
  const timer = setTimeout(() => {
    ending.abort(new Error(`It is not over after ${stage.limitMs / 1000} s.`));
  }, stage.limitMs);
  try {
    try {
      const shown = await play(stage, screen, ending.signal);
      stdout.write(`\nWhat was shown:\n${shown.map((line) => `  - ${line}\n`).join('')}`);
    } finally {
      clearTimeout(timer);
      await stage[Symbol.asyncDispose]();
    }
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) {
      stderr.write(`\n${error.message}: everything is closed.\n`);
      return 130;
    }
    stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(argv.slice(2), env.INIT_CWD ?? cwd());
    if (options.kind !== 'help') return await run(options);
    stdout.write(USAGE);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    stderr.write(`${error.message}\n\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await main();
setTimeout(() => {
  stderr.write(`Something keeps the process alive: ${process.getActiveResourcesInfo().join(', ')}\n`);
  exit(1);
}, END_LIMIT_MS).unref();
