import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

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

/** How many files with real servers run at once: they wait nearly half of the time, so one more than a small machine has cores. */
const REAL_SERVERS = 3;

/** Without the optimising compilers of their runtime, which cost a server that lives for seconds more than they give. */
const SHORT_LIVED = { BUN_JSC_useDFGJIT: '0', BUN_JSC_useFTLJIT: '0' };

export default defineConfig({
  resolve: {
    // The same two names as `paths` in tsconfig.json.
    alias: [
      { find: /^jarvis-opencode$/, replacement: source('index.ts') },
      { find: /^jarvis-opencode\/testing$/, replacement: source('testing.ts') },
    ],
  },
  test: {
    allowOnly: false,
    reporters: reportersOf('suite'),
    // Vitest's default leaves one core idle, which is half of a small machine.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    // Projects run one group after the other: each kind gets the machine to itself.
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/{unit,behaviour}/**/*.test.ts'],
          // A busy machine is no failure.
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
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 3 },
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
          sequence: { groupOrder: 4 },
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
          // Together with the contract, so that no worker waits for the last file of it.
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
