import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    browser: 'src/browser.ts',
    testing: 'src/testing.ts',
    'testing-browser': 'src/testing-browser.ts',
  },
  tsconfig: 'tsconfig.build.json',
  format: 'esm',
  target: 'node20',
  splitting: true,
  dts: true,
  clean: true,
  // Keep `node:` in front of built-in modules: bundlers for the browser then say what is wrong.
  removeNodeProtocol: false,
});
