import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { retry } from '../../src/testing/script/steps.js';
import { text, toolCall } from '../support/model-steps.js';
import { packedProject } from '../support/packed-project.js';
import { realServerOptions } from '../support/real-opencode.js';

// The quickstart of the README as a newcomer runs it, in an empty folder with the packed tarball. Needs `npm run build` first.

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

it('answers and says that the model is asked again, as it stands in the README', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const code = /Put this into `ask\.mjs`:\n\n```js\n([^`]*(?:`[^`]+)*?)\n```\n/.exec(readme)?.[1];
  const command = /\nnode (ask\.mjs) '([^']+)'\n/.exec(readme);
  expect(code).toContain('JarvisOpenCode.start()');
  expect(command).not.toBeNull();
  const [, file = '', question = ''] = command ?? [];

  const manifest = await readFile(join(root, 'package.json'), 'utf8');
  const { dependencies } = JSON.parse(manifest) as { dependencies: object };
  await using project = await packedProject([...Object.keys(dependencies), 'opencode-ai']);
  await writeFile(join(project.directory, file), code ?? '');

  let isRefused = false;
  await using real = await realServerOptions({
    script: ({ prompt, step }) => {
      if (step > 0) return [text(`You asked: ${prompt}`)];
      if (isRefused) return [toolCall('read', { filePath: file })];
      isRefused = true;
      return [retry('busy', { afterMs: 1 })];
    },
  });
  const config = JSON.stringify(real.startOptions.config);
  const { stdout } = await run(process.execPath, [file, question], {
    cwd: project.directory,
    env: { ...real.env, OPENCODE_CONFIG_CONTENT: config },
    timeout: 100_000,
  });
  expect(stdout).toMatch(/\[asking the model again: .+\]/);
  expect(stdout).toContain('[read]');
  expect(stdout).toContain(`You asked: ${question}`);
  expect(stdout).toMatch(/\(\d+ tokens written, \$[\d.]+\)/);
});
