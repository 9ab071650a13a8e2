import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RepoPathError } from '../../../../src/errors.js';
import { assertNoPlugins } from '../../../../src/lifecycle/paths/project-plugins.js';

let root: string;
let repo: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jarvis-plugins-'));
  repo = join(root, 'repo');
  mkdirSync(join(repo, '.git'), { recursive: true });
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(path: string, text = ''): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

describe('a repository', () => {
  it.each([
    ['a module', '.opencode/plugin/a.js', ''],
    ['a module in TypeScript', '.opencode/plugins/a.ts', ''],
    ['a configuration that names one', 'opencode.json', '{"plugin":["a"]}'],
    ['one in the folder', '.opencode/opencode.jsonc', '{"plugins":["a"]}'],
    ['one with comments', 'opencode.jsonc', '// x\n{"plugin":["a"],}'],
    ['one with an escaped key', 'opencode.jsonc', '// x\n{"\\u0070lugin":["a"]}'],
    ['one that is escaped without comments', 'opencode.json', '{"\\u0070lugin":["a"]}'],
  ])('refuses a repository that has plugins by %s, for its subdirectories too', (_what, path, text) => {
    file(`repo/${path}`, text);
    mkdirSync(join(repo, 'a/b'), { recursive: true });
    for (const directory of [repo, join(repo, 'a/b')]) {
      expect(() => assertNoPlugins(directory)).toThrow(RepoPathError);
      expect(() => assertNoPlugins(directory)).toThrow(expect.objectContaining({ reason: 'plugins' }));
    }
  });

  it.each([
    ['nothing', 'README.md', ''],
    ['another configuration', 'opencode.json', '{"model":"a/b"}'],
    ['another configuration with comments', 'opencode.jsonc', '// x\n{"model":"a/b",}'],
    ['other files in the folder', '.opencode/plugin/README.md', ''],
    ['a file where the folder would be', '.opencode', ''],
  ])('accepts a repository that has no plugins by %s', (_what, path, text) => {
    file(`repo/${path}`, text);
    expect(() => assertNoPlugins(repo)).not.toThrow();
  });

  it('accepts a repository whose parent directories have plugins', () => {
    file('.opencode/plugin/a.js');
    expect(() => assertNoPlugins(repo)).not.toThrow();
  });
});

it('refuses a directory without a repository whose parent directories have plugins', () => {
  file('.opencode/plugin/a.js');
  mkdirSync(join(root, 'plain/sub'), { recursive: true });
  expect(() => assertNoPlugins(join(root, 'plain/sub'))).toThrow(RepoPathError);
});
