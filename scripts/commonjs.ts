// Adds to dist/ what `require('jarvis-opencode')` takes: one line that loads the ES module (Node 20.19 and 22.12 can), so that there is
// one copy of the library in a process, and the declarations under the names that TypeScript takes for CommonJS.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const ENTRIES = ['index', 'browser', 'testing', 'testing-browser'];

for (const entry of ENTRIES) {
  await writeFile(`${dist}${entry}.cjs`, `'use strict';\nmodule.exports = require('./${entry}.js');\n`);
}
for (const file of await readdir(dist)) {
  if (!file.endsWith('.d.ts')) continue;
  const declarations = await readFile(dist + file, 'utf8');
  const renamed = declarations.replace(/(from '|import\(')(\.\/[^']+)\.js'/g, "$1$2.cjs'");
  await writeFile(dist + file.replace(/\.d\.ts$/, '.d.cts'), renamed);
}
