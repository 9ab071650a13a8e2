import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packedProject, type PackedProject } from '../../test/support/packed-project.js';

const manifestPath = fileURLToPath(new URL('../../package.json', import.meta.url));

/** A scratch project that has the packed tarball as a user gets it. */
export interface EmbeddingProject extends PackedProject {
  /** Writes a file of the project, with its folders, and returns its absolute path. */
  write(path: string, text: string): Promise<string>;
}

/**
 * Packs this repository into an empty ESM project with the library's dependencies and `opencode-ai`, which have links to this
 * repository's `node_modules`, so that nothing is downloaded. Needs `npm run build` first. Dispose it when done.
 *
 * @param packages - more packages of this repository's `node_modules` that the project has.
 */
export async function packProject(packages: readonly string[] = []): Promise<EmbeddingProject> {
  const { dependencies } = JSON.parse(readFileSync(manifestPath, 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const project = await packedProject([...Object.keys(dependencies), 'opencode-ai', ...packages]);
  const write = async (path: string, text: string): Promise<string> => {
    const file = join(project.directory, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  };
  await write('package.json', JSON.stringify({ name: 'app', private: true, type: 'module' }));
  return { ...project, write };
}
