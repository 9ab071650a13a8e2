import { chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RepoPathError } from '../../../../src/errors.js';
import { DirectoryTraps, type DirectoryTrapsInit } from '../../../../src/lifecycle/paths/directory-traps.js';
import { silentLogger } from '../../../../src/core/logger.js';
import { gitRepo, type GitRepo } from '../../../support/git-repo.js';

const isRoot = process.getuid?.() === 0;

let repo: GitRepo;
const warn = vi.fn();

beforeEach(async () => {
  warn.mockClear();
  repo = await gitRepo({ files: { 'sub/a.txt': 'a' } });
});

afterEach(() => repo.dispose());

/** What finds the traps of a server whose data home is this one below the repository. */
function trapsOf(dataHome: string, init: Partial<DirectoryTrapsInit> = {}): DirectoryTraps {
  const home = join(repo.directory, dataHome);
  mkdirSync(join(home, 'opencode'), { recursive: true });
  writeFileSync(join(home, 'opencode/opencode.db'), '');
  return new DirectoryTraps({
    env: { PATH: process.env['PATH'], HOME: '/nowhere', XDG_DATA_HOME: home },
    cwd: '/',
    pid: undefined,
    ownsData: true,
    snapshot: undefined,
    trustsProjects: true,
    logger: { ...silentLogger, warn },
    ...init,
  });
}

function file(path: string, text: string): void {
  mkdirSync(dirname(join(repo.directory, path)), { recursive: true });
  writeFileSync(join(repo.directory, path), text);
}

function refusal(traps: DirectoryTraps, directory = repo.directory): unknown {
  try {
    traps.check(directory);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('a data directory', () => {
  it.each(['.agent-data/data', 'a b/[x]*?/data', 'data'])(
    'refuses a data directory in the repository at %s, which would be in its own snapshots',
    (dataHome) => {
      const error = refusal(trapsOf(dataHome));
      expect(error).toBeInstanceOf(RepoPathError);
      expect(error).toMatchObject({ reason: 'data-directory', path: repo.directory });
      expect((error as Error).message).toMatch(/dataDir.*ignore.*snapshot/s);
    },
  );

  it('finds through a link a data directory in the repository', () => {
    mkdirSync(join(repo.directory, 'real'));
    symlinkSync(join(repo.directory, 'real'), join(repo.directory, '..', 'link'));
    expect(refusal(trapsOf('../link/data'))).toMatchObject({ reason: 'data-directory' });
  });

  it('finds a data directory in the snapshots of the directory that holds it, not of one beside it', () => {
    const traps = trapsOf('sub/data');
    expect(refusal(traps, join(repo.directory, 'sub'))).toMatchObject({ reason: 'data-directory' });
    expect(refusal(traps)).toMatchObject({ reason: 'data-directory' });
    mkdirSync(join(repo.directory, 'other'));
    expect(refusal(traps, join(repo.directory, 'other'))).toBeUndefined();
    mkdirSync(join(repo.directory, 'sub/data/opencode/worktree/x'), { recursive: true });
    expect(refusal(traps, join(repo.directory, 'sub/data/opencode/worktree/x'))).toBeUndefined();
  });

  it.each([
    ['by .gitignore', '.gitignore', '/data\n'],
    ['by a .gitignore of its own', 'data/.gitignore', '*\n'],
    ['by .git/info/exclude', '.git/info/exclude', 'data/\n'],
  ])('accepts a data directory that git ignores %s', (_what, path, text) => {
    file(path, text);
    expect(refusal(trapsOf('data'))).toBeUndefined();
  });

  it('accepts a data directory in a nested repository, in .git, beside the repository, or in no repository', async () => {
    mkdirSync(join(repo.directory, 'nested'));
    await repo.git('init', '--quiet', 'nested');
    await repo.git('-C', 'nested', 'commit', '--quiet', '--allow-empty', '-m', 'nested');
    for (const home of ['nested/data', '.git/data', '../data', '../repo-data'])
      expect(refusal(trapsOf(home)), home).toBeUndefined();
    expect(refusal(trapsOf('../data'), dirname(repo.directory))).toBeUndefined();
  });

  it('accepts a data directory in the repository without snapshots', () => {
    expect(refusal(trapsOf('data', { snapshot: false }))).toBeUndefined();
  });

  it.each([
    ['opencode.json', '{"snapshot":false}'],
    ['opencode.jsonc', '// none\n{ "a": "// \\" /*", /* here */ "snapshot": false, }'],
    ['.opencode/opencode.json', '{"snapshot":false}'],
  ])('accepts a data directory where the repository takes no snapshots by its own %s', (path, text) => {
    const traps = trapsOf('sub/data');
    expect(refusal(traps)).toMatchObject({ reason: 'data-directory' });
    file(path, text);
    expect(refusal(traps)).toBeUndefined();
    expect(refusal(traps, join(repo.directory, 'sub'))).toBeUndefined();
  });

  it.each<[string, string, Partial<DirectoryTrapsInit>?]>([
    ['that cannot be read', '{"snapshot":false'],
    ['that does not say', '{"model":"snapshot"}'],
    ['that says it in another place', '{"agent":{"snapshot":false}}'],
    ['that says it in a comment', '{ /* "snapshot": false */ }'],
    ['that the server does not read', '{"snapshot":false}', { trustsProjects: false }],
    ['that the configuration of the server overrules', '{"snapshot":false}', { snapshot: true }],
  ])(
    'refuses a data directory in the repository with a configuration of the repository %s',
    (_what, text, init) => {
      file('opencode.json', text);
      expect(refusal(trapsOf('data', init))).toMatchObject({ reason: 'data-directory' });
    },
  );

  it('refuses a data directory where two configurations of the repository disagree', () => {
    file('opencode.json', '{"snapshot":false}');
    file('.opencode/opencode.json', '{"snapshot":true}');
    expect(refusal(trapsOf('data'))).toMatchObject({ reason: 'data-directory' });
  });

  it('reports the data directory of the user, and does not refuse it', () => {
    const traps = trapsOf('.local/share', { ownsData: false });
    expect(refusal(traps)).toBeUndefined();
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/snapshots.*dataDir elsewhere/s), {
      directory: repo.directory,
      dataDirectory: join(repo.directory, '.local/share/opencode'),
    });
  });

  it('finds the data directory by HOME alone', () => {
    const env = { PATH: process.env['PATH'], HOME: repo.directory };
    expect(refusal(trapsOf('.local/share', { env }))).toMatchObject({ reason: 'data-directory' });
  });
});

describe.runIf(isRoot)('a repository of another user', () => {
  const OTHER = 54_321;

  it.each(['.', '.git'])(
    'refuses a repository when %s belongs to another user, for its subdirectories too',
    (path) => {
      const traps = trapsOf('../data');
      chownSync(join(repo.directory, path), OTHER, OTHER);
      for (const directory of [repo.directory, join(repo.directory, 'sub')]) {
        const error = refusal(traps, directory);
        expect(error).toMatchObject({ reason: 'owner', path: directory });
        expect((error as Error).message).toContain('safe.directory');
      }
    },
  );

  it('accepts a repository of another user when the environment of the server trusts it', () => {
    chownSync(repo.directory, OTHER, OTHER);
    const trust = {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: repo.directory,
    };
    const env = { PATH: process.env['PATH'], HOME: '/nowhere', XDG_DATA_HOME: '/nowhere', ...trust };
    expect(refusal(trapsOf('../data', { env }))).toBeUndefined();
  });

  it('accepts a directory of another user where there is no repository', async () => {
    const directory = dirname(repo.directory);
    const traps = trapsOf('../data');
    chownSync(directory, OTHER, OTHER);
    expect(refusal(traps, directory)).toBeUndefined();
  });
});
