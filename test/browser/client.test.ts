import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { JarvisOpenCode } from 'jarvis-opencode';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { faultProxy } from '../support/fault-proxy.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { text, toolCall } from '../support/model-steps.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';
import { findChromium, launchChromium } from './chromium.js';
import { call, servePage, type PageServer } from './page-server.js';

// The browser entry in a real browser, against a real server. The page is of another origin than the server.

const executable = findChromium();
if (executable === undefined) console.log('Skipped: this machine has no Chromium; CHROMIUM may name one.');

describe.skipIf(executable === undefined)('in a browser', () => {
  let browser: Browser;
  let pages: PageServer;
  let real: RealServerOptions;
  let jarvis: JarvisOpenCode;
  let repo: GitRepo;
  let context: BrowserContext;
  let page: Page;
  let password: string;

  beforeAll(async () => {
    [browser, pages, repo] = await Promise.all([
      launchChromium(executable as string),
      servePage(),
      gitRepo(),
    ]);
    real = await realServerOptions({ config: { permission: { bash: 'ask' } } });
    const cors = [`http://app.example.test:${pages.port}`];
    jarvis = await JarvisOpenCode.start({ ...real.startOptions, cors, permissions: 'ask' });
    password = atob((jarvis.server.authorization ?? '').slice('Basic '.length)).slice('opencode:'.length);
  });
  afterAll(async () => {
    await jarvis?.close();
    await real?.dispose();
    await browser?.close();
    await pages?.[Symbol.asyncDispose]();
    await repo?.dispose();
  });

  beforeEach(async () => {
    real.model.use(() => [text('ok')]);
    context = await browser.newContext();
    page = await context.newPage();
    await open('127.0.0.1');
  });
  afterEach(async () => {
    await call(page, 'close');
    await context.close();
  });

  /** Opens the page under a name of this machine, which makes its origin. */
  async function open(hostname: string): Promise<void> {
    await page.goto(`http://${hostname}:${pages.port}/`);
    await page.waitForFunction('globalThis.calls');
  }

  it('streams the text of a turn in pieces', async () => {
    // The model goes on when the page shows how its answer begins.
    real.model.use(async function* () {
      yield text('one');
      await page.waitForFunction(`document.title === 'one'`);
      yield text(' two three');
    });
    expect(await call(page, 'connect', { url: jarvis.server.url, password })).toBe('1.18.33');
    const seen = await call(page, 'turn', repo.directory, 'count');
    expect(seen).toMatchObject({ text: 'one two three', asked: [] });
    expect(seen.pieces).toBeGreaterThan(1);
  });

  it('answers the permission and the question of a turn', async () => {
    const colour = { question: 'Which?', header: 'Colour', options: [{ label: 'blue', description: 'b' }] };
    real.model.use(({ step }) => {
      if (step === 0) return [toolCall('bash', { command: 'echo allowed', description: 'Say it' })];
      return step === 1 ? [toolCall('question', { questions: [colour] })] : [text('done')];
    });
    await call(page, 'connect', { url: jarvis.server.url, password });
    const seen = await call(page, 'turn', repo.directory, 'ask');
    expect(seen).toMatchObject({ text: 'done', asked: ['bash', 'question'] });
    expect(seen.output).toEqual(['allowed\n', expect.stringContaining('blue')]);
  });

  it('types into a terminal and reads what it prints', async () => {
    await call(page, 'connect', { url: jarvis.server.url, password });
    expect(await call(page, 'terminal', repo.directory, 'echo re""ady', 'ready')).toBe(1000);
  });

  it('says that events may be missing when their connection was cut, and works on', async () => {
    await using proxy = await faultProxy(jarvis.server.url);
    await call(page, 'connect', { url: proxy.url, password });
    await call(page, 'watch');
    const gap = call(page, 'nextGap');
    proxy
      .connections()
      .find(({ request }) => request === 'GET /global/event')
      ?.cut();
    expect(await gap).toBe('reconnect');
    expect(await call(page, 'turn', repo.directory, 'again')).toMatchObject({ text: 'ok' });
  });

  it('works on a page of an origin that the server allows', async () => {
    await open('app.example.test');
    expect(await call(page, 'connect', { url: jarvis.server.url, password })).toBe('1.18.33');
    expect(await call(page, 'turn', repo.directory, 'hi')).toMatchObject({ text: 'ok' });
  });

  it('names CORS among the causes on a page of an origin that the server does not allow', async () => {
    const other = await servePage();
    try {
      await page.goto(`http://app.example.test:${other.port}/`);
      await page.waitForFunction('globalThis.calls');
      const failure = await call(page, 'failure', jarvis.server.url);
      expect(failure).toMatchObject({ code: 'CONNECTION_FAILED', isRedirect: false });
      expect(failure.message).toContain('CORS');
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it('names a redirect as the cause', async () => {
    const redirecting = createServer((request, response) => {
      response
        .writeHead(302, {
          location: '/elsewhere',
          'access-control-allow-origin': request.headers.origin ?? '*',
          'access-control-allow-headers': '*',
        })
        .end();
    }).listen(0, '127.0.0.1');
    await once(redirecting, 'listening');
    try {
      const url = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}`;
      expect(await call(page, 'failure', url)).toMatchObject({ code: 'CONNECTION_FAILED', isRedirect: true });
    } finally {
      redirecting.closeAllConnections();
      redirecting.close();
    }
  });

  it('runs the mock in a service worker', async () => {
    const { text: answer, requests } = await call(page, 'mock');
    expect(answer).toBe('from the worker');
    expect(requests).toBeGreaterThan(2);
  });
});
