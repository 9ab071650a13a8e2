import { defineConfig } from 'vitest/config';
import config, { reportersOf } from './vitest.config.js';

/** What needs a real OpenCode 2, which `npm run test:opencode2` gets and names in `OPENCODE2_BIN`. */
export default defineConfig({
  resolve: config.resolve ?? {},
  test: {
    name: 'opencode2',
    allowOnly: false,
    include: ['test/contract/{core,opencode2-wire}.test.ts', 'test/opencode2/**/*.test.ts'],
    // The mocks of the core run with `npm test`.
    testNamePattern: 'real OpenCode 2',
    pool: 'forks',
    maxWorkers: 2,
    reporters: reportersOf('opencode2'),
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
