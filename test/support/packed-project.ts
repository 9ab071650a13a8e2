import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, realpath, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A project with the packed tarball installed, as a user gets it. */
export interface PackedProject extends AsyncDisposable {
  readonly directory: string;
  /** Makes a package of this repository's own `node_modules` available in the project. */
  link(name: string): Promise<void>;
}

/** Packs this repository, as it is built, into a directory; gives the absolute path of the tarball. */
export async function pack(directory: string): Promise<string> {
  const command = ['pack', '--ignore-scripts', '--silent', '--pack-destination', directory];
  await run('npm', command, { cwd: root, timeout: 60_000 });
  const tarball = (await readdir(directory)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack made no tarball');
  return join(directory, tarball);
}

/**
 * Packs this repository and unpacks the tarball into an empty project, with its dependencies. Needs `npm run build` first.
 *
 * @throws {Error} when it was not built.
 */
export async function packedProject(dependencies: readonly string[]): Promise<PackedProject> {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist/ is not built: npm run build first');
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-project-')));
  const dispose = (): Promise<void> => rm(directory, { recursive: true, force: true, maxRetries: 5 });
  const link = async (name: string): Promise<void> => {
    const path = join(directory, 'node_modules', name);
    await mkdir(dirname(path), { recursive: true });
    await symlink(join(root, 'node_modules', name), path);
  };
  try {
    const tarball = await pack(directory);
    await run('tar', ['-xzf', tarball], { cwd: directory, timeout: 60_000 });
    await mkdir(join(directory, 'node_modules'));
    await rename(join(directory, 'package'), join(directory, 'node_modules/jarvis-opencode'));
    for (const name of dependencies) await link(name);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { directory, link, [Symbol.asyncDispose]: dispose };
}
