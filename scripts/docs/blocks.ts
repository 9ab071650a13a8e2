import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { Page } from './pages.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Block {
  readonly code: string;
  /** Line of the block's first line of code in the markdown file, from 1. */
  readonly line: number;
}

/** The `ts` blocks of a markdown text, without those marked `no-check`. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; info: string; line: number; code: string[] } | undefined;
  for (const [index, line] of markdown.split(/\r?\n/).entries()) {
    const [, indent = '', fence = '', info = ''] = /^(\s*)(`{3,}|~{3,})\s*(.*)$/.exec(line) ?? [];
    if (open === undefined) {
      if (fence) open = { fence, indent: indent.length, info: info.trim(), line: index + 2, code: [] };
    } else if (fence.startsWith(open.fence) && info.trim() === '') {
      const [language, ...flags] = open.info.split(/\s+/);
      if (language === 'ts' && !flags.includes('no-check')) {
        blocks.push({ code: open.code.join('\n'), line: open.line });
      }
      open = undefined;
    } else {
      open.code.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
    }
  }
  return blocks;
}

/**
 * What the compiler says about the `ts` blocks of the pages, with the repository's own settings: `README.md:12:5 TS2345 …`. Each block
 * is a module of its own, in memory only.
 */
export function checkBlocks(pages: readonly Page[]): { blocks: number; errors: string[] } {
  const errors: string[] = [];
  const configFile = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(configFile.config, ts.sys, root);

  // In the root of the repository, so that packages resolve and "type": "module" counts.
  const sources = new Map(
    pages.flatMap((page, index) =>
      blocksOf(page.markdown).map(
        (block) => [join(root, `page-${index}-line-${block.line}.ts`), { page, block }] as const,
      ),
    ),
  );
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => sources.has(resolve(path)) || disk.fileExists(path),
    readFile: (path) => sources.get(resolve(path))?.block.code ?? disk.readFile(path),
    getSourceFile: (path, languageVersion, ...rest) => {
      const source = sources.get(resolve(path));
      if (source === undefined) return disk.getSourceFile(path, languageVersion, ...rest);
      return ts.createSourceFile(path, source.block.code, languageVersion, true);
    },
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  const text = ({ code, messageText }: ts.Diagnostic): string =>
    `TS${code} ${ts.flattenDiagnosticMessageText(messageText, '\n  ')}`;
  for (const diagnostic of [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()]) {
    errors.push(text(diagnostic));
  }
  for (const [path, { page, block }] of sources) {
    const file = program.getSourceFile(path);
    if (file === undefined)
      throw new Error(`The compiler did not read the block at ${page.name}:${block.line}`);
    for (const diagnostic of [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]) {
      const { line, character } = file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
      errors.push(`${page.name}:${block.line + line}:${character + 1} ${text(diagnostic)}`);
    }
  }
  return { blocks: sources.size, errors };
}
