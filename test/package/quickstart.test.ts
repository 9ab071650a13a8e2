import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { retry } from '../../src/testing/script/steps.js';
import { text, toolCall } from '../support/model-steps.js';
import { packedProject, type PackedProject } from '../support/packed-project.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';

// Code of the documentation as a newcomer runs it, in an empty folder with the packed tarball. Needs `npm run build` first.

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

let project: PackedProject;
beforeAll(async () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: object };
  project = await packedProject([...Object.keys(dependencies), 'opencode-ai']);
});
afterAll(() => project?.[Symbol.asyncDispose]());

/** The first block of JavaScript after a text of the page. */
function blockAfter(page: string, words: string): string {
  const markdown = read(page);
  const code = markdown.includes(words)
    ? markdown.slice(markdown.indexOf(words)).split('```js\n')[1]
    : undefined;
  if (code === undefined) throw new Error(`${page} has no block after ${words}`);
  return code.slice(0, code.indexOf('\n```'));
}

/** What a file prints that stands alone in the project; it uses the configuration of the user. */
async function output(
  real: RealServerOptions,
  file: string,
  code: string,
  ...args: string[]
): Promise<string> {
  await writeFile(join(project.directory, file), code);
  const env = { ...real.env, OPENCODE_CONFIG_CONTENT: JSON.stringify(real.startOptions.config) };
  const { stdout } = await run(process.execPath, [file, ...args], {
    cwd: project.directory,
    env,
    timeout: 100_000,
  });
  return stdout;
}

describe('the quickstart of the README', () => {
  it('answers and says that the model is asked again', async () => {
    const [, file = '', question = ''] = /\nnode (ask\.mjs) '([^']+)'\n/.exec(read('README.md')) ?? [];
    let isRefused = false;
    await using real = await realServerOptions({
      script: ({ prompt, step }) => {
        if (step > 0) return [text(`You asked: ${prompt}`)];
        if (isRefused) return [toolCall('read', { filePath: file })];
        isRefused = true;
        return [retry('busy', { afterMs: 1 })];
      },
    });
    const stdout = await output(real, file, blockAfter('README.md', 'Put this into `ask.mjs`'), question);
    expect(stdout).toMatch(/\[asking the model again: .+\]/);
    expect(stdout).toContain('[read]');
    expect(stdout).toContain(`You asked: ${question}`);
    expect(stdout).toMatch(/\(\d+ tokens written, \$[\d.]+\)/);
  });
});

describe('the CommonJS module of the guide', () => {
  it('starts a server and closes it', async () => {
    await using real = await realServerOptions();
    const stdout = await output(real, 'app.cjs', blockAfter('docs/embedding.md', '## CommonJS'));
    expect(stdout).toMatch(/^1\.18\.\d+\n$/);
  });
});
