import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ServerStartError } from '../../errors.js';
import { NOT_THERE } from './executable.js';
import { NO_BINARY, packageBinary, packageFolders, packageProgram, packagesIn } from './package-binary.js';
import { programOf } from './shim.js';

/** Where to look for the binary. */
export interface BinaryOptions {
  /** An executable by path or name; nothing else is tried then. */
  readonly command?: string | undefined;
  /** The environment with `OPENCODE_BIN`, which counts like a command, and `PATH`. */
  readonly env: NodeJS.ProcessEnv;
  /** Directories whose files may import the package `opencode-ai`; it is preferred over PATH. */
  readonly packageRoots: readonly string[];
  /** Directories to search after PATH. */
  readonly installDirectories: readonly string[];
  /** @default that of this process */
  readonly platform?: NodeJS.Platform | undefined;
}

/**
 * Finds the `opencode` executable: `command`, else the variable `OPENCODE_BIN`, else the package `opencode-ai`, else PATH, else the
 * directories of installers.
 *
 * @returns its absolute path.
 * @throws {ServerStartError} naming all that was searched, and what was found and cannot be used.
 */
export function findBinary(options: BinaryOptions): string {
  const { command, env, platform = process.platform } = options;
  const onPath = pathDirectories(env, platform);
  if (command !== undefined) return findCommand('The command', command, onPath, platform);
  const named = env.OPENCODE_BIN;
  if (named) return findCommand('OPENCODE_BIN: the command', named, onPath, platform);

  const unusable: string[] = [];
  const folders = packageFolders(options.packageRoots);
  for (const directory of packagesIn(folders)) {
    const binary = packageBinary(directory, platform);
    if (binary !== undefined) return binary;
    unusable.push(`${packageProgram(directory)} ${NO_BINARY}`);
  }
  const directories = [...new Set([...onPath, ...options.installDirectories])];
  const onDisk = searchIn(directories, 'opencode', platform);
  if (onDisk.found !== undefined) return onDisk.found;
  throw new ServerStartError({
    message:
      'No opencode binary found. Install one with "npm install opencode-ai@1.18", set OPENCODE_BIN to its path, or pass that as command.' +
      unusableList([...unusable, ...onDisk.unusable]) +
      list('Searched for the package opencode-ai', folders) +
      list('Searched for opencode, on PATH and where installers put it', directories),
    command: 'opencode',
  });
}

/** The absolute path of a program that an environment's PATH finds; `undefined` when there is none. */
export function programOnPath(
  name: string,
  env: NodeJS.ProcessEnv,
  platform = process.platform,
): string | undefined {
  return searchIn(pathDirectories(env, platform), name, platform).found;
}

/** The directories of which the packages are searched: the working directory, the running script's and this library's own. */
export function packageRoots(): string[] {
  const script = process.argv[1];
  return [
    orNothing(() => process.cwd()),
    ...(script ? [dirname(resolve(script)), orNothing(() => dirname(realpathSync(script)))] : []),
    // A bundle that is no ES module has no URL.
    orNothing(() => dirname(fileURLToPath(import.meta.url))),
  ].filter((directory) => directory !== undefined);
}

/** Where OpenCode's installer and the package managers put commands, whether or not that is on PATH. */
export function installDirectories(env: NodeJS.ProcessEnv): string[] {
  const home = orNothing(homedir);
  const below = (parent: string | undefined, ...paths: string[]): string[] =>
    parent ? paths.map((path) => join(parent, path)) : [];
  return [
    ...below(env.OPENCODE_INSTALL_DIR, '.'),
    ...below(home, '.opencode/bin', '.local/bin'),
    // npm puts the commands of global packages beside Node, or on Windows into the user's folder.
    dirname(process.execPath),
    ...below(env.APPDATA, 'npm'),
    ...below(env.PNPM_HOME, '.', 'bin'),
    ...below(env.LOCALAPPDATA, 'pnpm'),
    ...below(home, '.local/share/pnpm', 'Library/pnpm'),
    ...below(env.BUN_INSTALL, 'bin'),
    ...below(home, '.bun/bin', '.yarn/bin', '.volta/bin', '.local/share/mise/shims', '.nix-profile/bin'),
    ...below(home, 'scoop/shims'),
    ...below(env.ChocolateyInstall, 'bin'),
    ...(process.platform === 'win32'
      ? []
      : ['/opt/homebrew/bin', '/home/linuxbrew/.linuxbrew/bin', '/usr/local/bin']),
  ];
}

/**
 * Finds the program of a command prefix, by path or by name on PATH.
 *
 * @returns its absolute path.
 * @throws {ServerStartError} when it is not there or cannot be executed.
 */
export function findWrapper(
  name: string,
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): string {
  return findCommand('The wrapper', name, pathDirectories(env, platform), platform);
}

function findCommand(
  what: string,
  command: string,
  onPath: readonly string[],
  platform: NodeJS.Platform,
): string {
  const named = `${what} ${JSON.stringify(command)} is not an executable file`;
  if (/[\\/]/.test(command)) {
    const program = programOf(resolve(command), platform);
    if ('file' in program) return program.file;
    throw new ServerStartError({ message: `${named}: it ${program.fault}.`, command });
  }
  const { found, unusable } = searchIn(onPath, command, platform);
  if (found !== undefined) return found;
  const message = `${named} on PATH.` + unusableList(unusable) + list('Searched', onPath);
  throw new ServerStartError({ message, command });
}

/** The first usable file with this name, or else those that exist, each with what makes it unusable. */
function searchIn(
  directories: readonly string[],
  name: string,
  platform: NodeJS.Platform,
): { readonly found: string | undefined; readonly unusable: string[] } {
  const unusable: string[] = [];
  if (name === '') return { found: undefined, unusable };
  const hasExtension = platform !== 'win32' || /\.\w+$/.test(name);
  const extensions = hasExtension ? [''] : ['.exe', '.cmd', '.bat'];
  for (const directory of directories) {
    for (const extension of extensions) {
      const file = join(directory, name + extension);
      const program = programOf(file, platform);
      if ('file' in program) return { found: program.file, unusable };
      if (program.fault !== NOT_THERE) unusable.push(`${file} ${program.fault}`);
    }
  }
  return { found: undefined, unusable };
}

/** The directories of PATH, which Windows may spell `Path`. */
function pathDirectories(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string[] {
  const name = platform === 'win32' ? Object.keys(env).find((key) => key.toUpperCase() === 'PATH') : 'PATH';
  const directories = (name === undefined ? '' : (env[name] ?? '')).split(delimiter);
  return directories.filter((directory) => directory !== '').map((directory) => resolve(directory));
}

function unusableList(lines: readonly string[]): string {
  return lines.length === 0 ? '' : list('Found, but not usable', lines);
}

function list(title: string, lines: readonly string[]): string {
  return `\n${title}:\n${lines.length === 0 ? '  nothing' : lines.map((line) => `  ${line}`).join('\n')}`;
}

/** What a call to the system returns; `undefined` when there is no such thing. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
