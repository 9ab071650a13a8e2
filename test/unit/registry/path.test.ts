import { describe, expect, it } from 'vitest';
import { RepoPathError } from '../../../src/errors.js';
import { assertPathText, assertServable, normalizePath } from '../../../src/registry/path.js';

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('normalizePath', () => {
  describe.each([
    ['/srv/app', ['/srv/app', '/srv/app/', '/srv//app', '/srv/./app', '/srv/x/../app', '//srv/app/.']],
    ['/', ['/', '//', '/.', '/..', '/../..', '/srv/..']],
    ['/a b%20ü日#?+\'"🦊', ['/a b%20ü日#?+\'"🦊', '/a b%20ü日#?+\'"🦊/', '/x/../a b%20ü日#?+\'"🦊']],
    ['/a\\b', ['/a\\b', '/a\\b/']],
    ['/...', ['/...', '/.../']],
    ['/C:', ['/C:', '/C:/']],
  ])('POSIX: %s', (expected, spellings) => {
    it.each(spellings)('normalizes the spelling %s', (spelling) => {
      expect(normalizePath(spelling)).toBe(expected);
    });
  });

  describe.each([
    ['C:\\app', ['C:\\app', 'C:\\app\\', 'C:/app', 'C:/app/', 'C:\\\\app', 'C:\\x\\..\\app', 'C:\\.\\app']],
    ['C:\\', ['C:\\', 'C:/', 'C:\\..', 'C:\\app\\..\\..']],
    [
      '\\\\host\\share\\app',
      ['\\\\host\\share\\app', '\\\\host\\share\\app\\', '\\\\host\\share\\x\\..\\app'],
    ],
    ['\\\\host\\share\\', ['\\\\host\\share', '\\\\host\\share\\', '\\\\host\\share\\..']],
  ])('Windows: %s', (expected, spellings) => {
    it.each(spellings)('normalizes the spelling %s', (spelling) => {
      expect(normalizePath(spelling)).toBe(expected);
    });
  });

  it('ignores the case of a drive letter on Windows', () => {
    expect(normalizePath('c:\\app')).toBe('C:\\app');
  });

  it('takes either slash between the host and the share', () => {
    expect(normalizePath('\\\\host/share/app')).toBe('\\\\host\\share\\app');
  });

  it('takes a link or a percent sign in a path for mere text', () => {
    expect(normalizePath('/srv/%2e%2e/app')).toBe('/srv/%2e%2e/app');
    expect(normalizePath('/srv/~/app')).toBe('/srv/~/app');
  });

  it.each(['app', './app', '../app', '~', '~/app', 'C:', 'C:app', '\\app', 'file:///srv/app', ' /srv/app'])(
    'refuses the path %j, which is not absolute',
    (path) => {
      const error = thrownBy(() => normalizePath(path));
      expect(error).toBeInstanceOf(RepoPathError);
      expect(error).toMatchObject({ code: 'REPO_PATH', reason: 'not-absolute', path });
      expect((error as Error).message).toContain(JSON.stringify(path));
      expect((error as Error).message).toContain('absolute');
    },
  );

  it('returns a path that normalizePath() leaves as it is', () => {
    for (const path of ['/srv/../a//b/', 'C:/x/../y/', '\\\\host\\share\\z\\', '/']) {
      const once = normalizePath(path);
      expect(normalizePath(once)).toBe(once);
    }
  });
});

describe('assertPathText', () => {
  it.each(['/srv/app', 'relative', ' ', '🦊'])('takes the path text %j', (path) => {
    expect(() => assertPathText(path)).not.toThrow();
  });

  it.each(['', '/srv/\0app', '/srv/\ud800'])(
    'refuses the path text %j, which is no path anywhere',
    (path) => {
      const error = thrownBy(() => assertPathText(path));
      expect(error).toBeInstanceOf(RepoPathError);
      expect(error).toMatchObject({ reason: 'invalid', path });
    },
  );

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [5, 'number'],
    [new URL('file:///srv/app'), 'object'],
  ])('refuses %s as a path with a TypeError that says what it got', (path, got) => {
    const error = thrownBy(() => assertPathText(path));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toMatch(new RegExp(`path to be a string, got ${got}`));
  });
});

describe('assertServable', () => {
  it.each([
    ...[
      '/',
      '/srv/app',
      '/100%/%41',
      '/a\nb\tc',
      '/~',
      '/-rf',
      '/*?[x]{y,z}',
      '/dot.',
      '/ space ',
      '/a:b;c',
      `/"'`,
      '/🦊',
    ],
    ...['C:\\app', '\\\\host\\share\\app', `/${'漢'.repeat(1_365)}`, `/${'%'.repeat(4_094)}`],
  ])('takes the directory %j, in which OpenCode can work', (path) => {
    expect(() => assertServable(path)).not.toThrow();
  });

  it.each(['/a\\b', '/a\\', '/a\\b/app', '/C:\\app'])(
    'refuses the directory %j, in which every prompt fails',
    (path) => {
      const error = thrownBy(() => assertServable(path));
      expect(error).toBeInstanceOf(RepoPathError);
      expect(error).toMatchObject({ reason: 'backslash', path });
      expect((error as Error).message).toContain('backslash');
    },
  );

  it.each([`/${'a'.repeat(15_000)}`, `/${'漢'.repeat(1_700)}`])(
    'refuses a directory that would be too long for a request',
    (path) => {
      expect(thrownBy(() => assertServable(path))).toMatchObject({ reason: 'too-long', path });
    },
  );
});
