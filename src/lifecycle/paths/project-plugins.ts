import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RepoPathError } from '../../errors.js';

/**
 * Makes sure that a repository brings no plugin of its own. With `OPENCODE_DISABLE_PROJECT_CONFIG` OpenCode 1.18.33 starts no MCP
 * server of the repository and loads no tool of it, but it still imports `.opencode/plugin/*.js` and what `plugin` in an
 * `opencode.json` names, at the first prompt; neither that variable nor `--pure` prevents it (measured). What cannot be parsed is
 * taken to name one.
 *
 * @throws {RepoPathError} with reason `plugins`.
 */
export function assertNoPlugins(directory: string): void {
  for (const level of upToProject(directory)) {
    if (hasPlugins(level)) throw new RepoPathError(directory, 'plugins');
  }
}

/** The directories whose configuration OpenCode reads: this one and those above it, up to the root of the repository. */
function upToProject(directory: string): string[] {
  const levels = [directory];
  for (let level = directory; !existsSync(join(level, '.git')) && dirname(level) !== level;) {
    level = dirname(level);
    levels.push(level);
  }
  return levels;
}

function hasPlugins(level: string): boolean {
  const own = join(level, '.opencode');
  const files = [level, own].flatMap((folder) => [
    join(folder, 'opencode.json'),
    join(folder, 'opencode.jsonc'),
  ]);
  return ['plugin', 'plugins'].some((name) => hasModules(join(own, name))) || files.some(namesPlugins);
}

function hasModules(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => /\.[jt]s$/i.test(name));
  } catch (error) {
    return !isMissing(error);
  }
}

function namesPlugins(file: string): boolean {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return !isMissing(error);
  }
  try {
    const config: unknown = JSON.parse(text);
    return typeof config === 'object' && config !== null && ('plugin' in config || 'plugins' in config);
  } catch {
    // With comments: a key may also be written with escapes.
    return /plugin|\\u/i.test(text);
  }
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}
