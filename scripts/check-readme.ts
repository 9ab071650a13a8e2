/**
 * Type-checks every `ts` block of the README with the repository's own compiler settings, each block as a
 * module of its own. `ts no-check` skips a block. The blocks live in memory only: nothing is written.
 *
 *   tsx scripts/check-readme.ts [file.md …]
 */
import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { argv, exit } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));

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

/** What the compiler says about the `ts` blocks of one markdown text: `README.md:12:5 TS2345 …`. */
export function checkMarkdown(name: string, markdown: string): { blocks: number; errors: string[] } {
  const blocks = blocksOf(markdown);
  const errors: string[] = [];
  const configFile = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(configFile.config, ts.sys, root);

  // In the root of the repository, so that packages resolve and "type": "module" counts.
  const sources = new Map(blocks.map((block) => [join(root, `readme-block-${block.line}.ts`), block]));
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => sources.has(resolve(path)) || disk.fileExists(path),
    readFile: (path) => sources.get(resolve(path))?.code ?? disk.readFile(path),
    getSourceFile: (path, languageVersion, ...rest) => {
      const block = sources.get(resolve(path));
      if (block === undefined) return disk.getSourceFile(path, languageVersion, ...rest);
      return ts.createSourceFile(path, block.code, languageVersion, true);
    },
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  const text = ({ code, messageText }: ts.Diagnostic): string =>
    `TS${code} ${ts.flattenDiagnosticMessageText(messageText, '\n  ')}`;
  for (const diagnostic of [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()]) {
    errors.push(`${name} ${text(diagnostic)}`);
  }
  for (const [path, block] of sources) {
    const file = program.getSourceFile(path);
    if (file === undefined) throw new Error(`The compiler did not read the block at ${name}:${block.line}`);
    for (const diagnostic of [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]) {
      const { line, character } = file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
      errors.push(`${name}:${block.line + line}:${character + 1} ${text(diagnostic)}`);
    }
  }
  return { blocks: blocks.length, errors };
}

function main(paths: readonly string[]): number {
  let failed = false;
  for (const path of paths.length > 0 ? paths : [join(root, 'README.md')]) {
    const name = dirname(resolve(path)) === resolve(root) ? basename(path) : path;
    const { blocks, errors } = checkMarkdown(name, readFileSync(path, 'utf8'));
    for (const error of errors) console.error(error);
    if (blocks === 0) console.error(`${name} has no \`ts\` block: nothing was checked.`);
    else console.log(`${name}: ${blocks} blocks, ${errors.length} errors`);
    failed ||= blocks === 0 || errors.length > 0;
  }
  return failed ? 1 : 0;
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) exit(main(argv.slice(2)));
