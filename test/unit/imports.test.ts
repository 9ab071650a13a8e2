import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { circlesOf, layerOf, violations } from '../../scripts/imports.js';
import { sourceTree } from '../../scripts/source-tree.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const rules = (source: string, file: string): string[] =>
  violations(new Map([[file, source]])).map(({ rule }) => rule);

/** Broken on purpose: file, source, and the rule that must name it. */
const broken: readonly (readonly [file: string, source: string, rule: RegExp])[] = [
  [
    'src/client/repo/repo-client.ts',
    `import { InstanceRegistry } from '../../registry/instance-registry.js';`,
    /client does not import registry/,
  ],
  [
    'src/client/sessions/session.ts',
    `import type { Hold } from '../../registry/holds.js';`,
    /client does not import registry/,
  ],
  [
    'src/client/resources/files.ts',
    `import { x } from '../../lifecycle/server.js';`,
    /client does not import lifecycle/,
  ],
  [
    'src/client/events/hub.ts',
    `export { x } from '../../registry/gate.js';`,
    /client does not import registry/,
  ],
  [
    'src/client/turns/turn.ts',
    `import { JarvisOpenCode } from '../../app/jarvis-opencode.js';`,
    /client does not import app/,
  ],
  [
    'src/client/turns/turn.ts',
    `import { x } from '../../instances/idle-clock.js';`,
    /client does not import instances/,
  ],
  [
    'src/client/turns/turn.ts',
    `import { handlers } from '../../testing/index.js';`,
    /only its entries import testing/,
  ],
  [
    'src/registry/activity.ts',
    `import { Session } from '../client/sessions/session.js';`,
    /registry does not import client/,
  ],
  [
    'src/registry/holds.ts',
    `import { spawnServer } from '../lifecycle/process/spawn.js';`,
    /registry does not import lifecycle/,
  ],
  [
    'src/registry/instance-registry.ts',
    `import { x } from '../browser.js';`,
    /nothing imports an entry point/,
  ],
  [
    'src/lifecycle/server/handle.ts',
    `import { Holds } from '../../registry/holds.js';`,
    /lifecycle does not import registry/,
  ],
  [
    'src/lifecycle/server/ready.ts',
    `import { Http } from '../../client/http/http.js';`,
    /lifecycle does not import client/,
  ],
  ['src/lifecycle/server.ts', `import { JarvisOpenCode } from '../index.js';`, /entry point/],
  ['src/lifecycle/server.ts', `import x from '../../package.json' with { type: 'json' };`, /outside src/],
  ['src/app/jarvis-opencode.ts', `import { x } from '../index.js';`, /entry point/],
  [
    'src/instances/instance-control.ts',
    `import { x } from '../app/jarvis-client.js';`,
    /instances does not import app/,
  ],
  ['src/app/backend.ts', `import { x } from '../surface.js';`, /app does not import surface/],
  ['src/index.ts', `export { handlers } from './testing/index.js';`, /only its entries import testing/],
  [
    'src/testing/handlers.ts',
    `import { Session } from '../client/sessions/session.js';`,
    /testing imports core and client\/schema only/,
  ],
  [
    'src/testing/handlers.ts',
    `import { InstanceRegistry } from '../registry/instance-registry.js';`,
    /testing imports core and client\/schema only/,
  ],
  [
    'src/testing/handlers.ts',
    `import { JarvisError } from '../errors.js';`,
    /testing imports core and client\/schema only/,
  ],
  [
    'src/errors.ts',
    `import { Session } from './client/sessions/session.js';`,
    /errors does not import client/,
  ],
  ['src/core/abort.ts', `import { JarvisError } from '../errors.js';`, /core does not import errors/],
  ['src/core/logger.ts', `import { z } from 'zod';`, /core imports no package/],
  ['src/core/clock.ts', `import { setTimeout } from 'node:timers/promises';`, /no Node module/],
  ['src/stray.ts', `import { x } from './core/clock.js';`, /every file of src has a layer/],
  ['src/client/sessions/session.ts', `import ky from 'ky';`, /ky lives/],
  ['src/client/resources/http.ts', `import ky from 'ky';`, /ky lives/],
  ['src/lifecycle/server/ready.ts', `import type { KyInstance } from 'ky';`, /ky lives/],
  ['src/app/jarvis-opencode.ts', `import ky from 'ky';`, /ky lives/],
  ['src/client/http/http.ts', `import { http } from 'msw';`, /msw lives/],
  ['src/index.ts', `export { setupServer } from 'msw/node';`, /msw lives/],
  ['src/lifecycle/server.ts', `import { http } from 'msw';`, /msw lives/],
  ['src/app/jarvis-opencode.ts', `import { spawn } from 'node:child_process';`, /child_process lives/],
  ['src/testing/server.ts', `import { spawn } from 'child_process';`, /child_process lives/],
  ['src/client/http/http.ts', `import { Agent } from 'node:http';`, /no Node module/],
  ['src/client/sessions/session.ts', `import { readFile } from 'fs/promises';`, /no Node module/],
  ['src/registry/snapshot.ts', `import type { Stats } from 'node:fs';`, /no Node module/],
  ['src/instances/instance-control.ts', `import { hrtime } from 'node:process';`, /no Node module/],
  ['src/browser.ts', `import { inspect } from 'util';`, /no Node module/],
  ['src/client/turns/turn.ts', `import { Session } from '@opencode-ai/sdk';`, /only declared dependencies/],
  ['src/client/turns/turn.ts', `import { Session } from 'jarvis-opencode';`, /only declared dependencies/],
  // Written so that a scan for `import … from` alone would miss them.
  [
    'src/client/turns/turn.ts',
    `export const x = await import('../../registry/holds.js');`,
    /client does not import registry/,
  ],
  [
    'src/registry/activity.ts',
    `export type X = import('../client/turns/turn.js').Turn;`,
    /registry does not import client/,
  ],
  ['src/lifecycle/server/ready.ts', `export const x = import('ky');`, /ky lives/],
  [
    'src/registry/instance-registry.ts',
    'export const x = (name: string) => import(`./${name}.js`);',
    /computed/,
  ],
];

const allowed: readonly (readonly [file: string, source: string])[] = [
  [
    'src/index.ts',
    `export { JarvisOpenCode } from './app/jarvis-opencode.js'; export { x } from './errors.js';`,
  ],
  [
    'src/app/jarvis-opencode.ts',
    `import { a } from '../client/http/http.js'; import { b } from '../lifecycle/server.js';`,
  ],
  [
    'src/browser.ts',
    `import { a } from './client/repo/repo-client.js'; import { b } from './registry/instance-registry.js';`,
  ],
  [
    'src/client/http/http.ts',
    `import ky from 'ky'; import { z } from 'zod'; import { x } from '../../errors.js';`,
  ],
  [
    'src/client/resources/files.ts',
    `import { x } from '../schema/file.js'; import { y } from '../../errors.js';`,
  ],
  [
    'src/client/repo/repo-client.ts',
    `import { x } from '../resources/files.js'; import { y } from '../http/http.js';`,
  ],
  [
    'src/lifecycle/process/spawn.ts',
    `import { spawn } from 'node:child_process'; import { x } from '../../core/clock.js';`,
  ],
  ['src/testing/index.ts', `import { http } from 'msw'; import { x } from '../client/schema/session.js';`],
  ['src/errors.ts', `import { x } from './core/abort.js'; import type { y } from './core/version.js';`],
  [
    'src/client/schema/note.ts',
    `// import ky from 'ky'\nexport const text = "import { x } from '../../registry/x.js'";`,
  ],
];

describe('import directions', () => {
  it('finds no forbidden import in the real tree', () => {
    const files = sourceTree(root);
    expect(files.has('src/errors.ts')).toBe(true);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, object>;
    const packages = new Set(Object.keys({ ...manifest['dependencies'], ...manifest['peerDependencies'] }));
    expect(violations(files, { packages })).toEqual([]);
  });

  it('gives every file of the real tree a layer', () => {
    const files = [...sourceTree(root).keys()];
    expect(files.filter((file) => layerOf(file) === undefined)).toEqual([]);
  });

  it.each(broken)('refuses an import: %s must not: %s', (file, source, rule) => {
    expect(rules(source, file).join('; ')).toMatch(rule);
  });

  it.each(allowed)('accepts an import: %s may: %s', (file, source) => {
    expect(rules(source, file)).toEqual([]);
  });

  it('names file, line and specifier of a forbidden import', () => {
    const files = new Map([['src/client/a.ts', `export const a = 1;\nimport '../registry/b.js';`]]);
    expect(violations(files)).toEqual([
      {
        file: 'src/client/a.ts',
        line: 2,
        specifier: '../registry/b.js',
        rule: 'client does not import registry: a layer imports from those below it',
      },
    ]);
  });

  it('finds a Node module that the browser entry reaches through other files, but not through a type', () => {
    const tree = (form: string): Map<string, string> =>
      new Map([
        ['src/browser.ts', `export { JarvisOpenCode } from './app/jarvis-opencode.js';`],
        ['src/app/jarvis-opencode.ts', `${form} { ServerHandle } from '../lifecycle/server.js';`],
        ['src/lifecycle/server.ts', `import { spawn } from 'node:child_process';`],
      ]);
    expect(violations(tree('import')).map(({ file, rule }) => [file, rule])).toEqual([
      ['src/lifecycle/server.ts', 'the browser entry reaches a Node module'],
    ]);
    expect(violations(tree('import type'))).toEqual([]);
  });

  it('accepts only imports of declared dependencies', () => {
    const packages = new Set(['zod']);
    const check = (specifier: string): number =>
      violations(new Map([['src/client/a.ts', `import x from '${specifier}';`]]), { packages }).length;
    expect([check('zod'), check('zod/mini'), check('@opencode-ai/sdk'), check('left-pad')]).toEqual([
      0, 0, 1, 1,
    ]);
  });
});

describe('circles between files', () => {
  it('finds no import circle in the real tree', () => {
    expect(circlesOf(sourceTree(root))).toEqual([]);
  });

  it('finds import circles through any number of files, types included', () => {
    const files = new Map([
      ['src/client/a.ts', `import { b } from './b.js';`],
      ['src/client/b.ts', `import type { C } from './c.js';`],
      ['src/client/c.ts', `export { a } from './a.js'; import './d.js';`],
      ['src/client/d.ts', `import { z } from 'zod';`],
      ['src/core/e.ts', `import { e } from './e.js';`],
    ]);
    expect(circlesOf(files)).toEqual([
      ['src/client/a.ts', 'src/client/b.ts', 'src/client/c.ts'],
      ['src/core/e.ts'],
    ]);
  });
});
