import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { fakeServer } from '../support/fixtures.js';
import { packedProject, type PackedProject } from '../support/packed-project.js';

// The packed library in an application that Vite's development server renders. Needs `npm run build` first.

/** What the application answers to a request. */
interface Answer {
  readonly edit: number;
  readonly pid: number;
  readonly isInstance: boolean;
  readonly isJarvisError: boolean;
  readonly code: string;
  readonly warnings: readonly string[];
}

interface Application {
  /** Saves the module with another text, so that Vite evaluates it again, and requests it. */
  edit(number: number): Promise<Answer>;
  /** The library as the application has it now. */
  library(): Promise<object>;
}

let project: PackedProject;

beforeAll(async () => {
  const { dependencies } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { readonly dependencies: Readonly<Record<string, string>> };
  project = await packedProject(Object.keys(dependencies));
});

afterAll(() => project[Symbol.asyncDispose]());

/** The module of an application that makes its client once, and asks it for what fails. */
function source(edit: number, make: string): string {
  return `
    import { JarvisOpenCode, RepoPathError, isJarvisError } from 'jarvis-opencode';
    const warnings: string[] = [];
    const ignore = (): void => undefined;
    const logger = { debug: ignore, info: ignore, warn: (line: string) => warnings.push(line), error: ignore };
    const jarvis = await JarvisOpenCode.${make};
    (globalThis.openClients ??= new Set()).add(jarvis);
    export function answer(): object {
      try {
        jarvis.forRepo('relative');
      } catch (error) {
        return {
          edit: ${edit},
          pid: jarvis.server.pid,
          isInstance: error instanceof RepoPathError,
          isJarvisError: isJarvisError(error),
          code: error.code,
          warnings,
        };
      }
    }
  `;
}

/** @param make - how the application makes its client, from `options`. */
async function application(name: string, make: string, isBundled: boolean): Promise<Application> {
  const file = join(project.directory, `${name}.ts`);
  const library = join(project.directory, `${name}-library.ts`);
  await writeFile(library, `export * from 'jarvis-opencode';`);
  const vite = await createServer({
    root: project.directory,
    configFile: false,
    appType: 'custom',
    logLevel: 'error',
    // What a test changes it says itself.
    server: { middlewareMode: true, hmr: false, ws: false, watch: null },
    optimizeDeps: { noDiscovery: true },
    ssr: isBundled ? { noExternal: ['jarvis-opencode'] } : {},
  });
  onTestFinished(async () => {
    for (const client of (globalThis as { openClients?: Set<{ close(): Promise<void> }> }).openClients ?? [])
      await client.close();
    await vite.close();
  });
  const url = await serve(vite, file);
  return {
    edit: async (number) => {
      await writeFile(file, source(number, make));
      vite.moduleGraph.invalidateAll();
      const response = await fetch(url);
      return (await response.json()) as Answer;
    },
    library: () => vite.ssrLoadModule(library),
  };
}

/** An HTTP server on loopback with Vite as its middleware, which answers with what the module says. */
async function serve(vite: ViteDevServer, file: string): Promise<string> {
  const http = createHttpServer((request, response) => {
    vite.middlewares(request, response, () => {
      void vite.ssrLoadModule(file).then(
        (module) => response.end(JSON.stringify((module['answer'] as () => object)())),
        (error: unknown) => response.writeHead(500).end(JSON.stringify({ failure: String(error) })),
      );
    });
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(() => void http.close());
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
}

function optionsOf(name: string): string {
  return `{
    command: ${JSON.stringify(fakeServer('healthy'))},
    dataDir: ${JSON.stringify(join(project.directory, `${name}-data`))},
    health: false,
    logger,
  }`;
}

describe('an application that Vite renders in development', () => {
  it.each([
    ['loads as a package', 'external', false],
    ['evaluates again with it', 'bundled', true],
  ])(
    'has one server and errors that are recognised after three edits, with a library that Vite %s',
    async (_what, name, isBundled) => {
      const app = await application(name, `shared(${JSON.stringify(name)}, ${optionsOf(name)})`, isBundled);
      const first = await app.library();
      const answers = [await app.edit(0), await app.edit(1), await app.edit(2), await app.edit(3)];
      const { pid } = answers[0] as Answer;
      expect(pid).toBeGreaterThan(0);
      expect(answers).toEqual(
        [0, 1, 2, 3].map((edit) => ({
          edit,
          pid,
          isInstance: true,
          isJarvisError: true,
          code: 'REPO_PATH',
          warnings: [],
        })),
      );
      const classes = [first, await app.library()].map(
        (library) => (library as { JarvisError: unknown }).JarvisError,
      );
      expect(classes[0] === classes[1]).toBe(!isBundled);
    },
  );

  it.each([
    ['loads as a package', 'external-start', false],
    ['evaluates again with it', 'bundled-start', true],
  ])(
    'is warned of each further server that start() starts after an edit, with a library that Vite %s',
    async (_what, name, isBundled) => {
      const app = await application(name, `start(${optionsOf(name)})`, isBundled);
      const answers = [await app.edit(0), await app.edit(1), await app.edit(2)];
      expect(new Set(answers.map(({ pid }) => pid)).size).toBe(3);
      // The servers share a data directory, of which they warn too.
      const another = new RegExp(`${name}\\.ts:\\d+:\\d+ starts another server`);
      const warned = answers.map(({ warnings }) => warnings.filter((text) => another.test(text)).length);
      expect(warned).toEqual([0, 1, 1]);
    },
  );
});
