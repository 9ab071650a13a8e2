import type { RepoClient } from 'jarvis-opencode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { worlds, type WireRequest, type World } from './worlds.js';

// Terminals, what can be read of a directory, and the event stream of one.
describe.each(worlds)('a directory in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.repo());
  });
  afterAll(() => world?.close());

  async function ask(path: string, request?: WireRequest): Promise<[number, unknown]> {
    const response = await world.fetch(path, { directory: repo.directory, ...request });
    const body = await response.text();
    return [response.status, body === '' ? '' : JSON.parse(body)];
  }

  it('lists the terminals of a directory until its instance is disposed', async () => {
    await using events = repo.events({
      types: ['pty.created', 'pty.updated', 'pty.deleted', 'server.instance.disposed'],
    });
    await events.ready;
    const pty = await repo.pty.create({ command: 'sh', args: ['-c', 'sleep 60'], title: 'Mine' });
    expect(pty).toEqual({
      id: expect.stringMatching(/^pty_/),
      title: 'Mine',
      command: 'sh',
      args: ['-c', 'sleep 60', '-l'],
      cwd: repo.directory,
      status: 'running',
      pid: expect.any(Number),
    });
    expect(await repo.pty.get(pty.id)).toEqual(pty);
    expect(await repo.pty.list()).toEqual([pty]);
    expect(await repo.pty.update(pty.id, { title: 'Yours' })).toEqual({ ...pty, title: 'Yours' });
    const gone = [
      404,
      { _tag: 'PtyNotFoundError', ptyID: pty.id, message: `PTY session not found: ${pty.id}` },
    ];
    expect(await ask(`/pty/${pty.id}`, { directory: await world.repo() })).toEqual(gone);
    expect(await repo.pty.connectToken(pty.id)).toEqual({ ticket: expect.any(String), expires_in: 60 });
    expect(await ask(`/pty/${pty.id}/connect-token`, { method: 'POST' })).toEqual([
      403,
      { _tag: 'PtyForbiddenError', message: 'Invalid PTY connect token request' },
    ]);
    await repo.pty.remove(pty.id);
    for (const method of ['GET', 'DELETE']) expect(await ask(`/pty/${pty.id}`, { method })).toEqual(gone);
    const other = await repo.pty.create();
    expect(other.cwd).toBe(repo.directory);
    await world.fetch('/instance/dispose', { method: 'POST', directory: repo.directory });
    const types: string[] = [];
    for await (const { type } of events) {
      types.push(type);
      if (type === 'server.instance.disposed') break;
    }
    expect(types).toEqual([
      ...['pty.created', 'pty.updated', 'pty.deleted', 'pty.created'],
      'server.instance.disposed',
    ]);
    expect(await repo.pty.list()).toEqual([]);
    expect(await ask('/pty', { method: 'POST', json: { command: 3 } })).toEqual([
      400,
      {
        name: 'BadRequest',
        data: { message: 'Expected string, got 3\n  at ["command"]', kind: 'Payload' },
      },
    ]);
  });

  it('reads files and information of a directory', async () => {
    const { directory } = repo;
    expect(await repo.path()).toMatchObject({ directory, worktree: directory });
    expect(await repo.config.get()).toBeTypeOf('object');
    const { providers } = await repo.config.providers();
    const [model] = Object.values(providers[0]?.models ?? {});
    expect(model).toMatchObject({ id: expect.any(String), providerID: providers[0]?.id });
    expect((await repo.providers.list()).connected).toEqual(providers.map(({ id }) => id));
    expect(await repo.providers.authMethods()).toBeTypeOf('object');
    const agents = (await repo.agents.list()).map(({ name, mode }) => `${name} ${mode}`);
    expect(agents).toEqual(expect.arrayContaining(['build primary', 'plan primary', 'general subagent']));
    expect((await repo.commands.list()).map(({ name }) => name)).toContain('init');
    expect(await repo.vcs.get()).toEqual({ branch: 'main', default_branch: 'main' });
    expect(await repo.vcs.status()).toEqual([]);
    expect(await repo.project.current()).toMatchObject({ worktree: directory, vcs: 'git' });
    expect(await repo.project.list()).toContainEqual(expect.objectContaining({ worktree: directory }));
    expect(await repo.find.files({ query: 'no such file' })).toEqual([]);
    expect(await repo.find.symbols({ query: 'x' })).toEqual([]);
    expect(await repo.files.read('no-such-file')).toEqual({ type: 'text', content: '' });
    expect(await repo.files.status()).toEqual([]);
    expect(await repo.lsp.status()).toEqual([]);
    expect(await repo.formatter.status()).toEqual([]);
    expect(await repo.mcp.status()).toEqual({});
    await repo.log.write({ service: 'test', level: 'info', message: 'hello' });
    expect(await repo.skills.list()).toBeInstanceOf(Array);
    expect(await repo.pty.shells()).toContainEqual(expect.objectContaining({ name: 'bash' }));
    expect(await world.jarvis.global.config.get()).toBeTypeOf('object');
  });

  it('ends the event stream of a directory with its instance', async () => {
    const response = await world.fetch('/event', { directory: repo.directory });
    const other = world.jarvis.forRepo(await world.repo());
    const reading = response.text();
    await other.sessions.create({ title: 'Theirs' });
    const { id } = await repo.sessions.create({ title: 'Mine' });
    await repo.dispose();
    const frames = (await reading)
      .split('\n\n')
      .filter((frame) => frame !== '')
      .map((frame) => JSON.parse(frame.slice('data: '.length)) as { type: string; properties: unknown })
      .filter(({ type }) => !/heartbeat|plugin|catalog|reference|integration/.test(type));
    expect(frames.map(({ type }) => type)).toEqual([
      'server.connected',
      'session.created',
      'server.instance.disposed',
    ]);
    expect(frames[1]?.properties).toMatchObject({ sessionID: id });
  });

  it('diagnoses a server that answers and has a provider, and loads nothing that was not named', async () => {
    const jarvis = await world.connect({ idle: false });
    const levels = async (directory?: string): Promise<Record<string, string>> =>
      Object.fromEntries((await jarvis.diagnose({ directory })).map(({ check, level }) => [check, level]));
    expect(await levels()).toMatchObject({ server: 'ok', version: 'ok', provider: 'warn', asks: 'ok' });
    expect(jarvis.repos()).toEqual([]);
    expect(await levels(await world.repo())).toMatchObject({
      server: 'ok',
      provider: 'ok',
      repository: 'ok',
    });

    const directory = await world.repo();
    const repair = await world.breakRepo(directory);
    const findings = await jarvis.diagnose({ directory });
    expect(findings.filter(({ level }) => level === 'error').map(({ check }) => check)).toEqual([
      'provider',
      'repository',
    ]);
    await repair();
  });
});
