import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { abortable, AbortScope, delay } from '../../../core/abort.js';
import { UnsupportedServerError } from '../../../errors.js';
import { isSupportedVersion, SUPPORTED_SERVERS } from '../../../core/version.js';
import type { GuardedProcess } from '../../guards/guarded-process.js';

/** `opencode --version` takes 0.5 s on a machine that has nothing else to do. */
const VERSION_LIMIT_MS = 10_000;
const VERSION = /(?:^|\s)v?(\d+\.\d+\.\d+\S*)\s*$/;

/** The versions found in this process, by file: a binary that was replaced is another file. */
const known = new Map<string, string>();

/**
 * Makes sure, before a server is started, that the binary is one this library can talk to. A binary that npm installed is known
 * by its package; any other is asked with `--version`, once per file (OpenCode 1.18.33: 0.5 s, opens no socket).
 * A binary without such an answer, e.g. a wrapper script, passes: the server itself is asked when it runs.
 *
 * @param run - runs the binary with `--version`.
 * @throws {UnsupportedServerError} naming the version found.
 */
export async function assertBinaryVersion(
  command: string,
  run: () => GuardedProcess,
  signal: AbortSignal,
): Promise<void> {
  const file = realpathSync(command);
  const { ino, mtimeMs, size } = statSync(file);
  const key = [file, ino, mtimeMs, size].join(':');
  const version = known.get(key) ?? packageVersion(file) ?? (await askVersion(run(), signal));
  if (version === undefined) return;
  known.set(key, version);
  if (!isSupportedVersion(version)) throw new UnsupportedServerError(version, SUPPORTED_SERVERS, { command });
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

async function askVersion(asked: GuardedProcess, signal: AbortSignal): Promise<string | undefined> {
  const limit = new AbortScope([signal]);
  try {
    const answer = Promise.race([
      asked.exited,
      // The start of the server reports why it cannot be run.
      asked.failed.catch(() => undefined),
      // A wrapper that does not pass its arguments on has started a server.
      asked.url,
      delay(VERSION_LIMIT_MS, limit.signal),
    ]);
    await abortable(answer, limit.signal);
    const versions = asked.output.lines().flatMap((line) => VERSION.exec(line)?.[1] ?? []);
    return versions.find(isSupportedVersion) ?? versions.at(-1);
  } finally {
    limit.abort(undefined);
    limit.end();
    await asked.end(0);
  }
}
