import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Absolute path of the native `opencode` binary of the `opencode-ai` dev dependency. */
export function opencodeBinary(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `opencode-${platform}-${process.arch}`;
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return join(dirname(manifest), 'bin', process.platform === 'win32' ? 'opencode.exe' : 'opencode');
}
