import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RepoPathError } from '../../../../src/errors.js';
import { canonicalPath } from '../../../../src/lifecycle/paths/canonical-path.js';

let root: string;
let app: string;

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'jarvis-path-')));
  app = join(root, 'app');
  mkdirSync(join(app, 'sub'), { recursive: true });
  mkdirSync(join(root, 'other'));
  writeFileSync(join(root, 'file'), '');
  symlinkSync(app, join(root, 'link'));
  symlinkSync('link', join(root, 'link-to-link'));
  symlinkSync(root, join(root, 'up'));
  symlinkSync('nowhere', join(root, 'dangling'));
  symlinkSync('loop', join(root, 'loop'));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function refusal(path: string): RepoPathError {
  try {
    canonicalPath(path);
  } catch (error) {
    expect(error).toBeInstanceOf(RepoPathError);
    return error as RepoPathError;
  }
  throw new Error(`${path} was not refused`);
}

describe('canonicalPath', () => {
  it.each([
    'app',
    'app/',
    'app//',
    'app/.',
    'app/./',
    'app/../app',
    'app/sub/..',
    'other/../app',
    'link',
    'link/',
    'link/sub/..',
    'link-to-link',
    'up/up/app',
    'up/link',
  ])('returns the same path for %s', (spelling) => {
    expect(canonicalPath(`${root}/${spelling}`)).toBe(app);
  });

  it.each(['a b', '100%', 'a%20b', 'a#b', 'a?b', 'a+b', `it's "quoted"`, 'ü', '日本', '🦊', ' ', 'a\nb'])(
    'keeps the name %j of a directory',
    (name) => {
      const directory = join(root, name);
      mkdirSync(directory);
      expect(canonicalPath(`${directory}/`)).toBe(directory);
    },
  );

  it('keeps the root directory', () => {
    expect(canonicalPath('/')).toBe('/');
  });

  it.each(['.', 'app', './app', '../app', '~', ''])('refuses the path %j, which is not absolute', (path) => {
    expect(refusal(path)).toMatchObject({ reason: 'not-absolute', path, code: 'REPO_PATH' });
  });

  it('refuses a relative path that exists', () => {
    const path = relative(process.cwd(), app);
    expect(refusal(path)).toMatchObject({ reason: 'not-absolute', path });
  });

  it.each(['missing', 'app/missing', 'missing/../app', 'dangling'])(
    'refuses the path %s, which does not exist',
    (name) => {
      const path = `${root}/${name}`;
      const error = refusal(path);
      expect(error).toMatchObject({ reason: 'not-found', path, cause: { code: 'ENOENT' } });
      expect(error.message).toContain(JSON.stringify(path));
      expect(error.message).toContain('does not exist');
    },
  );

  it.each(['file', 'file/', 'file/app', 'file/..'])(
    'refuses the path %s, which is not a directory',
    (name) => {
      const path = `${root}/${name}`;
      expect(refusal(path)).toMatchObject({ reason: 'not-a-directory', path });
    },
  );

  it('refuses a link that leads to itself', () => {
    const path = join(root, 'loop');
    expect(refusal(path)).toMatchObject({ reason: 'unreadable', path, cause: { code: 'ELOOP' } });
  });
});
