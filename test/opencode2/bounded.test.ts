import { readFileSync } from 'node:fs';
import { JarvisOpenCode, type IdlePolicy } from 'jarvis-opencode';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fakeClock } from '../support/fake-clock.js';
import { mcpServer } from '../support/fixtures.js';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { processesWith } from '../support/processes.js';
import { realServerOptions, type RealServerOptions } from '../support/real-opencode.js';

const REPOSITORIES = 20;
const MAX_LOADED = 8;
const IDLE_MS = 600_000;
const LONG = { timeout: 90_000, interval: 200 };

describe('a real OpenCode 2 with twenty repositories of two MCP servers each', () => {
  const clock = fakeClock();
  const repos: GitRepo[] = [];
  let real: RealServerOptions;
  beforeAll(async () => {
    real = await realServerOptions({ config: { mcp: { one: mcpServer(), two: mcpServer() } } });
    for (let made = 0; made < REPOSITORIES; made += 1) repos.push(await gitRepo());
  });
  afterAll(async () => {
    for (const repo of repos) await repo.dispose();
    await real?.dispose();
  });

  function start(idle: IdlePolicy | false): Promise<JarvisOpenCode> {
    const command = process.env['OPENCODE2_BIN'] ?? '';
    return JarvisOpenCode.start({
      ...real.startOptions,
      command,
      experimental: { opencode2: true },
      idle,
      clock,
    });
  }
  /** Uses every repository, and returns how many instances were loaded at a time at most. */
  async function useAll(jarvis: JarvisOpenCode): Promise<number> {
    let most = 0;
    const directories = repos.map(({ directory }) => directory);
    await jarvis.map(directories, async (repo) => {
      await repo.sessions.list();
      most = Math.max(most, loadedOf(jarvis));
    });
    return most;
  }
  const loadedOf = (jarvis: JarvisOpenCode): number => jarvis.repos().filter(({ loaded }) => loaded).length;
  /** The MCP servers that run. */
  const children = (): number => processesWith(real.marker).filter((pid) => isMcpServer(pid)).length;

  it('keeps at most as many loaded as the limit says, and none after the idle time', async () => {
    await using jarvis = await start({ idleTimeoutMs: IDLE_MS, maxLoaded: MAX_LOADED });
    const most = await useAll(jarvis);
    expect(most).toBeLessThanOrEqual(MAX_LOADED);
    await vi.waitFor(() => expect(children()).toBeGreaterThan(MAX_LOADED), LONG);
    const kept = children();
    await vi.waitFor(() => expect(jarvis.repos().flatMap(({ holds }) => holds)).toEqual([]), LONG);
    clock.advance(IDLE_MS + 1);
    await vi.waitFor(() => expect([loadedOf(jarvis), children()]).toEqual([0, 0]), LONG);
    console.log(`with the limit: at most ${most} loaded, ${kept} MCP servers, 0 after the idle time`);
  });

  it('keeps all of them where nobody disposes', async () => {
    await using jarvis = await start(false);
    await useAll(jarvis);
    await vi.waitFor(() => expect(children()).toBe(2 * REPOSITORIES), LONG);
    clock.advance(IDLE_MS + 1);
    expect([loadedOf(jarvis), children()]).toEqual([REPOSITORIES, 2 * REPOSITORIES]);
    console.log(`without: ${REPOSITORIES} loaded, ${children()} MCP servers, also after the idle time`);
  });
});

function isMcpServer(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('mcp-server');
  } catch {
    return false;
  }
}
