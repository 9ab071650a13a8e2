import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RepoPathError } from '../../errors.js';
import { levelsToProject } from './project.js';

/** Where a repository keeps what is for OpenCode. */
const OWN_FOLDER = '.opencode';

/**
 * Makes sure that a repository brings no plugin of its own. With `OPENCODE_DISABLE_PROJECT_CONFIG` OpenCode 1.18.33 starts no MCP
 * server of the repository and loads no tool of it, but it still imports `.opencode/plugin/*.js` and what `plugin` in an
 * `opencode.json` names, at the first prompt; neither that variable nor `--pure` prevents it (measured). What cannot be parsed is
 * taken to name one.
 *
 * @throws {RepoPathError} with reason `plugins`.
 */
export function assertNoPlugins(directory: string): void {
  for (const level of levelsToProject(directory)) {
    if (hasPlugins(level)) throw new RepoPathError(directory, 'plugins');
  }
}

/** The configuration files that a repository may bring for a directory in it, the nearest first; those that there are not too. */
export function projectConfigFiles(directory: string): string[] {
  return levelsToProject(directory).flatMap(configFilesIn);
}

function hasPlugins(level: string): boolean {
  const folders = ['plugin', 'plugins'].map((name) => join(level, OWN_FOLDER, name));
  return folders.some(hasModules) || configFilesIn(level).some(namesPlugins);
}

function configFilesIn(level: string): string[] {
  const names = ['opencode.json', 'opencode.jsonc'];
  return [level, join(level, OWN_FOLDER)].flatMap((folder) => names.map((name) => join(folder, name)));
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
