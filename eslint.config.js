import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Who may import whom is held by test/unit/imports.test.ts, over the whole tree.

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

const houseRules = [
  {
    files: ['src/{index,browser,testing,testing-browser}.ts', 'src/**/surface.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: String.raw`ExportAllDeclaration:not([source.value=/^\.\u002F(testing\u002F)?surface\.js$/])`,
          message: 'The public surface is explicit named exports, in surface.ts.',
        },
      ],
    },
  },
  {
    files: ['src/{errors,browser}.ts', 'src/{core,registry,instances}/**/*.ts'],
    rules: neutralGlobals(),
  },
  { files: ['src/client/**/*.ts'], rules: neutralGlobals(globalClock) },
];

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', 'site/']),
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
