import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint, Linter } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';
import { violations } from '../../scripts/imports.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

function sourceTree(): Map<string, string> {
  return new Map(
    readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [relative(root, path).split(sep).join('/'), readFileSync(path, 'utf8')]),
  );
}

const rules = (source: string, file: string): string[] =>
  violations(new Map([[file, source]])).map(({ rule }) => rule);

/** Broken on purpose: file, source, and the rule that must name it. */
const broken: readonly (readonly [file: string, source: string, rule: RegExp])[] = [
  ['src/client/repo-client.ts', `import { Repos } from '../registry/repos.js';`, /client imports itself/],
  ['src/client/session.ts', `import type { Hold } from '../registry/holds.js';`, /client imports itself/],
  [
    'src/client/resources/files.ts',
    `import { x } from '../../lifecycle/server.js';`,
    /client imports itself/,
  ],
  ['src/client/events/hub.ts', `export { x } from '../../registry/idle.js';`, /client imports itself/],
  ['src/client/turn.ts', `import { JarvisOpenCode } from '../jarvis-opencode.js';`, /client imports itself/],
  ['src/client/turn.ts', `import { handlers } from '../testing/index.js';`, /client imports itself/],
  ['src/registry/idle.ts', `import { Session } from '../client/session.js';`, /registry imports itself/],
  [
    'src/registry/holds.ts',
    `import { spawnServer } from '../lifecycle/spawn.js';`,
    /registry imports itself/,
  ],
  ['src/registry/repos.ts', `import { x } from '../browser.js';`, /registry imports itself/],
  ['src/lifecycle/disposer.ts', `import { Holds } from '../registry/holds.js';`, /lifecycle imports itself/],
  ['src/lifecycle/ready.ts', `import { Http } from '../client/http.js';`, /lifecycle imports itself/],
  ['src/lifecycle/server.ts', `import { JarvisOpenCode } from '../index.js';`, /entry point/],
  ['src/lifecycle/server.ts', `import x from '../../package.json' with { type: 'json' };`, /outside src/],
  ['src/jarvis-opencode.ts', `import { x } from './index.js';`, /entry point/],
  ['src/index.ts', `export { handlers } from './testing/index.js';`, /only testing imports testing/],
  [
    'src/testing/handlers.ts',
    `import { Session } from '../client/session.js';`,
    /testing imports client\/schema/,
  ],
  [
    'src/testing/handlers.ts',
    `import { Repos } from '../registry/repos.js';`,
    /testing imports client\/schema/,
  ],
  ['src/errors.ts', `import { Session } from './client/session.js';`, /a shared leaf/],
  ['src/logger.ts', `import { z } from 'zod';`, /a shared leaf/],
  ['src/clock.ts', `import { setTimeout } from 'node:timers/promises';`, /a shared leaf/],
  ['src/client/session.ts', `import ky from 'ky';`, /ky lives/],
  ['src/client/resources/http.ts', `import ky from 'ky';`, /ky lives/],
  ['src/lifecycle/ready.ts', `import type { KyInstance } from 'ky';`, /ky lives/],
  ['src/jarvis-opencode.ts', `import ky from 'ky';`, /ky lives/],
  ['src/client/http.ts', `import { http } from 'msw';`, /msw lives/],
  ['src/index.ts', `export { setupServer } from 'msw/node';`, /msw lives/],
  ['src/lifecycle/server.ts', `import { http } from 'msw';`, /msw lives/],
  ['src/jarvis-opencode.ts', `import { spawn } from 'node:child_process';`, /child_process lives/],
  ['src/testing/server.ts', `import { spawn } from 'child_process';`, /child_process lives/],
  ['src/client/http.ts', `import { Agent } from 'node:http';`, /no Node module/],
  ['src/client/session.ts', `import { readFile } from 'fs/promises';`, /no Node module/],
  ['src/registry/snapshot.ts', `import type { Stats } from 'node:fs';`, /no Node module/],
  ['src/browser.ts', `import { inspect } from 'util';`, /no Node module/],
];

/** Written so that a scan for `import … from` alone would miss it; the lint rule forbids the forms. */
const hidden: readonly (readonly [file: string, source: string, rule: RegExp])[] = [
  ['src/client/turn.ts', `export const x = await import('../registry/idle.js');`, /client imports itself/],
  ['src/registry/idle.ts', `export type X = import('../client/turn.js').Turn;`, /registry imports itself/],
  ['src/lifecycle/ready.ts', `export const x = import('ky');`, /ky lives/],
  ['src/registry/repos.ts', 'export const x = (name: string) => import(`./${name}.js`);', /computed/],
];

const allowed: readonly (readonly [file: string, source: string])[] = [
  ['src/index.ts', `export { JarvisOpenCode } from './jarvis-opencode.js'; export { x } from './errors.js';`],
  [
    'src/jarvis-opencode.ts',
    `import { a } from './client/http.js'; import { b } from './lifecycle/server.js';`,
  ],
  ['src/browser.ts', `import { a } from './client/repo-client.js'; import { b } from './registry/repos.js';`],
  ['src/client/http.ts', `import ky from 'ky'; import { z } from 'zod'; import { x } from '../errors.js';`],
  [
    'src/client/resources/files.ts',
    `import { x } from '../schema/file.js'; import { y } from '../../errors.js';`,
  ],
  ['src/client/repo-client.ts', `import { x } from './resources/files.js'; import { y } from './http.js';`],
  ['src/lifecycle/spawn.ts', `import { spawn } from 'node:child_process'; import { x } from '../clock.js';`],
  ['src/testing/index.ts', `import { http } from 'msw'; import { x } from '../client/schema/session.js';`],
  ['src/errors.ts', `import { x } from './abort.js'; import type { y } from './version.js';`],
  [
    'src/client/schema/note.ts',
    `// import ky from 'ky'\nexport const text = "import { x } from '../../registry/x.js'";`,
  ],
];

describe('import directions', () => {
  it('hold in the real tree', () => {
    const files = sourceTree();
    expect(files.has('src/errors.ts')).toBe(true);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, object>;
    const packages = new Set(Object.keys({ ...manifest['dependencies'], ...manifest['peerDependencies'] }));
    expect(violations(files, { packages })).toEqual([]);
  });

  it.each([...broken, ...hidden])('%s must not: %s', (file, source, rule) => {
    expect(rules(source, file).join('; ')).toMatch(rule);
  });

  it.each(allowed)('%s may: %s', (file, source) => {
    expect(rules(source, file)).toEqual([]);
  });

  it('names file, line and specifier', () => {
    const files = new Map([['src/client/a.ts', `export const a = 1;\nimport '../registry/b.js';`]]);
    expect(violations(files)).toEqual([
      {
        file: 'src/client/a.ts',
        line: 2,
        specifier: '../registry/b.js',
        rule: 'client imports itself and the shared leaves only',
      },
    ]);
  });

  it('sees a Node module that the browser entry reaches through other files, but not through a type', () => {
    const tree = (form: string): Map<string, string> =>
      new Map([
        ['src/browser.ts', `export { JarvisOpenCode } from './jarvis-opencode.js';`],
        ['src/jarvis-opencode.ts', `${form} { ServerHandle } from './lifecycle/server.js';`],
        ['src/lifecycle/server.ts', `import { spawn } from 'node:child_process';`],
      ]);
    expect(violations(tree('import')).map(({ file, rule }) => [file, rule])).toEqual([
      ['src/lifecycle/server.ts', 'the browser entry reaches a Node module'],
    ]);
    expect(violations(tree('import type'))).toEqual([]);
  });

  it('takes only declared dependencies', () => {
    const packages = new Set(['zod']);
    const check = (specifier: string): number =>
      violations(new Map([['src/client/a.ts', `import x from '${specifier}';`]]), { packages }).length;
    expect([check('zod'), check('zod/mini'), check('@opencode-ai/sdk'), check('left-pad')]).toEqual([
      0, 0, 1, 1,
    ]);
  });
});

describe('the lint rule', () => {
  const eslint = new ESLint({ cwd: root });
  const linter = new Linter();

  /** The room rules alone, as eslint.config.js computes them for this file. */
  async function lint(file: string, source: string): Promise<string[]> {
    const config = (await eslint.calculateConfigForFile(join(root, file))) as { rules: Linter.RulesRecord };
    const names = ['no-restricted-imports', 'no-restricted-syntax'];
    const picked = Object.fromEntries(Object.entries(config.rules).filter(([name]) => names.includes(name)));
    const messages = linter.verify(
      source,
      [{ files: ['**/*.ts'], languageOptions: { parser: tseslint.parser }, rules: picked }],
      file,
    );
    return messages.filter(({ ruleId }) => ruleId !== null).map(({ message }) => message);
  }

  it.each([...broken, ...hidden])('stops %s: %s', async (file, source) => {
    expect(await lint(file, source)).not.toEqual([]);
  });

  it.each(allowed)('lets %s: %s', async (file, source) => {
    expect(await lint(file, source)).toEqual([]);
  });
});
