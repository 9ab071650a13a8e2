import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';

const AUTHOR = 'Jarvis <jarvis@example.invalid> 1767225600 +0000';

/**
 * Makes a git repository on the branch `main` with one commit without files, like `git init` and `git commit --allow-empty`.
 * Needs no git and reads no configuration of git.
 *
 * @param directory - an empty directory.
 * @param subject - the subject of the commit. OpenCode takes repositories with the same first commit for one project.
 */
export async function makeGitRepository(directory: string, subject: string): Promise<void> {
  const git = join(directory, '.git');
  await mkdir(join(git, 'refs/heads'), { recursive: true });
  const tree = await writeObject(git, 'tree', '');
  const commit = `tree ${tree}\nauthor ${AUTHOR}\ncommitter ${AUTHOR}\n\n${subject}\n`;
  await writeFile(join(git, 'refs/heads/main'), `${await writeObject(git, 'commit', commit)}\n`);
  await writeFile(join(git, 'config'), '[core]\n\trepositoryformatversion = 0\n\tbare = false\n');
  await writeFile(join(git, 'HEAD'), 'ref: refs/heads/main\n');
}

/** Stores an object. @returns the hash of its content. */
async function writeObject(git: string, type: 'tree' | 'commit', content: string): Promise<string> {
  const object = `${type} ${Buffer.byteLength(content)}\0${content}`;
  const hash = createHash('sha1').update(object).digest('hex');
  const folder = join(git, 'objects', hash.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, hash.slice(2)), await promisify(deflate)(object));
  return hash;
}
