/**
 * Checks the README, the other pages in the root and the guides in `docs/`: every `ts` block compiles (`ts no-check` skips one), every
 * relative link leads somewhere, ARCHITECTURE.md names what exists, and no page is longer than it may be. Prints the sizes.
 *
 *   tsx scripts/check-docs.ts
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import { blocksOf, checkBlocks } from './docs/blocks.js';
import { checkLinks } from './docs/links.js';
import { checkSizes, limitOf, readPages } from './docs/pages.js';
import { checkSourceNames } from './docs/source-names.js';

const root = fileURLToPath(new URL('..', import.meta.url));

const pages = readPages();
const { blocks, errors } = checkBlocks(pages);
const exists = (path: string): boolean => existsSync(join(root, path));
errors.push(...checkLinks(pages, exists), ...checkSizes(pages));
// The one page that is written with the paths of the source.
const architecture = pages.filter(({ name }) => name === 'ARCHITECTURE.md');
errors.push(...architecture.flatMap((page) => checkSourceNames(page, exists)));

for (const { name, markdown } of pages) {
  const limit = limitOf(name);
  const size = `${Buffer.byteLength(markdown)}${limit === undefined ? '' : ` of ${limit}`} bytes`;
  console.log(`${name.padEnd(30)} ${size.padEnd(24)} ${blocksOf(markdown).length} blocks`);
}
for (const error of errors) console.error(error);
console.log(`${pages.length} pages, ${blocks} blocks, ${errors.length} errors`);
exit(errors.length > 0 || blocks === 0 ? 1 : 0);
