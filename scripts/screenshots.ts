/**
 * Makes the pictures of the desk in docs/images, at two widths, light and dark: `npm run docs:screenshots`. Needs Chromium.
 */
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findChromium, launchChromium } from '../test/browser/chromium.js';
import { addressOf, startDesk } from '../test/browser/desk-process.js';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The script of the desk has then asked for something in every repository. */
const PLAY_MS = 26_000;

const executable = findChromium();
if (executable === undefined) throw new Error('This machine has no Chromium; CHROMIUM may name one.');
const folder = join(root, 'docs/images');
await mkdir(folder, { recursive: true });
const desk = startDesk();
desk.stderr?.pipe(process.stderr);
const url = await addressOf(desk);
const browser = await launchChromium(executable);
try {
  const page = await browser.newPage();
  await page.goto(url);
  await sleep(PLAY_MS);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 900 });
      const path = join(folder, `desk-${colorScheme}-${width}.png`);
      await page.screenshot({ path, fullPage: width < 500 });
      console.log(path);
    }
  }
} finally {
  await browser.close();
  desk.kill('SIGINT');
  await once(desk, 'close');
}
