/**
 * Who may import whom inside src/: the directions of the design, over a map of path → source text.
 * A pure function, so that test/unit/imports.test.ts can hand it broken trees as well as the real one.
 */
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';

export interface Violation {
  /** Path of the importing file, from the root of the repository. */
  readonly file: string;
  readonly line: number;
  /** The module specifier as written. */
  readonly specifier: string;
  readonly rule: string;
}

export interface ImportRules {
  /** Packages that src/ may import: dependencies and peer dependencies. Every package when left out. */
  readonly packages?: ReadonlySet<string>;
}

interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type` and the like: gone at run time. */
  readonly typeOnly: boolean;
}

const LEAVES: ReadonlySet<string> = new Set(
  ['abort', 'clock', 'errors', 'instance', 'logger', 'real-time', 'version'].map((leaf) => `src/${leaf}.ts`),
);
const ROOMS = ['client', 'registry', 'lifecycle', 'testing'] as const;
/** The entry points of the test kit: they wire it to the client. */
const KIT_ENTRIES: ReadonlySet<string> = new Set(['src/testing.ts', 'src/testing-browser.ts']);
/** What must run in a browser, with all it imports. */
const BROWSER_ENTRIES = ['src/browser.ts', 'src/testing-browser.ts'];
const BUILTINS: ReadonlySet<string> = new Set(builtinModules);
const COMPUTED = '(computed)';

type Area = (typeof ROOMS)[number] | 'leaf' | 'root' | 'outside';

function areaOf(path: string): Area {
  if (LEAVES.has(path)) return 'leaf';
  const room = ROOMS.find((name) => path.startsWith(`src/${name}/`));
  return room ?? (path.startsWith('src/') ? 'root' : 'outside');
}

/** Every module specifier of one file: static, dynamic, re-exported, `require`d and in type position. */
export function importsOf(path: string, source: string): Import[] {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const found: Import[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean): void => {
    found.push({
      specifier: specifier && ts.isStringLiteralLike(specifier) ? specifier.text : COMPUTED,
      line: file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1,
      typeOnly,
    });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node, node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      add(node, node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node, node.moduleReference.expression, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true);
    } else if (
      ts.isCallExpression(node) &&
      (node.expression.kind === ts.SyntaxKind.ImportKeyword ||
        (ts.isIdentifier(node.expression) && node.expression.text === 'require'))
    ) {
      add(node, node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

const isRelative = (specifier: string): boolean => specifier.startsWith('.');

/** `../errors.js` in `src/client/http.ts` → `src/errors.ts`. */
function target(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}

/** The package of a bare specifier: `msw/node` → `msw`, `@scope/name/x` → `@scope/name`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

const isBuiltin = (specifier: string): boolean =>
  specifier.startsWith('node:') || BUILTINS.has(specifier) || BUILTINS.has(packageOf(specifier));

function relativeRule(from: string, to: string): string | undefined {
  const here = areaOf(from);
  const there = areaOf(to);
  if (there === 'outside') return 'nothing in src imports from outside src';
  if (to === 'src/index.ts') return 'nothing imports the entry point';
  if (here === 'leaf') return there === 'leaf' ? undefined : 'a shared leaf imports nothing but other leaves';
  if (here === there || there === 'leaf') return undefined;
  if (here === 'testing') {
    const schema = to === 'src/client/schema.ts' || to.startsWith('src/client/schema/');
    return schema ? undefined : 'testing imports client/schema and the shared leaves only';
  }
  if (here === 'root') {
    return there === 'testing' && !KIT_ENTRIES.has(from) ? 'only testing imports testing' : undefined;
  }
  return `${here} imports itself and the shared leaves only`;
}

function moduleRule(from: string, specifier: string, rules: ImportRules): string | undefined {
  const here = areaOf(from);
  if (specifier === COMPUTED) return 'a computed import cannot be checked';
  if (here === 'leaf') return 'a shared leaf imports nothing but other leaves';
  if (isBuiltin(specifier)) {
    if (here === 'client' || here === 'registry' || BROWSER_ENTRIES.includes(from)) {
      return 'no Node module in a runtime-neutral part';
    }
    if (/^(node:)?child_process$/.test(specifier) && here !== 'lifecycle') {
      return 'node:child_process lives in lifecycle';
    }
    return undefined;
  }
  const name = packageOf(specifier);
  if (name === 'ky' && from !== 'src/client/http.ts') return 'ky lives in client/http.ts';
  if (name === 'msw' && here !== 'testing') return 'msw lives in testing';
  if (rules.packages && !rules.packages.has(name)) return 'only declared dependencies are imported';
  return undefined;
}

/** Everything in `files` (path from the repository's root → source text) that breaks a direction. */
export function violations(files: ReadonlyMap<string, string>, rules: ImportRules = {}): Violation[] {
  const found: Violation[] = [];
  const graph = new Map<string, Import[]>();
  for (const [file, source] of files) {
    if (areaOf(file) === 'outside') continue;
    const imports = importsOf(file, source);
    graph.set(file, imports);
    for (const { specifier, line } of imports) {
      const rule = isRelative(specifier)
        ? relativeRule(file, target(file, specifier))
        : moduleRule(file, specifier, rules);
      if (rule !== undefined) found.push({ file, line, specifier, rule });
    }
  }
  return [...found, ...nodeReachableFromBrowser(graph)];
}

/** Node modules that the browser entries would load at run time, through however many files. */
function nodeReachableFromBrowser(graph: ReadonlyMap<string, readonly Import[]>): Violation[] {
  const found: Violation[] = [];
  const seen = new Set(BROWSER_ENTRIES);
  for (const file of seen) {
    for (const { specifier, line, typeOnly } of graph.get(file) ?? []) {
      if (typeOnly) continue;
      if (isRelative(specifier)) seen.add(target(file, specifier));
      else if (isBuiltin(specifier)) {
        found.push({ file, line, specifier, rule: 'the browser entry reaches a Node module' });
      }
    }
  }
  return found;
}
