import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const source = new URL('../../../../src/app/platform/debug-logger.ts', import.meta.url);
const script = `import(${JSON.stringify(source.href)}).then(({ debugLogger }) => {
  const logger = debugLogger();
  logger?.warn('something happened', { at: 1 });
  logger?.info('ready');
  console.log(typeof logger);
})`;

/** What a process writes in which this is the environment's NODE_DEBUG. */
async function outputWith(NODE_DEBUG: string): Promise<{ stdout: string; stderr: string }> {
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const env = { ...process.env, NODE_DEBUG, NODE_OPTIONS: '' };
  return promisify(execFile)(process.execPath, ['--import', 'tsx', '--eval', script], { cwd, env });
}

describe('debugLogger()', () => {
  it('writes to stderr where NODE_DEBUG names the library', async () => {
    const { stdout, stderr } = await outputWith('jarvis-opencode');
    expect(stdout).toBe('object\n');
    expect(stderr).toMatch(/^JARVIS-OPENCODE \d+: warn something happened \{ at: 1 \}$/m);
    expect(stderr).toMatch(/^JARVIS-OPENCODE \d+: info ready$/m);
  });

  it('is no logger where NODE_DEBUG names another', async () => {
    expect(await outputWith('http')).toMatchObject({ stdout: 'undefined\n' });
  });
});
