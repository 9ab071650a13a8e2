import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, resolve } from 'node:path';
import { ServerStartError } from '../../errors.js';

/** Where to look for the binary. */
export interface BinaryOptions {
  /** An executable by path or name; nothing else is tried then. */
  readonly command?: string | undefined;
  /** Where the host project is: its `opencode-ai` package is preferred over PATH. */
  readonly projectDirectory: string;
  /** The PATH to search. */
  readonly searchPath: string | undefined;
}

/** What the npm package ships in the binary's place until its install script has run is a short shell script. */
const MIN_BINARY_BYTES = 1_000_000;

/**
 * Finds the `opencode` executable: `command`, else the `opencode-ai` package of the host project, else PATH.
 *
 * @throws {ServerStartError} naming what was tried.
 */
export function findBinary(options: BinaryOptions): string {
  if (options.command !== undefined) return findCommand(options.command, options.searchPath);
  const tried: string[] = [];
  for (const candidate of packageCandidates(options.projectDirectory)) {
    if (isExecutable(candidate) && statSync(candidate).size >= MIN_BINARY_BYTES) return candidate;
    tried.push(candidate);
  }
  const found = searchInPath('opencode', options.searchPath);
  if (found !== undefined) return found;
  tried.push('the package opencode-ai of the project', 'opencode on PATH');
  throw new ServerStartError({
    message: `No opencode binary found. Install one with "npm install opencode-ai@1.18", or pass its path as command. Tried: ${tried.join(', ')}.`,
    command: 'opencode',
  });
}

function findCommand(command: string, searchPath: string | undefined): string {
  const isPath = command.includes('/') || command.includes('\\');
  const found = isPath ? resolve(command) : searchInPath(command, searchPath);
  if (found !== undefined && isExecutable(found)) return found;
  throw new ServerStartError({
    message: `The command ${JSON.stringify(command)} is not an executable file${isPath ? '' : ' on PATH'}.`,
    command,
  });
}

/** The native binary that the package installed for this machine, and those its platform packages bring. */
function packageCandidates(projectDirectory: string): string[] {
  const wrapper = resolvePackage('opencode-ai', resolve(projectDirectory, 'package.json'));
  if (wrapper === undefined) return [];
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const base = `opencode-${platform}-${process.arch}`;
  const file = process.platform === 'win32' ? 'opencode.exe' : 'opencode';
  const native = platformVariants(base)
    .map((name) => resolvePackage(name, join(wrapper, 'package.json')))
    .filter((directory) => directory !== undefined)
    .map((directory) => join(directory, 'bin', file));
  return [...native, join(wrapper, 'bin', 'opencode.exe')];
}

/** The platform packages that can run here, best first; `-baseline` ones need no AVX2. */
function platformVariants(base: string): string[] {
  const needsBaseline = process.arch === 'x64' && process.platform === 'linux' && !hasAvx2();
  const variants = needsBaseline ? ['-baseline', ''] : ['', '-baseline'];
  if (process.platform !== 'linux') return variants.map((variant) => base + variant);
  return variants.map((variant) => `${base}${variant}${isMusl() ? '-musl' : ''}`);
}

function hasAvx2(): boolean {
  try {
    return /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}

function isMusl(): boolean {
  return (
    existsSync('/etc/alpine-release') ||
    existsSync(`/lib/ld-musl-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`)
  );
}

function resolvePackage(name: string, from: string): string | undefined {
  try {
    return dirname(createRequire(from).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

function searchInPath(name: string, searchPath: string | undefined): string | undefined {
  const extensions = process.platform === 'win32' ? ['.exe', '.cmd', ''] : [''];
  for (const directory of (searchPath ?? '').split(delimiter)) {
    if (directory === '') continue;
    for (const extension of extensions) {
      const candidate = join(directory, name + extension);
      if (isExecutable(candidate)) return candidate;
    }
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
