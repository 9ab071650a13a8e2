import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { diagnosePrograms } from '../../../../src/lifecycle/diagnosis/programs.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jarvis-programs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function program(...path: string[]): string {
  const file = join(root, ...path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o700);
  return file;
}

describe('diagnosePrograms()', () => {
  it('finds git and ripgrep on the PATH of the server', () => {
    const git = program('bin', 'git');
    const rg = program('bin', 'rg');
    const [first, second] = diagnosePrograms({ PATH: join(root, 'bin') }, 'linux');
    expect(first).toEqual({ level: 'ok', check: 'git', summary: `git is ${git}.` });
    expect(second).toMatchObject({ level: 'ok', check: 'ripgrep' });
    expect(second?.summary).toContain(rg);
  });

  it('finds the ripgrep that OpenCode has downloaded', () => {
    const rg = program('cache', 'opencode', 'bin', 'rg');
    const [, found] = diagnosePrograms({ PATH: '', XDG_CACHE_HOME: join(root, 'cache') }, 'linux');
    expect(found).toMatchObject({ level: 'ok', check: 'ripgrep' });
    expect(found?.summary).toContain(rg);
  });

  it('says what is missing, and what to do', () => {
    expect(diagnosePrograms({ PATH: root, HOME: root }, 'linux')).toMatchObject([
      { level: 'error', check: 'git', advice: expect.stringContaining('Install git') },
      { level: 'warn', check: 'ripgrep', advice: expect.stringContaining('Install ripgrep') },
    ]);
  });
});
