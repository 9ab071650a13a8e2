import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  JarvisOpenCode,
  UnsupportedOperationError,
  UnsupportedServerError,
  type StartOptions,
} from 'jarvis-opencode';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { gitRepo, type GitRepo } from '../support/git-repo.js';
import { startHost } from '../support/host-process.js';
import { text, toolCall } from '../support/model-steps.js';
import { opencodeBinary } from '../support/opencode-binary.js';
import { processesWith } from '../support/processes.js';
import { realServerOptions, type RealServerOptions, type RealServerSetup } from '../support/real-opencode.js';

const command = process.env['OPENCODE2_BIN'] ?? '';
const experimental = { opencode2: true };
/** An MCP server that does nothing, and does not end when it is asked to. */
const stubborn = {
  type: 'local',
  command: [
    'node',
    '-e',
    "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); process.stdin.resume();",
  ],
};

describe('a real OpenCode 2 as a process', () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function setup(options: RealServerSetup = {}): Promise<{
    readonly real: RealServerOptions;
    readonly start: StartOptions;
    readonly repo: GitRepo;
  }> {
    const real = await realServerOptions(options);
    cleanups.push(() => real.dispose());
    const repo = await gitRepo();
    cleanups.push(() => repo.dispose());
    return { real, start: { ...real.startOptions, command, experimental }, repo };
  }

  it('leaves no process when the host is killed in a turn, with a tool and an MCP server at work', async () => {
    const script = (): ReturnType<typeof toolCall>[] => [
      toolCall('shell', { command: 'sleep 300', description: 'Wait' }),
    ];
    const { real, start, repo } = await setup({ script, config: { mcp: { stubborn } } });
    const host = startHost(
      `const jarvis = await start();
       const session = await jarvis.forRepo(${JSON.stringify(repo.directory)}).sessions.create();
       for await (const step of session.stream('Go')) if (step.type === 'tool' && step.status === 'running') say('working');`,
      { options: start },
    );
    await host.hears('working');
    await vi.waitFor(() => expect(processesWith(real.marker).length).toBeGreaterThan(2), { timeout: 10_000 });
    host.kill('SIGKILL');
    await host.ended;
    await vi.waitFor(() => expect(processesWith(real.marker)).toEqual([]), { timeout: 5_000 });
  });

  it('ends with all it runs at close(), and says so of its state', async () => {
    const { real, start, repo } = await setup({ config: { mcp: { stubborn } } });
    const jarvis = await JarvisOpenCode.start(start);
    await jarvis.forRepo(repo.directory).warm();
    await jarvis.close();
    expect(jarvis.server.state).toBe('stopped');
    expect(processesWith(real.marker)).toEqual([]);
  });

  it('is refused without the option that it is an experiment, and where OpenCode 1 is asked for', async () => {
    const { start } = await setup();
    const { experimental: _, ...plain } = start;
    for (const options of [plain, { ...start, opencode: '1' } as const]) {
      const error = await JarvisOpenCode.start(options).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(UnsupportedServerError);
      expect((error as UnsupportedServerError).found).toMatch(/^2\.0\.14/);
    }
  });

  it('is what is asked for when a binary of OpenCode 1 is found', async () => {
    const { start } = await setup();
    const starting = JarvisOpenCode.start({ ...start, command: opencodeBinary(), opencode: '2' });
    await expect(starting).rejects.toMatchObject({ name: 'UnsupportedServerError', found: '1.18.33' });
  });

  it('takes a client that knows its password, and says to one that does not what it may be', async () => {
    const { start, repo } = await setup({ script: () => [text('Hello.')] });
    await using owner = await JarvisOpenCode.start({ ...start, password: 'the password' });
    const { url } = owner.server;
    await using guest = await JarvisOpenCode.connect({ url, password: 'the password', experimental });
    expect(guest.server).toMatchObject({ opencode: 2, isMeasured: true });
    const session = await guest.forRepo(repo.directory).sessions.create();
    expect((await session.prompt('Hi')).text).toBe('Hello.');
    for (const password of [undefined, 'another']) {
      const connecting = JarvisOpenCode.connect({ url, experimental, ...(password && { password }) });
      await expect(connecting).rejects.toThrow(/maybe OpenCode 2 behind another password/);
    }
  });

  it('makes no session in a directory that does not exist, as the server would', async () => {
    const { start } = await setup();
    await using owner = await JarvisOpenCode.start({ ...start, password: 'the password' });
    const { url, authorization = '' } = owner.server;
    await using guest = await JarvisOpenCode.connect({ url, password: 'the password', experimental });
    const creating = guest.forRepo('/nowhere/at/all').sessions.create();
    await expect(creating).rejects.toMatchObject({ name: 'RequestError', status: 500 });
    const listed = await fetch(`${url}/api/session`, { headers: { authorization } });
    expect(await listed.json()).toMatchObject({ data: [] });
  });

  it('takes the place of an OpenCode 1 whose binary was replaced, at its restart', async () => {
    const { real, start, repo } = await setup({ script: () => [text('Hello.')] });
    const link = join(real.root, 'opencode');
    await symlink(opencodeBinary(), link);
    await using jarvis = await JarvisOpenCode.start({ ...start, command: link });
    const own = jarvis.forRepo(repo.directory);
    expect(jarvis.server.opencode).toBe(1);
    expect((await own.prompt('Hi')).text).toBe('Hello.');
    await rm(link);
    await symlink(command, link);
    await jarvis.server.restart();
    expect(jarvis.server.opencode).toBe(2);
    expect((await own.prompt('Hi')).text).toBe('Hello.');
  });

  it('refuses what OpenCode 2 has not before anything is sent', async () => {
    const { start, repo } = await setup();
    await using jarvis = await JarvisOpenCode.start(start);
    const own = jarvis.forRepo(repo.directory);
    const session = await own.sessions.create();
    const parts = [{ type: 'text', text: 'Hi' }] as const;
    const calls: (() => Promise<unknown>)[] = [
      () => session.todos(),
      () => session.share(),
      () => session.prompt({ parts: [...parts], system: 'Be brief.' }),
      () => session.prompt({ parts: [...parts], tools: { shell: false } }),
      () => own.find.text({ pattern: 'x' }),
      () => own.lsp.status(),
    ];
    for (const call of calls) {
      const error = await call().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(UnsupportedOperationError);
      expect(error).toMatchObject({ opencode: 2 });
    }
    expect(await session.messages()).toEqual([]);
  });

  it('pins what goes through repo.fetch, whatever directory the caller names', async () => {
    const { start, repo } = await setup();
    const other = await gitRepo();
    cleanups.push(() => other.dispose());
    await using jarvis = await JarvisOpenCode.start(start);
    const own = jarvis.forRepo(repo.directory);
    const foreign = await jarvis.forRepo(other.directory).sessions.create();
    const elsewhere = `location[directory]=${encodeURIComponent(other.directory)}`;
    const made = await own.fetch(`${own.baseUrl}/api/session?${elsewhere}`, {
      method: 'POST',
      body: JSON.stringify({ location: { directory: other.directory } }),
    });
    expect(await made.json()).toMatchObject({ data: { location: { directory: repo.directory } } });
    const listed = await own.fetch(`${own.baseUrl}/api/session?${elsewhere}`);
    const { data } = (await listed.json()) as { readonly data: { readonly id: string }[] };
    expect(data.map(({ id }) => id)).not.toContain(foreign.id);
    const located = await own.fetch(`${own.baseUrl}/api/location?${elsewhere}`);
    expect(await located.json()).toMatchObject({ directory: repo.directory });
    await expect(own.fetch(`${own.baseUrl}/api/session/${foreign.id}`)).rejects.toThrow(/belongs to/);
    await expect(own.fetch(`${own.baseUrl}/api/event`)).rejects.toMatchObject({
      name: 'OperationRefusedError',
    });
  });
});
