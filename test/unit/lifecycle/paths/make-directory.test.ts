import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeDirectory } from '../../../../src/lifecycle/paths/make-directory.js';

describe('makeDirectory()', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'jarvis-make-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('makes every level for this user alone, and leaves what is there', () => {
    const deep = join(root, 'a', 'b', 'c');
    makeDirectory(deep);
    makeDirectory(deep);
    for (const level of [join(root, 'a'), deep]) expect(statSync(level).mode & 0o777).toBe(0o700);
  });

  it('takes a link to a directory', () => {
    symlinkSync(root, join(root, 'link'));
    makeDirectory(join(root, 'link', 'a'));
    expect(statSync(join(root, 'a')).isDirectory()).toBe(true);
  });

  it('throws what the system says where a file is in the way', () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => makeDirectory(join(root, 'file'))).toThrow('EEXIST');
    expect(() => makeDirectory(join(root, 'file', 'a'))).toThrow(/ENOTDIR|EEXIST/);
  });

  it.runIf(process.platform === 'linux')('returns where the system lets nobody make a directory', () => {
    expect(() => makeDirectory('/proc/nobody/a/b')).toThrow(/ENOENT|EACCES|EPERM/);
  });
});
