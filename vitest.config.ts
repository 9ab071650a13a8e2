import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

// Set by .ci/run, which reads the counts of all runs from there.
const reports = process.env['VITEST_REPORTS'];

/** The reporters of one run, whose counts are in `<name>.json` then. */
export const reportersOf = (name: string): ['default', ...['json', { outputFile: string }][]] =>
  reports ? ['default', ['json', { outputFile: `${reports}/${name}.json` }]] : ['default'];

/** The files that take longest, so that none of them begins last. Without results of an earlier run vitest goes by their length. */
const LONGEST =
  /\/(?:e2e\/(?:chaos|close|faults|fixed-port|fleet|loading|restart|start|traps)|contract\/instances)[^/]*$/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean => LONGEST.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** How many files run at once: they wait much of the time, for timers or for servers, so more than a small machine has cores. */
const UNIT_FILES = 4;
const REAL_SERVERS = 3;

/** Without the optimising compilers of their runtime, which cost a server that lives for seconds more than they give. */
const SHORT_LIVED = { BUN_JSC_useDFGJIT: '0', BUN_JSC_useFTLJIT: '0' };

const UNIT_TESTS = 'test/{unit,behaviour}/**/*.test.ts';

/** The unit tests that replace modules, which files that share what they import cannot do. */
const mocking = ['unit', 'behaviour'].flatMap((folder) =>
  readdirSync(path(`test/${folder}`), { recursive: true, encoding: 'utf8' })
    .map((file) => `test/${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.test.ts') && readFileSync(path(file), 'utf8').includes('vi.mock(')),
);

export default defineConfig({
  resolve: {
    // The same two names as `paths` in tsconfig.json.
    alias: [
      { find: /^jarvis-opencode$/, replacement: path('src/index.ts') },
      { find: /^jarvis-opencode\/testing$/, replacement: path('src/testing.ts') },
    ],
  },
  test: {
    allowOnly: false,
    reporters: reportersOf('suite'),
    sequence: { sequencer: LongestFirst },
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    // The second group, which takes long, begins when the first one has ended. Within it no worker waits for the last file of a project.
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [UNIT_TESTS],
          exclude: mocking,
          isolate: false,
          maxWorkers: UNIT_FILES,
          // A busy machine is no failure.
          testTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'unit-mocking',
          include: mocking,
          maxWorkers: UNIT_FILES,
          testTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: './tsconfig.json',
          },
          maxWorkers: REAL_SERVERS,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          maxWorkers: REAL_SERVERS,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        // The same suite on the mock and on a real server.
        extends: true,
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          pool: 'forks',
          // The files of a worker share what they import: loading it again took as long as many tests.
          isolate: false,
          env: SHORT_LIVED,
          maxWorkers: REAL_SERVERS,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          pool: 'forks',
          isolate: false,
          env: SHORT_LIVED,
          maxWorkers: REAL_SERVERS,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
