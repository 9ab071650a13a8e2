import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { faultOf } from './executable.js';

/** The npm package of OpenCode. */
const PACKAGE = 'opencode-ai';
/** What is wrong with a package for which {@link packageBinary} finds nothing, in words that follow the name of its program. */
export const NO_BINARY =
  'is a placeholder: its install scripts were blocked, and the package with the binary for this machine is missing';
/** What the npm package ships in the binary's place until its install script has run is a short script. */
const MIN_BINARY_BYTES = 1_000_000;

/**
 * The folders in which a package can be that a file of one of these directories may import: the `node_modules` of each of them and of
 * all above, with what Yarn's Plug'n'Play keeps unpacked beside them. Walks the file system, because bundlers rewrite `require.resolve`.
 */
export function packageFolders(directories: readonly string[]): string[] {
  const folders: string[] = [];
  for (const directory of directories) {
    for (let level = resolve(directory); ; level = dirname(level)) {
      folders.push(join(level, 'node_modules'), ...unplugged(level));
      if (dirname(level) === level) break;
    }
  }
  return [...new Set(folders)];
}

/** The directories of the package `opencode-ai` in these folders. */
export function packagesIn(folders: readonly string[]): string[] {
  return folders.map((folder) => join(folder, PACKAGE)).filter((directory) => existsSync(directory));
}

/** The directory of the package `opencode-ai` that has this file in its `bin/`; `undefined` for any other file. */
export function packageOf(file: string): string | undefined {
  try {
    const directory = join(dirname(realpathSync(file)), '..');
    const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
      readonly name?: unknown;
    };
    return manifest.name === PACKAGE ? directory : undefined;
  } catch {
    return undefined;
  }
}

/** The file that is the command of a package `opencode-ai`. */
export function packageProgram(directory: string): string {
  return join(directory, 'bin', 'opencode.exe');
}

/** Whether a file can be the binary, by its size. */
export function isBinarySize(file: string): boolean {
  return statSync(file).size >= MIN_BINARY_BYTES;
}

/**
 * The native binary of a package `opencode-ai`: that of its platform package, which is there also when install scripts are blocked, else
 * the copy that its install script made. `undefined` when it has neither.
 */
export function packageBinary(directory: string, platform: NodeJS.Platform): string | undefined {
  const names = platformPackages(platform);
  const file = platform === 'win32' ? 'opencode.exe' : 'opencode';
  // The package managers that link packages into a store put the platform packages beside the target of the link.
  const folders = packageFolders([realpathSync(directory)]);
  const natives = names.flatMap((name) => folders.map((folder) => join(folder, name, 'bin', file)));
  return [...natives, packageProgram(directory)].find(
    (candidate) => faultOf(candidate) === undefined && isBinarySize(candidate),
  );
}

/** The platform packages that could run here, best first; `-baseline` ones need no AVX2. */
function platformPackages(platform: NodeJS.Platform): string[] {
  const base = `opencode-${platform === 'win32' ? 'windows' : platform}-${process.arch}`;
  const needsBaseline = process.arch === 'x64' && platform === 'linux' && !hasAvx2();
  const variants = needsBaseline ? ['-baseline', ''] : ['', '-baseline'];
  if (platform !== 'linux') return variants.map((variant) => base + variant);
  const libraries = isMusl() ? ['-musl', ''] : ['', '-musl'];
  return libraries.flatMap((library) => variants.map((variant) => base + variant + library));
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

function unplugged(directory: string): string[] {
  const parent = join(directory, '.yarn', 'unplugged');
  try {
    const names = readdirSync(parent).filter((name) => name.startsWith('opencode-'));
    return names.map((name) => join(parent, name, 'node_modules'));
  } catch {
    return [];
  }
}
