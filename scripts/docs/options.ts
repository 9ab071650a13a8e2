/**
 * Writes the tables of options in `docs/options*.md` from the TSDoc of the public interfaces.
 *
 *   tsx scripts/docs/options.ts [--check]
 *
 * `--check` writes nothing, and fails when a file is not up to date.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv, exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { anchorsOf } from './links.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Table {
  /** The interface, e.g. `StartOptions`. */
  readonly name: string;
  readonly about: string;
  /** The interfaces that it extends, as they are written. */
  readonly bases: readonly string[];
  readonly rows: readonly Row[];
}

interface Row {
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly default: string;
  readonly about: string;
}

interface Guide {
  readonly file: string;
  readonly title: string;
  readonly about: string;
  /** Whether an interface stands in this guide; the first guide that takes it has it. */
  takes(name: string, isTesting: boolean): boolean;
}

const SERVER = ['ServerOptions', 'HealthPolicy', 'RestartPolicy', 'RestartOptions', 'StopOptions'];
const TURNS = [
  'DecidePolicy',
  'FilePartOptions',
  'OneShotOptions',
  'PromptOptions',
  'ReadTurnOptions',
  'TurnOptions',
  'TurnResponseOptions',
];
const CLIENT = [
  'StartOptions',
  'ConnectOptions',
  'JarvisOptions',
  'AskOptions',
  'IdlePolicy',
  'SignalPolicy',
  'TurnLimits',
];

const FLEET = ['FleetOptions', 'FleetReconcileOptions', 'Lifetime', 'OpenProfile', 'PlaceOptions'];

const GUIDES: readonly Guide[] = [
  {
    file: 'options-testing.md',
    title: 'Options of the test kit',
    about: 'What `jarvis-opencode/testing` takes. [Testing your application](testing.md) has examples.',
    takes: (_name, isTesting) => isTesting,
  },
  {
    file: 'options-server.md',
    title: 'Options of the server',
    about:
      '`JarvisOpenCode.start()` takes all of `ServerOptions`. [The server process](server.md) has examples.',
    takes: (name) => SERVER.includes(name),
  },
  {
    file: 'options-client.md',
    title: 'Options of a client',
    about: 'What `JarvisOpenCode.start()`, `shared()`, `connect()` and the constructor take.',
    takes: (name) => CLIENT.includes(name),
  },
  {
    file: 'options-turns.md',
    title: 'Options of turns',
    about:
      'What prompts and turns take. [Turns and streams](turns.md) and [permissions](permissions.md) have examples.',
    takes: (name) => TURNS.includes(name),
  },
  {
    file: 'options-fleet.md',
    title: 'Options of a fleet',
    about: 'What `JarvisFleet` takes. [A fleet of servers](fleet.md) has examples.',
    takes: (name) => FLEET.includes(name),
  },
  {
    file: 'options-calls.md',
    title: 'Options of calls',
    about: 'What the other methods take, each as its last argument.',
    takes: () => true,
  },
];

const NOTE = 'This page is generated from the source by `npm run docs:options`.';

/** The interfaces among the exports of an entry that hold options, in the order of their names. */
function tablesOf(program: ts.Program, entry: string): Table[] {
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(join(root, entry));
  const module = file && checker.getSymbolAtLocation(file);
  if (module === undefined) throw new Error(`The compiler did not read ${entry}`);
  return checker
    .getExportsOfModule(module)
    .filter(({ name }) => /(Options|Policy|Limits|Lifetime|Profile)$/.test(name))
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
    .flatMap((symbol) => (symbol.declarations ?? []).filter(ts.isInterfaceDeclaration))
    .map((declaration) => tableOf(declaration, checker))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function tableOf(declaration: ts.InterfaceDeclaration, checker: ts.TypeChecker): Table {
  return {
    name: declaration.name.text,
    about: aboutOf(checker.getSymbolAtLocation(declaration.name), checker),
    bases: (declaration.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => type.getText())),
    rows: declaration.members.flatMap((member) => {
      if (!ts.isPropertySignature(member) && !ts.isMethodSignature(member)) return [];
      const symbol = checker.getSymbolAtLocation(member.name);
      const type = ts.isMethodSignature(member) ? 'function' : (member.type?.getText() ?? 'unknown');
      const tag = symbol?.getJsDocTags(checker).find(({ name }) => name === 'default');
      return {
        name: member.name.getText(),
        type: type.replace(/\s+/g, ' ').replace(/ \| undefined$/, ''),
        isRequired: member.questionToken === undefined,
        default: valueOf(plain(ts.displayPartsToString(tag?.text ?? []))),
        about: aboutOf(symbol, checker),
      };
    }),
  };
}

/** The first paragraph of the TSDoc. */
function aboutOf(symbol: ts.Symbol | undefined, checker: ts.TypeChecker): string {
  const text = ts.displayPartsToString(symbol?.getDocumentationComment(checker) ?? []);
  return plain(text.split(/\n\s*\n/)[0] ?? '');
}

/** Markdown for one cell of a table. */
function plain(text: string): string {
  return text
    .replace(/\{@link ([^}\s]+)\s*\}/g, '`$1`')
    .replace(/\s+/g, ' ')
    .trim();
}

/** A default as code where it is a value, and as words where it is not. */
function valueOf(text: string): string {
  return /^('[^']*'|[\d_]+|true|false|Infinity|[\w.]+\.[\w.]+(\(\))?)$/.test(text) ? `\`${text}\`` : text;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

function pageOf({ title, about }: Guide, tables: readonly Table[]): string {
  const lines = [
    `# ${title}`,
    '',
    about,
    NOTE,
    'An option without a default is off, or none, when it is left out.',
  ];
  for (const { name, about: meaning, bases, rows } of tables) {
    lines.push('', `## ${name}`, '', meaning);
    if (bases.length > 0) lines.push('', `Also all of ${bases.map((base) => `\`${base}\``).join(' and ')}.`);
    if (rows.length === 0) continue;
    lines.push('', '| option | type | default | meaning |', '| --- | --- | --- | --- |');
    for (const row of rows) {
      const byDefault = row.isRequired ? 'required' : row.default;
      const cells = [`\`${row.name}\``, `\`${row.type}\``, byDefault, row.about].map(cell);
      lines.push(`| ${cells.join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A page that leads from each name of an option to its table. */
function indexOf(pages: ReadonlyMap<Guide, readonly Table[]>): string {
  const places = new Map<string, string[]>();
  const targets: string[] = [];
  for (const [guide, tables] of pages) {
    for (const { name, rows } of tables) {
      const [anchor = ''] = anchorsOf(`## ${name}`);
      for (const row of rows) {
        places.set(row.name, [...(places.get(row.name) ?? []), `[${name}]`]);
      }
      if (rows.length > 0) targets.push(`[${name}]: ${guide.file}#${anchor}`);
    }
  }
  const lines = ['# Options', '', 'Every option and the tables that it stands in.', NOTE, ''];
  for (const { file, title } of pages.keys()) lines.push(`- [${title}](${file})`);
  lines.push('', '| option | in |', '| --- | --- |');
  for (const name of [...places.keys()].sort()) {
    lines.push(`| \`${name}\` | ${places.get(name)?.join(', ') ?? ''} |`);
  }
  return `${[...lines, '', ...targets].join('\n')}\n`;
}

const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
const program = ts.createProgram(
  ['src/index.ts', 'src/testing.ts'].map((entry) => join(root, entry)),
  options,
);

const pages = new Map<Guide, Table[]>(GUIDES.map((guide) => [guide, []]));
const main = tablesOf(program, 'src/index.ts');
const testing = tablesOf(program, 'src/testing.ts').filter(
  ({ name }) => !main.some((table) => table.name === name),
);
for (const table of [...main, ...testing]) {
  const guide = GUIDES.find((guide) => guide.takes(table.name, testing.includes(table)));
  if (guide !== undefined) pages.get(guide)?.push(table);
}

const written = new Map([['options.md', indexOf(pages)]]);
for (const [guide, tables] of pages) written.set(guide.file, pageOf(guide, tables));

const unexplained = [...main, ...testing].flatMap(({ name, rows }) =>
  rows.filter(({ about }) => about === '').map((row) => `${name}.${row.name}`),
);
for (const name of unexplained) console.error(`${name} has no TSDoc that says what it means.`);

let isStale = unexplained.length > 0;
for (const [file, text] of written) {
  const path = join(root, 'docs', file);
  const isCurrent = existsSync(path) && readFileSync(path, 'utf8') === text;
  if (argv.includes('--check')) {
    if (!isCurrent) console.error(`docs/${file} is not up to date: npm run docs:options`);
    isStale ||= !isCurrent;
  } else if (!isCurrent) {
    writeFileSync(path, text);
    console.log(`docs/${file} written`);
  }
}
exit(isStale ? 1 : 0);
