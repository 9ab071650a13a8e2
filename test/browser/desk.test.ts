import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../support/processes.js';
import { findChromium, launchChromium } from './chromium.js';
import { addressOf, startDesk } from './desk-process.js';

// The desk as a user runs it: `npm run desk`, with its scripted model, in a real browser.

const executable = findChromium();
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PATIENCE = { timeout: 60_000 };
const HOSTILE = `<img src="x" onerror="globalThis.isHarmed = true"><script>globalThis.isHarmed = true</script>`;

describe('npm run desk', () => {
  it('says that its port is taken, and starts nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const desk = startDesk('--port', String(port));
    let complaint = '';
    desk.stderr?.on('data', (data: Buffer) => (complaint += data.toString()));
    const [code] = (await once(desk, 'close')) as [number];
    server.close();
    expect(complaint).toBe(`Port ${port} is taken. Give another one with --port, or leave it out.\n`);
    expect(code).toBe(1);
  });
});

describe.skipIf(executable === undefined)('the desk in a browser', () => {
  let desk: ChildProcess;
  let browser: Browser;
  let page: Page;
  let url: string;
  let origin: string;

  beforeAll(async () => {
    desk = startDesk();
    url = await addressOf(desk);
    origin = new URL(url).origin;
    browser = await launchChromium(executable as string);
    page = await (await browser.newContext()).newPage();
    await page.goto(url);
    await page.getByRole('row', { name: /shop/ }).waitFor(PATIENCE);
  });
  afterAll(async () => {
    await browser?.close();
    if (desk?.exitCode === null) {
      desk.kill('SIGKILL');
      await once(desk, 'close');
    }
  });

  const pid = async (): Promise<number> =>
    Number(/pid (\d+)/.exec((await page.locator('header').textContent()) ?? '')?.[1]);

  it('tells nothing to whoever has not the token', async () => {
    const answers = await Promise.all([
      fetch(`${origin}/`),
      fetch(`${origin}/?token=0000`),
      fetch(`${origin}/api/state`),
      fetch(`${origin}/nothing`),
      fetch(`${origin}/api/crash`, { method: 'POST', body: '{}', headers: { origin } }),
    ]);
    for (const answer of answers) expect([answer.status, await answer.text()]).toEqual([401, '']);
  });

  it('keeps the token out of the address bar', () => {
    expect(page.url()).toBe(`${origin}/`);
  });

  it('shows what the agents of the script do', async () => {
    await expect
      .poll(() => page.locator('.answer').allTextContents(), PATIENCE)
      .toContainEqual(expect.stringContaining('It says so in its README'));
    await expect.poll(() => page.locator('.pill.busy, .pill.idle').count(), PATIENCE).toBeGreaterThan(0);
    expect(await page.locator('.decisions li').count()).toBeGreaterThan(0);
  });

  it('lets the user answer a permission and a question', async () => {
    await page.getByRole('button', { name: 'Allow once' }).first().click(PATIENCE);
    await page.getByRole('button', { name: 'Blue' }).first().click(PATIENCE);
    await expect
      .poll(() => page.locator('.answer').allTextContents(), PATIENCE)
      .toContainEqual(expect.stringContaining('Noted. I use that colour'));
  });

  it('shows hostile text as text, and the answer to it in a second tab too', async () => {
    await page.getByLabel('Ask the agent of blog').fill(HOSTILE);
    await page.getByLabel('Ask the agent of blog').press('Enter');
    const tab = await page.context().newPage();
    await tab.goto(url);
    for (const each of [page, tab]) {
      await expect.poll(() => each.locator('.prompt').allTextContents(), PATIENCE).toContain(HOSTILE);
      await expect
        .poll(() => each.locator('.answer').allTextContents(), PATIENCE)
        .toContain(`You said: ${HOSTILE}`);
      expect(await each.evaluate('globalThis.isHarmed')).toBeUndefined();
    }
    await tab.close();
  });

  it('shows why an instance is not disposed while it is held', async () => {
    const lease = page.getByRole('row', { name: /blog/ }).locator('.hold', { hasText: 'lease' });
    await page.getByRole('button', { name: 'Hold blog' }).click();
    await lease.waitFor(PATIENCE);
    await page.getByRole('button', { name: 'Dispose blog' }).click();
    await expect
      .poll(() => page.getByRole('alert').textContent(), PATIENCE)
      .toContain('lease a tab of the desk');
    await page.getByRole('button', { name: 'Hold blog' }).click();
    await expect.poll(() => lease.count(), PATIENCE).toBe(0);
  });

  it('goes on after a crash of the server', async () => {
    const before = await pid();
    await page.getByRole('button', { name: 'Crash' }).click();
    await expect.poll(pid, PATIENCE).not.toBe(before);
    await expect.poll(() => page.locator('header .pill').textContent(), PATIENCE).toContain('ready');
  });

  it.each(['light', 'dark'] as const)('has no fault that axe finds, in %s colours', async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(AXE);
    const { violations, passes } = await page.evaluate<AxeResults>('axe.run()');
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual(
      [],
    );
    expect(passes.length).toBeGreaterThan(20);
  });

  it('is used by the keyboard alone', async () => {
    const focused = (what: string): Promise<string> =>
      page.evaluate<string>(`document.activeElement.${what}`);
    /** Goes from control to control until this one has the focus, which can be seen. */
    const tabTo = async (label: string): Promise<void> => {
      const step = async (): Promise<string> => {
        const at = await focused("getAttribute('aria-label')");
        if (at !== label) await page.keyboard.press('Tab');
        return at;
      };
      await expect.poll(step, { ...PATIENCE, interval: 10 }).toBe(label);
      expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
    };
    await tabTo('Hold blog');
    for (const isHeld of ['true', 'false']) {
      await page.keyboard.press('Space');
      await expect.poll(() => focused("getAttribute('aria-pressed')"), PATIENCE).toBe(isHeld);
    }
    await tabTo('Ask the agent of blog');
    await page.keyboard.type('hello from the keyboard');
    await page.keyboard.press('Enter');
    await expect
      .poll(() => page.locator('.answer').allTextContents(), PATIENCE)
      .toContain('You said: hello from the keyboard');
  });

  it('is usable at 390 px without scrolling sideways', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    const [content, width] = await page.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    expect(content).toBe(width);
  });

  it('leaves nothing behind when it is closed by Ctrl-C', async () => {
    const server = await pid();
    expect(isAlive(server)).toBe(true);
    desk.kill('SIGINT');
    const [code] = (await once(desk, 'close')) as [number];
    expect([code, isAlive(server)]).toEqual([0, false]);
    await expect
      .poll(() => page.locator('header .pill').textContent(), PATIENCE)
      .toContain('no connection to the desk');
  });
});
