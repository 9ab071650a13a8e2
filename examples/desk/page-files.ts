import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What the page is made of, by path. */
export type PageFiles = ReadonlyMap<string, { readonly type: string; readonly body: string }>;

/** Reads the page and bundles its script in memory, with the browser entry of the library. */
export async function bundlePage(): Promise<PageFiles> {
  const { outputFiles } = await build({
    entryPoints: [file('page/main.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    minify: true,
    logLevel: 'error',
    alias: { 'jarvis-opencode': file('../../src/browser.ts') },
  });
  return new Map([
    ['/', { type: 'text/html; charset=utf-8', body: await readFile(file('page/index.html'), 'utf8') }],
    ['/style.css', { type: 'text/css', body: await readFile(file('page/style.css'), 'utf8') }],
    ['/main.js', { type: 'text/javascript', body: outputFiles[0]?.text ?? '' }],
  ]);
}
