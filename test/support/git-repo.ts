import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** What {@link gitRepo} makes. */
export interface GitRepoOptions {
  /** Name of the directory; anything a file system takes, e.g. `a b%20ü日#?+'"🦊`, also a path. @default 'repo' */
  readonly name?: string;
  /** Content by path inside the repository; given to a clone, they come on top. @default a README.md, none in a clone */
  readonly files?: Readonly<Record<string, string>>;
  /** Whether the files are committed. Without any commit OpenCode counts a repository to its `global` project. @default true */
  readonly commit?: boolean;
  /** Clones this repository, so that both belong to one OpenCode project. */
  readonly cloneOf?: Pick<GitRepo, 'directory'>;
  /**
   * Subject of the commit. The OpenCode project is the root commit, and that depends on nothing but the files
   * and this: the same for two repositories puts them into one project. @default numbered within the test file
   */
  readonly subject?: string;
}

/** A real git repository in a temporary directory of its own. */
export interface GitRepo extends AsyncDisposable {
  /** Absolute path without symbolic links. */
  readonly directory: string;
  /** Runs git in the repository and returns what it printed, trimmed. */
  git(...args: string[]): Promise<string>;
  /** Adds a worktree with a new branch beside the repository and returns its directory. Needs a commit. */
  worktree(name?: string): Promise<string>;
  /** Removes the repository and its worktrees; idempotent. */
  dispose(): Promise<void>;
}

/** Only fixed values: nothing of the machine's configuration, no clock. */
const GIT_ENV = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Jarvis',
  GIT_AUTHOR_EMAIL: 'jarvis@example.invalid',
  GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
  GIT_COMMITTER_NAME: 'Jarvis',
  GIT_COMMITTER_EMAIL: 'jarvis@example.invalid',
  GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
};

let made = 0;

/**
 * Makes a real git repository.
 *
 * @example
 * ```ts
 * await using repo = await gitRepo({ files: { 'src/a.ts': 'export {};\n' } });
 * await using clone = await gitRepo({ cloneOf: repo });
 * ```
 */
export async function gitRepo(options: GitRepoOptions = {}): Promise<GitRepo> {
  const { name = 'repo', commit = true, cloneOf, subject = `repository ${++made}` } = options;
  const files = options.files ?? (cloneOf ? {} : { 'README.md': '# a test repository\n' });
  const root = await realpath(await mkdtemp(join(tmpdir(), 'jarvis-repo-')));
  const directory = join(root, name);
  const dispose = (): Promise<void> => rm(root, { recursive: true, force: true, maxRetries: 5 });
  let worktrees = 0;
  try {
    await mkdir(directory, { recursive: true });
    await git(
      directory,
      cloneOf ? ['clone', '--quiet', cloneOf.directory, '.'] : ['init', '--quiet', '-b', 'main'],
    );
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), content);
    }
    if (commit && Object.keys(files).length > 0) {
      await git(directory, ['add', '--all']);
      await git(directory, ['commit', '--quiet', '-m', subject]);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    directory,
    git: (...args) => git(directory, args),
    async worktree(worktreeName = `worktree-${worktrees + 1}`) {
      const path = join(root, worktreeName);
      await git(directory, ['worktree', 'add', '--quiet', '-b', `worktree-${++worktrees}`, path]);
      return path;
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

async function git(directory: string, args: readonly string[]): Promise<string> {
  const env = { PATH: process.env['PATH'], ...GIT_ENV };
  const { stdout } = await promisify(execFile)('git', args, { cwd: directory, env });
  return stdout.trim();
}
