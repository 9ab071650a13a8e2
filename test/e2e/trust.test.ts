import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RepoPathError } from 'jarvis-opencode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realJarvis } from '../support/real-jarvis.js';

// A repository whose configuration runs programs. Each leaves a file of its own behind when it has run.

let traces: string;

beforeEach(() => {
  traces = mkdtempSync(join(tmpdir(), 'jarvis-trust-'));
});

afterEach(() => rmSync(traces, { recursive: true, force: true }));

const leave = (name: string): string =>
  `require('node:fs').writeFileSync(${JSON.stringify(join(traces, name))}, '');`;

const mcp = (name: string): string =>
  JSON.stringify({
    mcp: { [name]: { type: 'local', command: [process.execPath, '-e', leave(name)], enabled: true } },
  });

const module = (name: string): string =>
  `import { writeFileSync } from 'node:fs';
   writeFileSync(${JSON.stringify(join(traces, name))}, '');
   export default { description: 'x', args: {}, execute: async () => 'x' };`;

const configuration = (): Record<string, string> => ({
  'opencode.json': mcp('mcp-of-the-root'),
  '.opencode/opencode.json': mcp('mcp-of-the-folder'),
  '.opencode/tool/evil.js': module('tool'),
  '.opencode/command/evil.md': 'evil',
  '.opencode/agent/evil.md': '---\ndescription: evil\n---\nevil',
  'AGENTS.md': 'Instructions of the repository.',
});

const plugin = (): Record<string, string> => ({ '.opencode/plugin/evil.js': module('plugin') });

describe('the configuration of a repository', () => {
  it('runs the configuration of a repository by default', async () => {
    await using world = await realJarvis();
    const { directory } = await world.repo({ files: { ...configuration(), ...plugin() } });
    const repo = world.jarvis.forRepo(directory);
    await (await repo.sessions.create()).prompt('hi');
    expect(readdirSync(traces).sort()).toEqual(['mcp-of-the-folder', 'mcp-of-the-root', 'plugin', 'tool']);
  });

  it('neither runs nor follows a configuration that is not trusted', async () => {
    await using world = await realJarvis({ trustProjectConfig: false });
    const { directory, git } = await world.repo({ files: configuration() });
    const repo = world.jarvis.forRepo(directory);
    await (await repo.sessions.create()).prompt('hi');
    expect(await repo.mcp.status()).toEqual({});
    expect((await repo.commands.list()).map(({ name }) => name)).not.toContain('evil');
    expect((await repo.agents.list()).map(({ name }) => name)).not.toContain('evil');
    expect(await repo.tools.ids()).not.toContain('evil');
    expect(JSON.stringify(world.model.requests().map(({ body }) => body))).not.toContain('Instructions of');
    expect(readdirSync(traces)).toEqual([]);
    expect(await git('status', '--short')).toBe('');
  });

  it('refuses an untrusted configuration with plugins before it sends anything', async () => {
    await using world = await realJarvis({ trustProjectConfig: false });
    const refused: string[] = [];
    for (const files of [
      plugin(),
      { 'opencode.json': '{"plugin": ["./evil.js"]}', 'evil.js': module('plugin') },
    ]) {
      const { directory } = await world.repo({ files: { ...files, 'sub/README.md': '' } });
      refused.push(directory);
      for (const path of [directory, join(directory, 'sub')]) {
        expect(() => world.jarvis.forRepo(path)).toThrow(RepoPathError);
        expect(() => world.jarvis.forRepo(path)).toThrow(/plugins of its own/);
      }
    }
    const { directory } = await world.repo();
    const all = [...refused, join(directory, 'missing'), directory];
    expect(await world.jarvis.map(all, async (repo) => (await repo.path()).directory)).toMatchObject([
      { status: 'rejected', reason: { name: 'RepoPathError', reason: 'plugins' } },
      { status: 'rejected', reason: { name: 'RepoPathError', reason: 'plugins' } },
      { status: 'rejected', reason: { name: 'RepoPathError', reason: 'not-found' } },
      { status: 'fulfilled', value: directory },
    ]);
    expect(readdirSync(traces)).toEqual([]);
  });
});
