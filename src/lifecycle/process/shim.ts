import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { faultOf } from './executable.js';
import { NO_BINARY, isBinarySize, packageBinary, packageOf } from './package-binary.js';

/** The scripts that package managers put into a `bin` directory are short. */
const MAX_SHIM_BYTES = 20_000;
/** How such a script names the program it starts, relative to itself: for `cmd.exe` and for a shell. */
const SHIM_TARGET = /"(?:%~dp0|%dp0%|\$basedir)[\\/]*([^"\r\n]+)"/g;

/** The file to spawn, or why there is none, in words that follow the name of the file that was found. */
export type Program = { readonly file: string } | { readonly fault: string };

/**
 * What to spawn for a file that was found. That is the file itself, but the native binary where the file is one of the scripts that
 * package managers make for `opencode-ai`: on Windows a `.cmd` cannot be spawned without a shell, and where install scripts are blocked
 * the package has only a placeholder.
 */
export function programOf(file: string, platform: NodeJS.Platform): Program {
  const fault = faultOf(file);
  if (fault !== undefined) return { fault };
  const isBatch = platform === 'win32' && /\.(cmd|bat)$/i.test(file);
  for (const target of [file, ...shimTargets(file)]) {
    const directory = packageOf(target);
    if (directory !== undefined) {
      if (target === file && isBinarySize(file)) return { file };
      const binary = packageBinary(directory, platform);
      if (binary !== undefined) return { file: binary };
      return { fault: target === file ? NO_BINARY : `starts ${target}, which ${NO_BINARY}` };
    }
    if (isBatch && /\.exe$/i.test(target) && faultOf(target) === undefined) return { file: target };
  }
  return isBatch
    ? { fault: 'is a batch file, which cannot be started without a shell; give the path of opencode.exe' }
    : { file };
}

function shimTargets(file: string): string[] {
  if (statSync(file).size > MAX_SHIM_BYTES) return [];
  const text = readFileSync(file, 'latin1');
  return [...text.matchAll(SHIM_TARGET)].map(([, target = '']) =>
    resolve(dirname(file), target.replaceAll('\\', '/')),
  );
}
