/**
 * Measures the structure of src/ by its imports: files per folder, the longest files, circles, and imports that break a
 * layer. Exits with 1 when there is a circle or a broken layer.
 *
 *   tsx scripts/structure.ts
 */
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { circlesOf, layerOf, violations } from './imports.js';
import { sourceTree } from './source-tree.js';

/** How many rows the lists of the largest show. */
const SHOWN = 10;
/** OpenCode's routes, as a string or template begins with them. */
const ROUTE =
  /^\/(agent|api|auth|command|config|event|experimental|file|find|formatter|global|instance|log|lsp|mcp|path|permission|project|provider|pty|question|session|skill|tui|vcs)\b/;
/** Where they may stand: the wire dialect, and the mock of it. */
const ROUTE_HOMES = ['client', 'testing'];

const files = sourceTree(fileURLToPath(new URL('..', import.meta.url)));

/** Lines that hold code: without blank lines and comments. */
function codeLines(path: string, source: string): number {
  const lines = new Set<number>();
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const visit = (node: ts.Node): void => {
    const children = node.getChildren(file);
    if (children.length > 0) return children.filter((child) => !ts.isJSDoc(child)).forEach(visit);
    const [start, end] = [node.getStart(file), node.getEnd()].map(
      (position) => file.getLineAndCharacterOfPosition(position).line,
    ) as [number, number];
    if (node.kind !== ts.SyntaxKind.EndOfFileToken)
      for (let line = start; line <= end; line++) lines.add(line);
  };
  visit(file);
  return lines.size;
}

/** The route literals of a file that knows no wire dialect. */
function strayRoutes(path: string, source: string): string[] {
  if (ROUTE_HOMES.includes(layerOf(path) ?? '')) return [];
  const found: string[] = [];
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const visit = (node: ts.Node): void => {
    if ((ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) && ROUTE.test(node.text)) {
      found.push(`${path}:${file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1} ${node.text}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function print(title: string, rows: readonly string[]): void {
  console.log(`\n${title}${rows.length === 0 ? ': none' : ''}`);
  for (const row of rows) console.log(`  ${row}`);
}

const byCount = (a: readonly [string, number], b: readonly [string, number]): number => b[1] - a[1];
const largest = (counts: Iterable<[string, number]>): string[] =>
  [...counts]
    .sort(byCount)
    .slice(0, SHOWN)
    .map(([name, count]) => `${String(count).padStart(4)}  ${name}`);

const folders = new Map<string, number>();
for (const path of files.keys()) {
  const folder = posix.dirname(path);
  folders.set(folder, (folders.get(folder) ?? 0) + 1);
}
const circles = circlesOf(files);
const broken = violations(files);

console.log(`${files.size} files in ${folders.size} folders`);
print('Files per folder', largest(folders));
print(
  'Longest files, in lines of code',
  largest([...files].map(([path, source]) => [path, codeLines(path, source)])),
);
print(
  'Routes outside of the wire dialect',
  [...files].flatMap(([path, source]) => strayRoutes(path, source)),
);
print(
  'Circles',
  circles.map((circle) => circle.join(' <-> ')),
);
print(
  'Broken layers',
  broken.map(({ file, line, specifier, rule }) => `${file}:${line} ${specifier}: ${rule}`),
);
console.log(`\n${circles.length} circles, ${broken.length} upward imports`);
if (circles.length + broken.length > 0) process.exitCode = 1;
