/**
 * Who may import whom inside src/: the layers of the design, over a map of path → source text.
 * Pure functions, so that test/unit/imports.test.ts can hand them broken trees as well as the real one.
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

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type` and the like: gone at run time. */
  readonly typeOnly: boolean;
}

/**
 * The layers from the ground up: a file imports from its own layer and from the rows before it. The layers of one row do not
 * know each other: each receives what it needs from the layer above.
 */
const LAYERS = [
  ['core'],
  ['errors'],
  ['client', 'registry', 'lifecycle'],
  ['instances'],
  ['app'],
  ['fleet'],
  ['surface'],
  ['entries'],
] as const;

/** The test kit stands beside the layers: it imports nothing of the library but these, and only its entries wire it to the client. */
const TESTING_IMPORTS = ['core', 'client/schema'] as const;

export type Layer = (typeof LAYERS)[number][number] | 'testing' | 'outside';

/** Where each file belongs. A folder ends with a slash; the first line that fits counts. */
const PLACES: readonly (readonly [place: string, layer: Layer])[] = [
  ['src/core/', 'core'],
  ['src/errors.ts', 'errors'],
  ['src/client/', 'client'],
  ['src/registry/', 'registry'],
  ['src/lifecycle/', 'lifecycle'],
  ['src/instances/', 'instances'],
  ['src/app/', 'app'],
  ['src/fleet/', 'fleet'],
  ['src/surface.ts', 'surface'],
  ['src/index.ts', 'entries'],
  ['src/browser.ts', 'entries'],
  ['src/testing.ts', 'entries'],
  ['src/testing-browser.ts', 'entries'],
  ['src/testing/', 'testing'],
];

/** The entry points of the test kit: nobody else imports it. */
const TESTING_ENTRIES: ReadonlySet<string> = new Set(['src/testing.ts', 'src/testing-browser.ts']);
/** What must run in a browser, with all it imports. */
const BROWSER_ENTRIES = ['src/browser.ts', 'src/testing-browser.ts'];
/** Layers that run in every JavaScript runtime, like all that a browser entry imports. */
const NEUTRAL: ReadonlySet<Layer> = new Set(['core', 'errors', 'client', 'registry', 'instances']);
const KY_HOME = 'src/client/http/';
/** For development only: the library imports neither itself by name nor OpenCode's own packages. */
const DEVELOPMENT_PACKAGES: ReadonlySet<string> = new Set([
  'jarvis-opencode',
  'opencode-ai',
  '@opencode-ai/sdk',
]);
const BUILTINS: ReadonlySet<string> = new Set(builtinModules);
const COMPUTED = '(computed)';

/** The layer of a file of src/; `undefined` for one that no line of the table places. */
export function layerOf(path: string): Layer | undefined {
  if (!path.startsWith('src/')) return 'outside';
  return PLACES.find(([place]) => (place.endsWith('/') ? path.startsWith(place) : path === place))?.[1];
}

/** The row of a layer, counted from the ground; `undefined` for what stands beside them. */
export function rowOf(layer: Layer): number | undefined {
  const row = LAYERS.findIndex((layers) => (layers as readonly Layer[]).includes(layer));
  return row < 0 ? undefined : row;
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

/** `../errors.js` in `src/client/asks.ts` → `src/errors.ts`. */
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
  const here = layerOf(from);
  const there = layerOf(to);
  if (there === 'outside') return 'nothing in src imports from outside src';
  if (there === 'entries') return 'nothing imports an entry point';
  if (here === undefined) return 'every file of src has a layer';
  if (here === there) return undefined;
  if (there === 'testing') return TESTING_ENTRIES.has(from) ? undefined : 'only its entries import testing';
  if (here === 'testing') {
    const isAllowed = there === 'core' || to.startsWith('src/client/schema/');
    return isAllowed ? undefined : `testing imports ${TESTING_IMPORTS.join(' and ')} only`;
  }
  const [row, below] = [rowOf(here), there === undefined ? undefined : rowOf(there)];
  if (row !== undefined && below !== undefined && below < row) return undefined;
  return `${here} does not import ${there ?? 'a file without a layer'}: a layer imports from those below it`;
}

function moduleRule(from: string, specifier: string, rules: ImportRules): string | undefined {
  const here = layerOf(from);
  if (specifier === COMPUTED) return 'a computed import cannot be checked';
  if (isBuiltin(specifier)) {
    if ((here !== undefined && NEUTRAL.has(here)) || BROWSER_ENTRIES.includes(from)) {
      return 'no Node module in a runtime-neutral part';
    }
    const isSpawn = /^(node:)?child_process$/.test(specifier);
    return isSpawn && here !== 'lifecycle' ? 'node:child_process lives in lifecycle' : undefined;
  }
  const name = packageOf(specifier);
  if (here === 'core' || here === 'errors') return `${here} imports no package`;
  if (name === 'ky' && !from.startsWith(KY_HOME)) return `ky lives in ${KY_HOME}`;
  if (name === 'msw' && here !== 'testing') return 'msw lives in testing';
  const isForeign = DEVELOPMENT_PACKAGES.has(name) || rules.packages?.has(name) === false;
  return isForeign ? 'only declared dependencies are imported' : undefined;
}

/** Everything in `files` (path from the repository's root → source text) that breaks a direction. */
export function violations(files: ReadonlyMap<string, string>, rules: ImportRules = {}): Violation[] {
  const found: Violation[] = [];
  const graph = new Map<string, Import[]>();
  for (const [file, source] of files) {
    if (layerOf(file) === 'outside') continue;
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

/** Groups of files that import each other in a circle, types included; each sorted by name. */
export function circlesOf(files: ReadonlyMap<string, string>): string[][] {
  const targets = new Map(
    [...files].map(([file, source]) => [
      file,
      importsOf(file, source)
        .filter(({ specifier }) => isRelative(specifier))
        .map(({ specifier }) => target(file, specifier))
        .filter((path) => files.has(path)),
    ]),
  );
  const reach = (start: string): Set<string> => {
    const seen = new Set(targets.get(start));
    for (const file of seen) for (const next of targets.get(file) ?? []) seen.add(next);
    return seen;
  };
  const reached = new Map([...targets.keys()].map((file) => [file, reach(file)]));
  const groups = new Map<string, string[]>();
  for (const [file, mine] of reached) {
    if (!mine.has(file)) continue;
    const group = [...mine].filter((other) => reached.get(other)?.has(file)).sort();
    groups.set(group.join(), group);
  }
  return [...groups.values()];
}
