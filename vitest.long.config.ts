import { defineConfig, mergeConfig } from 'vitest/config';
import config from './vitest.config.js';

/** What takes longer than anybody waits for in a normal run: `npm run test:long`. */
export default mergeConfig(
  { resolve: config.resolve },
  defineConfig({
    test: {
      name: 'long',
      allowOnly: false,
      include: ['test/long/**/*.test.ts'],
      pool: 'forks',
      // Each file starts servers enough.
      fileParallelism: false,
      testTimeout: 600_000,
      hookTimeout: 120_000,
    },
  }),
);
