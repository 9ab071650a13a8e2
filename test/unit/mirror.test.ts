import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Unit tests of something else than one source file. */
const EXCEPTIONS: readonly string[] = [
  // Of scripts/imports.ts and this folder.
  'imports.test.ts',
  'mirror.test.ts',
];

describe('the folder of unit tests', () => {
  it('finds each unit test at the path of the source file that it tests', () => {
    const tests = readdirSync(join(root, 'test/unit'), { recursive: true, encoding: 'utf8' })
      .map((path) => path.replaceAll('\\', '/'))
      .filter((path) => path.endsWith('.test.ts'));
    expect(tests.length).toBeGreaterThan(50);
    const strays = tests.filter((path) => !existsSync(join(root, 'src', path.replace(/\.test\.ts$/, '.ts'))));
    expect(strays.sort()).toEqual(EXCEPTIONS);
  });
});
