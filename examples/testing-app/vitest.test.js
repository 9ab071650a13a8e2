import { basename } from 'node:path';
import * as kit from 'jarvis-opencode/testing';
import { setupServer } from 'msw/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from './app.js';

const opencode = await kit.mockOpenCode(); // or: await kit.realOpenCode()
const network = setupServer(...opencode.handlers);
let app, url;

beforeAll(async () => {
  network.listen({ onUnhandledRequest: 'bypass' });
  const repos = { shop: await opencode.repo('shop'), blog: await opencode.repo('blog') };
  app = createApp(await opencode.client(), repos).listen(0, '127.0.0.1');
  await new Promise((resolve) => app.once('listening', resolve));
  url = `http://127.0.0.1:${app.address().port}`;
});
afterAll(async () => {
  app.close();
  await opencode.close();
  network.close();
});

const ask = (name, question) =>
  fetch(`${url}/${name}`, { method: 'POST', body: JSON.stringify({ question }) });

test('a question is answered in its own repository', async () => {
  opencode.script(({ prompt, directory }) => [kit.text(`${basename(directory)} was asked: ${prompt}`)]);
  const answers = ['shop', 'blog'].map(async (name) => (await ask(name, 'Who are you?')).json());
  expect(await Promise.all(answers)).toEqual([
    { answer: 'shop was asked: Who are you?' },
    { answer: 'blog was asked: Who are you?' },
  ]);
});

test('a failure of the model is told', async () => {
  opencode.script(() => [kit.fail('APIError', 'no credit')]);
  expect((await ask('shop', 'Who are you?')).status).toBe(502);
});
