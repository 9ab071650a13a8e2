import { execFile } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { opencodeBinary } from '../support/opencode-binary.js';
import { packedProject, type PackedProject } from '../support/packed-project.js';

// The example application and its tests, with the packed tarball and msw only. Needs `npm run build` first.

const run = promisify(execFile);
const example = fileURLToPath(new URL('../../examples/testing-app', import.meta.url));
const manifest = fileURLToPath(new URL('../../package.json', import.meta.url));

const RUNNERS = [
  ['vitest', 'vitest.test.js', ['node_modules/vitest/vitest.mjs', 'run']],
  ['jest', 'jest.test.js', ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js']],
] as const;
/** The first prompt of an instance takes a real server seconds. */
const PATIENCE = '--testTimeout=60000';

let project: PackedProject;

beforeAll(async () => {
  const { dependencies } = JSON.parse(await readFile(manifest, 'utf8')) as { dependencies: object };
  project = await packedProject([...Object.keys(dependencies), 'msw', 'vitest', 'jest']);
  for (const file of ['package.json', 'app.js', 'vitest.test.js', 'jest.test.js']) {
    await copyFile(join(example, file), join(project.directory, file));
  }
});
afterAll(() => project?.[Symbol.asyncDispose]());

/** What the runner prints, on both streams; rejects when a test failed. */
async function runTests(args: readonly string[]): Promise<string> {
  const path = `${dirname(opencodeBinary())}:${process.env['PATH']}`;
  // Nothing of the runner of this test: it would change how the other one works.
  const { HOME, TMPDIR } = process.env;
  const env = { PATH: path, HOME, TMPDIR, CI: 'true', NO_COLOR: '1' };
  const { stdout, stderr } = await run(process.execPath, args, {
    cwd: project.directory,
    env,
    timeout: 100_000,
  });
  return stdout + stderr;
}

describe.each(RUNNERS)('the example application under %s', (_runner, file, args) => {
  it('has a test of less than 40 lines', async () => {
    const lines = (await readFile(join(example, file), 'utf8')).trimEnd().split('\n');
    expect(lines.length).toBeLessThan(40);
  });

  it('passes on the mock', async () => {
    expect(await runTests([...args, file, PATIENCE])).toMatch(/Tests:?\s+2 passed/);
  });

  it('passes on the real server with one line changed', async () => {
    const source = await readFile(join(example, file), 'utf8');
    const changed = source.replace('await kit.mockOpenCode()', 'await kit.realOpenCode()');
    expect(changed.split('\n').filter((line, index) => line !== source.split('\n')[index])).toHaveLength(1);
    await writeFile(join(project.directory, file), changed);
    expect(await runTests([...args, file, PATIENCE])).toMatch(/Tests:?\s+2 passed/);
  });
});

describe('fake timers that nobody advances', () => {
  const FAKES = [
    [...RUNNERS[0], "import { expect, test, vi } from 'vitest';\nvi.useFakeTimers();"],
    [...RUNNERS[1], 'import.meta.jest.useFakeTimers();'],
  ] as const;
  const TEST = `
    import { mockOpenCode, text, tool } from 'jarvis-opencode/testing';
    import { setupServer } from 'msw/node';
    test('prompts and disposes', async () => {
      const mock = mockOpenCode();
      const network = setupServer(...mock.handlers);
      network.listen();
      mock.script(() => [tool('bash', { command: 'ls' }, 'a.ts'), text('One file.')]);
      const repo = (await mock.client()).forRepo('/repo');
      const session = await repo.sessions.create();
      for (const prompt of ['Look', 'Again']) expect((await session.prompt(prompt)).text).toBe('One file.');
      expect(await repo.dispose()).toMatchObject({ disposed: true });
      await mock.close();
      network.close();
    });`;

  it.each(FAKES)('stop nothing under %s', async (runner, _file, args, fake) => {
    const file = `${runner}-timers.test.js`;
    await writeFile(join(project.directory, file), `${fake}${TEST}`);
    expect(await runTests([...args, file])).toMatch(/Tests:?\s+1 passed/);
  });
});

describe('the test kit in a browser', () => {
  it('bundles the mock, and nothing that needs Node', async () => {
    const { metafile, outputFiles } = await build({
      stdin: {
        contents: "export { mockOpenCode } from 'jarvis-opencode/testing';",
        resolveDir: project.directory,
      },
      platform: 'browser',
      format: 'esm',
      bundle: true,
      write: false,
      metafile: true,
      external: ['node:*'],
      logLevel: 'silent',
    });
    const outside = Object.entries(metafile.inputs).flatMap(([path, { imports }]) =>
      imports.filter((one) => one.external).map((one) => `${path} → ${one.path}`),
    );
    expect(outside).toEqual([]);
    expect(outputFiles[0]?.text).not.toContain('realOpenCode');
  });
});

describe('a test that forgets to close its mock', () => {
  it.each([
    [...RUNNERS[0], "import { test } from 'vitest';"],
    [...RUNNERS[1], ''],
  ] as const)('is told by %s, with its own line', async (_runner, name, args, imported) => {
    const file = `forgets-${name}`;
    const source = [
      "import { mockOpenCode } from 'jarvis-opencode/testing';",
      imported,
      "test('forgets', () => void mockOpenCode());",
    ].join('\n');
    await writeFile(join(project.directory, file), source);
    const output = await runTests([...args, file]);
    expect(output).toMatch(/was never closed\. It was made\n +at .*forgets-\w+\.test\.js:3:/);
  });
});
