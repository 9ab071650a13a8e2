import { defineConfig } from 'vitest/config';
import config, { reportersOf } from './vitest.config.js';

/** What needs a real browser: `npm run test:browser`. */
export default defineConfig({
  resolve: config.resolve ?? {},
  test: {
    name: 'browser',
    allowOnly: false,
    include: ['test/browser/**/*.test.ts'],
    pool: 'forks',
    reporters: reportersOf('browser'),
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
