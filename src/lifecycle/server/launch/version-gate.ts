import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { abortable, AbortScope, delay } from '../../../core/abort.js';
import { UnsupportedServerError } from '../../../errors.js';
import { acceptedInWords, majorOf, type AcceptedVersions } from '../../../core/version.js';
import type { GuardedProcess } from '../../guards/guarded-process.js';

/** `opencode --version` takes 0.5 s on a machine that has nothing else to do. */
const VERSION_LIMIT_MS = 10_000;
const VERSION = /(?:^|\s)v?(\d+\.\d+\.\d+\S*)\s*$/;

/** The versions found in this process, by file: a binary that was replaced is another file. */
const known = new Map<string, string>();

/** How to ask a binary. */
export interface BinaryQuestion {
  readonly command: string;
  /** The command prefix; empty for none. */
  readonly wrap: readonly string[];
  readonly accepted: AcceptedVersions;
  /** Runs the binary with `--version`. */
  readonly run: () => GuardedProcess;
  readonly startError: (what: string, exitCode: number | null, cause?: unknown) => Error;
}

/**
 * Makes sure, before a server is started, that the binary is one this library can talk to. A binary that npm installed is known
 * by its package; any other, and every binary behind a wrapper, is asked with `--version`, once per file and wrapper (OpenCode 1.18.33:
 * 0.5 s, opens no socket). A binary without such an answer, e.g. a script, passes: the server itself is asked when it runs.
 *
 * @returns the major version of the binary; `undefined` when it does not tell.
 * @throws {UnsupportedServerError} naming the version found.
 * @throws {ServerStartError} when a wrapper does not run the binary.
 */
export async function assertBinaryVersion(
  question: BinaryQuestion,
  signal: AbortSignal,
): Promise<1 | 2 | undefined> {
  const { command, wrap, accepted } = question;
  const file = realpathSync(command);
  const { ino, mtimeMs, size } = statSync(file);
  const isWrapped = wrap.length > 0;
  const key = JSON.stringify([file, ino, mtimeMs, size, wrap]);
  const version =
    known.get(key) ?? (isWrapped ? undefined : packageVersion(file)) ?? (await askVersion(question, signal));
  if (version === undefined) return undefined;
  known.set(key, version);
  const major = majorOf(version, accepted);
  if (major === undefined) throw new UnsupportedServerError(version, acceptedInWords(accepted), { command });
  return major;
}

/** The version of the npm package that the binary belongs to; `undefined` for another binary. */
function packageVersion(file: string): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(dirname(file), '..', 'package.json'), 'utf8')) as {
      readonly name?: unknown;
      readonly version?: unknown;
    };
    const isOpenCode =
      typeof manifest.name === 'string' && /^opencode-(ai|(linux|darwin|windows)-)/.test(manifest.name);
    return isOpenCode && typeof manifest.version === 'string' ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}

async function askVersion(
  { wrap, accepted, run, startError }: BinaryQuestion,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limit = new AbortScope([signal]);
  const asked = run();
  try {
    const answer = Promise.race([
      asked.exited,
      // The start of the server reports why it cannot be run.
      asked.failed.catch(() => undefined),
      // A wrapper that does not pass its arguments on has started a server.
      asked.url.then(() => undefined),
      delay(VERSION_LIMIT_MS, limit.signal).then(() => undefined),
    ]);
    const exit = await abortable(answer, limit.signal);
    const versions = asked.output.lines().flatMap((line) => VERSION.exec(line)?.[1] ?? []);
    const version = versions.find((each) => majorOf(each, accepted) !== undefined) ?? versions.at(-1);
    const hasFailed = exit !== undefined && exit.code !== 0;
    if (wrap.length > 0 && hasFailed && version === undefined && asked.pid !== undefined) {
      const how =
        exit.code === null ? `was ended by ${String(exit.signal)}` : `exited with code ${exit.code}`;
      throw startError(`was not started: its wrapper, asked for --version, ${how}. Command`, exit.code);
    }
    return version;
  } finally {
    limit.abort(undefined);
    limit.end();
    await asked.end(0);
  }
}
