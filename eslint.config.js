import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { builtinModules } from 'node:module';

// ── the rooms of the house ───────────────────────────────────────────────────────────────────────
// index → jarvis-opencode → { client, registry, lifecycle } → leaves; rooms do not import each other.
// test/unit/imports.test.ts holds the same directions over the whole tree, dynamic imports included.

const LEAVES = ['abort', 'clock', 'errors', 'instance', 'logger', 'real-time', 'version'];
const leafFiles = LEAVES.map((leaf) => `src/${leaf}.ts`);
const leafNames = `(${LEAVES.join('|')})\\.js`;

const ky = { regex: '^ky(/|$)', message: 'ky lives in src/client/http.ts.' };
const msw = { regex: '^msw(/|$)', message: 'msw lives in src/testing.' };
const childProcess = {
  regex: '^(node:)?child_process$',
  message: 'node:child_process lives in src/lifecycle.',
};
const devOnly = {
  regex: '^(jarvis-opencode|opencode-ai|@opencode-ai/sdk)(/|$)',
  message: 'The library imports neither itself by name nor OpenCode packages: they are for development.',
};
const node = {
  regex: `^(node:.*|(${builtinModules.filter((name) => !name.startsWith('_')).join('|')})(/.*)?)$`,
  message: 'This part is runtime-neutral: it imports no Node module.',
};
const testing = { regex: '(^|/)testing/', message: 'Only src/testing imports src/testing.' };
const entry = { regex: '^(\\./)?index\\.js$', message: 'Nothing imports the entry point.' };
const leafOnly = {
  regex: `^(?!\\./${leafNames}$)`,
  message: 'A shared leaf imports nothing but the other leaves.',
};

/** Whatever climbs out of a room from a file `depth` folders below src/ must end at an allowed place. */
const climbsOut = (depth, allowed, message) => ({
  regex: `^(\\./)?(\\.\\./){${depth}}(?!(${allowed})$)`,
  message,
});

const imports = (...patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });

/** One block for each folder depth of a room: a relative path says where it ends only with its depth. */
const room = (name, allowed, message, ...patterns) =>
  [1, 2, 3, 4].map((depth) => ({
    files: [`src/${name}/${'*/'.repeat(depth - 1)}*.ts`],
    rules: imports(climbsOut(depth, allowed, message), ky, devOnly, ...patterns),
  }));

const alone =
  'A room imports itself and the shared leaves only: what it needs from elsewhere is a parameter.';

const noComputedImports = {
  'no-restricted-syntax': [
    'error',
    { selector: 'ImportExpression', message: 'A static import, so that the room rules see it.' },
    { selector: 'TSImportType', message: 'An `import type`, so that the room rules see it.' },
  ],
};

const neutralGlobals = (...more) => ({
  'no-restricted-globals': [
    'error',
    ...more,
    ...['process', 'Buffer', 'global', 'require', 'setImmediate', 'clearImmediate'].map((name) => ({
      name,
      message: 'This part is runtime-neutral: Node globals are not there in a browser.',
    })),
  ],
});
/** Two clocks that are compared with each other must be one. */
const globalClock = { name: 'performance', message: 'Use realTime.now(), which fake timers leave alone.' };

const neutralFiles = [...leafFiles, 'src/browser.ts', 'src/client/**/*.ts', 'src/registry/**/*.ts'];

const houseRules = [
  { files: ['src/*.ts'], rules: imports(ky, msw, childProcess, devOnly, testing, entry) },
  // The entry points of the test kit wire it to the client.
  { files: ['src/testing.ts'], rules: imports(ky, msw, childProcess, devOnly, entry) },
  { files: ['src/testing-browser.ts'], rules: imports(ky, msw, devOnly, entry, node) },
  { files: ['src/browser.ts'], rules: imports(ky, msw, devOnly, testing, entry, node) },
  { files: leafFiles, rules: imports(leafOnly) },
  ...room('client', leafNames, alone, msw, node),
  { files: ['src/client/http.ts'], rules: imports(climbsOut(1, leafNames, alone), devOnly, msw, node) },
  ...room('registry', leafNames, alone, msw, node),
  ...room('lifecycle', leafNames, alone, msw),
  ...room(
    'testing',
    `${leafNames}|client/schema(/.*)?\\.js`,
    'src/testing imports client/schema and the shared leaves only.',
    childProcess,
  ),
  {
    files: [...leafFiles, 'src/{client,registry,lifecycle,testing}/**/*.ts'],
    rules: noComputedImports,
  },
  {
    files: ['src/{index,browser,testing,testing-browser}.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportAllDeclaration', message: 'The public surface is explicit named exports.' },
      ],
    },
  },
  { files: neutralFiles, rules: neutralGlobals() },
  { files: ['src/client/**/*.ts'], rules: neutralGlobals(globalClock) },
  { files: ['{test,examples,scripts}/**/*.ts'], rules: imports(ky) },
];

export default defineConfig(
  globalIgnores(['dist/', 'coverage/']),
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  tseslint.configs.recommendedTypeChecked,
  { languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } } },
  {
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      // An async function without await still turns a throw into a rejection.
      '@typescript-eslint/require-await': 'off',
      // A caller's own abort reason passes through untouched, whatever its type.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
    },
  },
  { files: ['src/**/*.ts'], rules: { 'no-console': 'error' } },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  houseRules,
  { files: ['**/*.js', '**/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
);
