import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import type { Calls } from './page.js';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** A server on loopback for the page of the tests. */
export interface PageServer extends AsyncDisposable {
  readonly port: number;
}

/** Bundles `page.ts` with the built browser entries and serves it. Needs `npm run build` first. */
export async function servePage(): Promise<PageServer> {
  const { outputFiles } = await build({
    entryPoints: [file('page.ts')],
    bundle: true,
    logLevel: 'error',
    write: false,
    format: 'esm',
    platform: 'browser',
    alias: {
      'jarvis-opencode': file('../../dist/browser.js'),
      'jarvis-opencode/testing': file('../../dist/testing-browser.js'),
    },
  });
  const script = outputFiles[0]?.text ?? '';
  const worker = await readFile(file('../../node_modules/msw/lib/mockServiceWorker.js'), 'utf8');
  const html = '<!doctype html><title>jarvis-opencode</title><script type="module" src="/page.js"></script>';
  const answers: Readonly<Record<string, readonly [type: string, body: string]>> = {
    '/': ['text/html', html],
    '/page.js': ['text/javascript', script],
    '/mockServiceWorker.js': ['text/javascript', worker],
  };
  const server = createServer((request, response) => {
    const [type, body] = answers[request.url ?? ''] ?? [];
    if (type === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': type }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Calls a function of `page.ts` in the page. */
export function call<Name extends keyof Calls>(
  page: Page,
  name: Name,
  ...args: Parameters<Calls[Name]>
): Promise<Awaited<ReturnType<Calls[Name]>>> {
  const source = `globalThis.calls[${JSON.stringify(name)}](...${JSON.stringify(args)})`;
  return page.evaluate(source);
}
