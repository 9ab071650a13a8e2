import type { RepoClient } from 'jarvis-opencode';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readUntil } from '../support/read-until.js';
import { until } from '../support/wait.js';
import { LINE_PROGRAM, worlds, type World } from './worlds.js';

const READY = 'ready 🦊\r\n';

describe.each(worlds)('a terminal in $name', ({ open }) => {
  let world: World;
  let repo: RepoClient;
  let id: string;
  beforeAll(async () => {
    world = await open();
    repo = world.jarvis.forRepo(await world.oddRepo());
  });
  afterAll(() => world?.close());
  beforeEach(async () => {
    ({ id } = await repo.pty.create(LINE_PROGRAM));
  });

  it('shows the output of a terminal, takes input and reports its end', async () => {
    await using events = repo.events({ types: ['pty.exited', 'pty.deleted'] });
    await events.ready;
    const connection = await repo.pty.connect(id);
    expect(await readUntil(connection, '\n')).toBe(READY);
    expect(await until(() => connection.cursor)).toBe(READY.length);
    connection.write('ünö\r');
    expect(await readUntil(connection, '>\r\n')).toBe('<ünö>\r\n');
    connection.write('bye\r');
    for await (const _rest of connection);
    expect(await connection.closed).toMatchObject({ code: 1000 });
    for await (const event of events) {
      expect(event).toMatchObject({ type: 'pty.exited', properties: { id, exitCode: 3 } });
      break;
    }
    await expect(repo.pty.get(id)).rejects.toMatchObject({ status: 404 });
    await expect(repo.pty.connect(id)).rejects.toMatchObject({ status: 404 });
    expect(() => connection.write('more')).toThrow('is closed');
  });

  it('resumes a terminal where another connection stopped, or without the past output', async () => {
    const first = await repo.pty.connect(id);
    await readUntil(first, '\n');
    expect(await until(() => first.cursor)).toBe(READY.length);
    await first.close();
    expect(await first.closed).toMatchObject({ code: 1000 });
    await using again = await repo.pty.connect(id, { cursor: first.cursor });
    await using later = await repo.pty.connect(id, { cursor: -1 });
    again.write('two\r');
    // Whoever is connected sees the same.
    for (const connection of [again, later]) expect(await readUntil(connection, '\n')).toBe('<two>\r\n');
    await using all = await repo.pty.connect(id, { cursor: 0 });
    expect(await readUntil(all, '>\r\n')).toBe(`${READY}<two>\r\n`);
    await using middle = await repo.pty.connect(id, { cursor: READY.length + 2 });
    expect(await readUntil(middle, '\n')).toBe('wo>\r\n');
  });

  it('tells a terminal its size', async () => {
    await using connection = await repo.pty.connect(id);
    await readUntil(connection, READY);
    await connection.resize({ rows: 33, cols: 44 });
    connection.write('size\r');
    expect(await readUntil(connection, '\n')).toBe('33 44\r\n');
    await repo.pty.remove(id);
    await expect(connection.resize({ rows: 1, cols: 1 })).rejects.toMatchObject({ status: 404 });
  });

  it('closes the connections of a terminal when it is removed and when its instance is disposed', async () => {
    const removed = await repo.pty.connect(id);
    await readUntil(removed, READY);
    await repo.pty.remove(id);
    for await (const _rest of removed);
    expect(await removed.closed).toMatchObject({ code: 1000 });

    const disposed = await repo.pty.connect((await repo.pty.create(LINE_PROGRAM)).id);
    await readUntil(disposed, READY);
    await expect(repo.dispose()).rejects.toMatchObject({ name: 'DisposeRefusedError' });
    expect(await repo.dispose({ force: true })).toMatchObject({ disposed: true });
    for await (const _rest of disposed);
    expect(await disposed.closed).toMatchObject({ code: 1000 });
    expect(await repo.pty.list()).toEqual([]);
  });

  it('hides a terminal from another repository', async () => {
    const other = world.jarvis.forRepo(await world.repo());
    await expect(other.pty.connect(id)).rejects.toMatchObject({ status: 404 });
  });
});
