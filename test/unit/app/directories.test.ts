import { describe, expect, it } from 'vitest';
import { RepoPathError } from 'jarvis-opencode';
import { Directories } from '../../../src/app/directories.js';
import { browserPlatform } from '../../../src/app/platform/browser.js';
import type { Platform } from '../../../src/app/platform/platform.js';

const reasonOf = (run: () => unknown): unknown => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof RepoPathError ? error.reason : error;
  }
};

/** A machine on which a path leads where `links` says; every other one leads to itself, except `/gone`. */
function machine(links: Record<string, string>): Platform {
  return {
    ...browserPlatform,
    canonicalize: (directory) => {
      if (directory === '/gone') throw new RepoPathError(directory, 'not-found');
      return links[directory] ?? directory;
    },
  };
}

describe('the spelling of directories', () => {
  it('asks the platform about paths on this machine', () => {
    const directories = new Directories('local', machine({ '/link': '/real' }));
    expect(directories.canonicalize('/link')).toBe('/real');
  });

  it('normalises paths of another machine as text', () => {
    const directories = new Directories('remote', machine({ '/link': '/real' }));
    expect(directories.canonicalize('/link//a/../b/')).toBe('/link/b');
  });

  it('refuses local paths where there is no file system', () => {
    const directories = new Directories('local', browserPlatform);
    expect(() => directories.canonicalize('/a')).toThrow(TypeError);
  });

  it.each([undefined, 7, ''])('refuses %j, which is no path', (directory) => {
    const directories = new Directories('remote', browserPlatform);
    expect(() => directories.canonicalize(directory)).toThrow();
  });

  it('refuses a directory that has become a link to another one', () => {
    const directories = new Directories('local', machine({ '/a': '/b' }));
    expect(reasonOf(() => directories.assertSame('/a'))).toBe('replaced');
  });

  it('accepts a directory that is the same or gone', () => {
    const directories = new Directories('local', machine({}));
    expect(reasonOf(() => directories.assertSame('/a'))).toBeUndefined();
    expect(reasonOf(() => directories.assertSame('/gone'))).toBeUndefined();
  });
});
