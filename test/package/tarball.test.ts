import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkLinks } from '../../scripts/docs/links.js';

// The packed tarball, unpacked into an empty project: what a user gets. Needs `npm run build` first.

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Manifest {
  readonly version: string;
  readonly dependencies: Record<string, string>;
  readonly exports: Record<string, unknown>;
}

let project: string;
let installed: string;
let files: string[];
let manifest: Manifest;

async function link(name: string): Promise<void> {
  const path = join(project, 'node_modules', name);
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await symlink(join(root, 'node_modules', name), path);
}

/** Runs a module in the user's project and gives back what it printed as JSON. */
async function evaluate(code: string, ...flags: string[]): Promise<unknown> {
  const { stdout } = await run(process.execPath, [...flags, '--input-type=module', '-e', code], {
    cwd: project,
    timeout: 60_000,
  });
  return JSON.parse(stdout);
}

/** Every specifier that an entry of dist/ imports, through its chunks. */
async function imports(entry: string, seen = new Set<string>()): Promise<Set<string>> {
  seen.add(entry);
  const source = await readFile(join(installed, 'dist', entry), 'utf8');
  for (const [, name = ''] of source.matchAll(/(?<!["'/])\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g)) {
    if (name.startsWith('./')) {
      const file = entry.endsWith('.d.ts') ? name.replace(/\.js$/, '.d.ts') : name;
      if (!seen.has(file.slice(2))) await imports(file.slice(2), seen);
    } else {
      seen.add(name);
    }
  }
  return seen;
}

beforeAll(async () => {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist/ is not built: npm run build first');
  project = await mkdtemp(join(tmpdir(), 'jarvis-package-'));
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', project];
  await run('npm', pack, { cwd: root, timeout: 60_000 });
  const tarball = (await readdir(project)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack made no tarball');
  await run('tar', ['-xzf', tarball], { cwd: project, timeout: 60_000 });

  installed = join(project, 'node_modules/jarvis-opencode');
  await mkdir(dirname(installed), { recursive: true });
  await rename(join(project, 'package'), installed);
  manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as Manifest;
  for (const name of Object.keys(manifest.dependencies)) await link(name);
  files = (await readdir(installed, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1))
    .sort();
});

afterAll(async () => {
  if (project) await rm(project, { recursive: true, force: true });
});

describe('the tarball', () => {
  it('holds the build, the pages, the examples, the licence, and nothing else', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'package.json',
        'docs/README.md',
        'examples/quickstart.ts',
        ...['index', 'browser', 'testing'].flatMap((name) =>
          ['.js', '.cjs', '.d.ts', '.d.cts'].map((suffix) => `dist/${name}${suffix}`),
        ),
      ]),
    );
    const allowed = [
      /^dist\/[\w.-]+\.(js|cjs|d\.ts|d\.cts)$/,
      /^[A-Z]+\.md$/,
      /^docs\/[\w./-]+\.(md|svg)$/,
      /^examples\/(testing-app\/)?[\w.-]+\.(js|json|ts)$/,
    ];
    const others = files.filter((file) => !allowed.some((pattern) => pattern.test(file)));
    expect(others).toEqual(['LICENSE', 'package.json', 'testing/package.json']);
  });

  it('holds what its pages link to', async () => {
    const pages = await Promise.all(
      files
        .filter((file) => file.endsWith('.md'))
        .map(async (name) => ({ name, markdown: await readFile(join(installed, name), 'utf8') })),
    );
    expect(checkLinks(pages, (path) => files.includes(path))).toEqual([]);
  });

  it('holds no source twice: the code keeps its names and comments, and has no source maps', async () => {
    for (const file of files.filter((name) => name.endsWith('.js'))) {
      expect(await readFile(join(installed, file), 'utf8'), file).not.toContain('sourceMappingURL');
    }
    expect(await readFile(join(installed, 'dist/index.js'), 'utf8')).toContain('JarvisOpenCode');
  });

  it('names no path of the machine it was built on', async () => {
    for (const file of files) {
      expect(await readFile(join(installed, file), 'utf8'), file).not.toContain(root.replace(/\/$/, ''));
    }
  });
});

describe('the entry points', () => {
  it('are the main one, /testing and /package.json', () => {
    expect(Object.keys(manifest.exports)).toEqual(['.', './testing', './package.json']);
  });

  it('load the class from the main one, in a project without msw', async () => {
    const code = `
      import { JarvisOpenCode } from 'jarvis-opencode';
      let msw = true;
      try { import.meta.resolve('msw'); await import('msw'); } catch { msw = false; }
      console.log(JSON.stringify({ type: typeof JarvisOpenCode, start: typeof JarvisOpenCode.start, msw }));
    `;
    expect(await evaluate(code)).toEqual({ type: 'function', start: 'function', msw: false });
  });

  it('load the class without start() under the browser condition', async () => {
    const code = `
      import { JarvisOpenCode } from 'jarvis-opencode';
      const { start, connect } = JarvisOpenCode;
      console.log(JSON.stringify({ start: typeof start, connect: typeof connect }));
    `;
    const loaded = await evaluate(code, '--conditions=browser');
    expect(loaded).toEqual({ start: 'undefined', connect: 'function' });
  });

  it('give the manifest', async () => {
    const code = `
      import manifest from 'jarvis-opencode/package.json' with { type: 'json' };
      console.log(JSON.stringify(manifest.version));
    `;
    expect(await evaluate(code, '--no-warnings')).toBe(manifest.version);
  });

  it('refuse what is not exported', async () => {
    const code = `
      const error = await import('jarvis-opencode/dist/index.js').catch((reason) => reason);
      console.log(JSON.stringify(error.code ?? null));
    `;
    expect(await evaluate(code)).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it('load /testing where msw is installed', async () => {
    await link('msw');
    const code = `
      const names = Object.keys(await import('jarvis-opencode/testing'));
      console.log(JSON.stringify(names.length > 0));
    `;
    expect(await evaluate(code)).toBe(true);
  });

  it('load by require() as the same module that import gives', async () => {
    const code = `
      const { createRequire } = await import('node:module');
      const required = createRequire(import.meta.url)('jarvis-opencode');
      const imported = await import('jarvis-opencode');
      console.log(JSON.stringify(required.JarvisOpenCode === imported.JarvisOpenCode));
    `;
    expect(await evaluate(code, '--no-warnings')).toBe(true);
  });

  it.each([
    ['jarvis-opencode', []],
    ['jarvis-opencode', ['--conditions=browser']],
    ['jarvis-opencode/testing', []],
  ])('keep the names of all classes and functions: %s %j', async (specifier, flags) => {
    const code = `
      import * as surface from '${specifier}';
      const named = Object.entries(surface).filter(([, value]) => typeof value === 'function');
      console.log(JSON.stringify(named.map(([key, value]) => [key, value.name])));
    `;
    const named = (await evaluate(code, ...flags)) as [key: string, name: string][];
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter(([key, name]) => key !== name)).toEqual([]);
  });

  it('import declared dependencies only, msw only in /testing, no ky in a declaration', async () => {
    const packages = (names: Set<string>): string[] =>
      [...names].filter((name) => !/\.(js|d\.ts)$/.test(name) && !name.startsWith('node:'));
    const declared = Object.keys(manifest.dependencies);
    for (const entry of ['index.js', 'browser.js', 'index.d.ts', 'browser.d.ts']) {
      expect(declared, entry).toEqual(expect.arrayContaining(packages(await imports(entry))));
    }
    expect([...declared, 'msw', 'msw/node']).toEqual(
      expect.arrayContaining(packages(await imports('testing.js'))),
    );
    expect(await imports('testing.js')).toContain('msw');
    for (const entry of ['index.d.ts', 'browser.d.ts', 'testing.d.ts']) {
      expect([...(await imports(entry))], entry).not.toContain('ky');
    }
  });
});

describe('an import of the package', () => {
  it('leaves the fetch of Node unloaded, which only a request needs', async () => {
    const code = `
      await import('jarvis-opencode');
      console.log(JSON.stringify(process.moduleLoadList.filter((name) => name.includes('undici/undici'))));
    `;
    expect(await evaluate(code)).toEqual([]);
  });

  it('takes at most 2.1 times the heap of zod, of which it loads all', async () => {
    const heap = async (specifier: string): Promise<number> => {
      const code = `
        gc();
        const before = process.memoryUsage().heapUsed;
        await import('${specifier}');
        gc();
        console.log(JSON.stringify(process.memoryUsage().heapUsed - before));
      `;
      return (await evaluate(code, '--expose-gc')) as number;
    };
    expect((await heap('jarvis-opencode')) / (await heap('zod'))).toBeLessThan(2.1);
  });

  it('loads files that V8 keeps in one byte for each character', async () => {
    const dist = join(installed, 'dist');
    const scripts = (await readdir(dist)).filter((file) => file.endsWith('.js'));
    const texts = await Promise.all(scripts.map((file) => readFile(join(dist, file), 'utf8')));
    // One other character doubles what the whole file takes. The build escapes those of strings, but not those of comments.
    const wide = texts.flatMap((text) => text.match(/^.*[^\0-\xff].*$/gmu) ?? []);
    expect(wide).toEqual([]);
  });
});

describe('the declarations', () => {
  const MAIN = `
    import { JarvisOpenCode, type RepoClient } from 'jarvis-opencode';
    export async function run(): Promise<string> {
      const jarvis = await JarvisOpenCode.start();
      const repo: RepoClient = jarvis.forRepo('/repo');
      // @ts-expect-error A prompt is no number.
      await (await repo.sessions.create()).prompt(1);
      return (await (await repo.sessions.create()).prompt('hello')).text;
    }
  `;
  const TESTING = `
    import { mockOpenCode } from 'jarvis-opencode/testing';
    // @ts-expect-error It takes the text of a prompt.
    mockOpenCode().reply(1);
  `;

  /** What the compiler says of a file of the user's project. */
  async function compile(file: string, source: string, options: object): Promise<string> {
    const folder = await mkdtemp(join(project, 'types-'));
    await writeFile(join(folder, file), source);
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2022', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable', 'ESNext.Disposable'],
      types: [],
      strict: true,
      esModuleInterop: true,
      noEmit: true,
      ...options,
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', folder], { timeout: 120_000 }).catch(
      (failure: { readonly stdout: string }) => failure,
    );
    return stdout;
  }

  it.each([
    ['node10', 'ES2022', 'index.ts'],
    ['node16', 'node16', 'index.cts'],
    ['node16', 'node16', 'index.mts'],
  ])(
    'are checked themselves, without the types of Node: %s, module %s, %s',
    async (moduleResolution, module, file) => {
      expect(await compile(file, MAIN, { moduleResolution, module, skipLibCheck: false })).toBe('');
    },
  );

  it.each([
    ['node10', 'ES2022', 'index.ts'],
    ['node16', 'node16', 'index.cts'],
  ])('of /testing are found: %s, module %s, %s', async (moduleResolution, module, file) => {
    await link('msw');
    // The declarations of msw do not pass as CommonJS.
    expect(await compile(file, TESTING, { moduleResolution, module, skipLibCheck: true })).toBe('');
  });
});

describe('a bundle for Node', () => {
  it('loads as one ESM file, with all its dependencies in it', async () => {
    const outfile = join(project, 'bundle.mjs');
    await build({
      stdin: { contents: `export { JarvisOpenCode } from 'jarvis-opencode';`, resolveDir: project },
      platform: 'node',
      format: 'esm',
      bundle: true,
      outfile,
      logLevel: 'silent',
    });
    const code = `
      const { JarvisOpenCode } = await import(${JSON.stringify(outfile)});
      console.log(JSON.stringify(typeof JarvisOpenCode.start));
    `;
    expect(await evaluate(code)).toBe('function');
  });
});

describe('the browser build', () => {
  it('bundles for a browser, with all its dependencies, without a Node module', async () => {
    const { metafile } = await build({
      stdin: {
        contents: `export { JarvisOpenCode } from 'jarvis-opencode';`,
        resolveDir: project,
      },
      platform: 'browser',
      format: 'esm',
      bundle: true,
      write: false,
      metafile: true,
      external: ['node:*'],
      logLevel: 'silent',
    });
    const inputs = Object.entries(metafile.inputs);
    expect(inputs.some(([path]) => path.endsWith('dist/browser.js'))).toBe(true);
    const outside = inputs.flatMap(([path, { imports: list }]) =>
      list.filter((one) => one.external).map((one) => `${path} → ${one.path}`),
    );
    expect(outside).toEqual([]);
  });

  it('gives a page 115 kB compressed at once, and the rest when it is used', async () => {
    const { metafile, outputFiles } = await build({
      stdin: { contents: `export { JarvisOpenCode } from 'jarvis-opencode';`, resolveDir: project },
      platform: 'browser',
      format: 'esm',
      bundle: true,
      minify: true,
      splitting: true,
      outdir: join(project, 'page'),
      write: false,
      metafile: true,
      logLevel: 'silent',
    });
    const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
    const atOnce = new Set<string>();
    const load = (path: string): void => {
      if (atOnce.has(path)) return;
      atOnce.add(path);
      for (const { path: next, kind } of metafile.outputs[path]?.imports ?? [])
        if (kind === 'import-statement') load(next);
    };
    load(Object.keys(metafile.outputs).find((path) => basename(path) === 'stdin.js') ?? '');
    const bytes = [...atOnce].map((path) => gzipSync(files.get(basename(path)) ?? '', { level: 9 }).length);
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(115_000);
    const later = Object.keys(metafile.outputs).filter((path) => !atOnce.has(path));
    const inputs = later.flatMap((path) => Object.keys(metafile.outputs[path]?.inputs ?? {}));
    const loadedLater = ['node_modules/ky/', 'dist/dialect-', 'dist/fetch-answer-', 'dist/diagnose-'];
    expect(loadedLater.filter((part) => !inputs.some((path) => path.includes(part)))).toEqual([]);
  });
});
