import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A markdown file of the repository. */
export interface Page {
  /** Its path from the root of the repository, with slashes. */
  readonly name: string;
  readonly markdown: string;
}

/** How long a README and a guide may be, in bytes. */
const MAX_README_BYTES = 16_000;
const MAX_GUIDE_BYTES = 8_000;

/** The pages in the root of the repository and in `docs/`. */
export function readPages(): Page[] {
  const names = [
    ...readdirSync(root).filter((name) => name.endsWith('.md')),
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name.replaceAll('\\', '/')}`),
  ];
  return names.sort().map((name) => ({ name, markdown: readFileSync(join(root, name), 'utf8') }));
}

/** The number of bytes that a page may have; `undefined` for one without a limit. */
export function limitOf(name: string): number | undefined {
  if (name === 'README.md') return MAX_README_BYTES;
  return name.startsWith('docs/') ? MAX_GUIDE_BYTES : undefined;
}

/** The pages that are longer than they may be: `README.md has 17000 bytes, at most 16000 are allowed`. */
export function checkSizes(pages: readonly Page[]): string[] {
  return pages.flatMap(({ name, markdown }) => {
    const limit = limitOf(name);
    const bytes = Buffer.byteLength(markdown);
    if (limit === undefined || bytes <= limit) return [];
    return [`${name} has ${bytes} bytes, at most ${limit} are allowed`];
  });
}
