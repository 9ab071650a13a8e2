import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket as NodeWebSocket } from 'ws';
import { ConnectionError, JarvisOpenCode } from 'jarvis-opencode';
import { Http } from '../../src/client/http/http.js';
import { RepoTransport } from '../../src/client/http/repo-transport.js';
import { PtyResource } from '../../src/client/resources/pty.js';
import { readUntil } from '../support/read-until.js';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';
import { realServerOptions } from '../support/real-opencode.js';
import { until } from '../support/wait.js';

// Every operation must reach this directory, whose name the server itself would decode once too often.
const NAME = `a b%20ü日#?+'`;

let world: RealJarvis;
let directory: string;
let pty: PtyResource;
let held = 0;

function ptyOf(path: string, closed?: AbortSignal, jarvis = world.jarvis): PtyResource {
  const { server } = jarvis;
  const endpoint = () => ({ url: server.url, authorization: server.authorization });
  const http = new Http({ endpoint, signal: new AbortController().signal });
  const enter = (): Promise<() => void> => {
    let isHeld = true;
    held += 1;
    return Promise.resolve(() => {
      if (isHeld) held -= 1;
      isHeld = false;
    });
  };
  const sockets = { loadWebSocket: () => Promise.resolve(NodeWebSocket), endpoint, closed };
  const opening = { accepted: () => undefined, over: () => undefined };
  return new PtyResource(new RepoTransport(http, path, enter), sockets, () => opening);
}

/** A terminal that prints `text`, then echoes each line it is given as `<line>`. */
function echoing(text: string) {
  return pty.create({
    command: '/bin/sh',
    args: ['-c', `stty -echo; printf '%s\\n' '${text}'; while read -r l; do echo "<$l>"; done`],
  });
}

beforeAll(async () => {
  world = await realJarvis({ idle: false });
  directory = (await world.repo({ name: NAME })).directory;
  pty = ptyOf(directory);
});
afterAll(() => world[Symbol.asyncDispose]());

describe('a terminal', () => {
  it('creates, lists, reads, changes and removes a terminal in its repository', async () => {
    const made = await pty.create({ command: 'cat', args: ['-u'], title: 'Cat', env: { A: '1' } });
    expect(made).toMatchObject({
      title: 'Cat',
      command: 'cat',
      args: ['-u'],
      cwd: directory,
      status: 'running',
      pid: expect.any(Number) as number,
    });
    expect(await pty.list()).toEqual([made]);
    expect(await pty.get(made.id)).toEqual(made);
    expect(await pty.update(made.id, { title: 'Dog', size: { rows: 10, cols: 20 } })).toMatchObject({
      id: made.id,
      title: 'Dog',
    });
    await pty.remove(made.id);
    expect(await pty.list()).toEqual([]);
    await expect(pty.get(made.id)).rejects.toMatchObject({ status: 404, serverError: 'PtyNotFoundError' });
    expect(held).toBe(0);
  });

  it('hides a terminal from another repository', async () => {
    const made = await pty.create({ command: 'cat' });
    const other = ptyOf((await world.repo()).directory);
    await expect(other.get(made.id)).rejects.toMatchObject({ status: 404 });
    await expect(other.connect(made.id)).rejects.toMatchObject({ status: 404 });
    await pty.remove(made.id);
  });

  it('lists the available shells', async () => {
    expect(await pty.shells()).toContainEqual(
      expect.objectContaining({
        path: expect.any(String) as string,
        acceptable: expect.any(Boolean) as boolean,
      }),
    );
  });

  it('refuses a terminal with a command that does not exist', async () => {
    await expect(pty.create({ command: '/nowhere/at all' })).rejects.toMatchObject({ status: 500 });
    await expect(pty.create({ comand: 'cat' } as object)).rejects.toThrow(TypeError);
    await expect(pty.update('pty_x', { size: { rows: 0, cols: 1 } })).rejects.toThrow(TypeError);
  });
});

describe('a connection', () => {
  it('shows the output of a terminal, takes input and resizes it', async () => {
    const { id } = await echoing('hällo 日 🦊');
    await using connection = await pty.connect(id);
    expect(held).toBe(1);
    expect(await readUntil(connection, '🦊\r\n')).toBe('hällo 日 🦊\r\n');
    connection.write('ünö 🦊\r');
    expect(await readUntil(connection, '>')).toContain('<ünö 🦊>');
    await pty.remove(id);

    const sized = await pty.create({ command: '/bin/sh', args: ['-c', 'read x; stty size'] });
    await using second = await pty.connect(sized.id);
    await second.resize({ rows: 33, cols: 44 });
    second.write('\r');
    expect(await readUntil(second, '44')).toContain('33 44');
    expect(await second.closed).toMatchObject({ code: 1000 });
  });

  it('resumes a connection where another one stopped, in UTF-16 code units', async () => {
    const { id } = await echoing('🦊first');
    const first = await pty.connect(id);
    await readUntil(first, 'first\r\n');
    expect(await until(() => first.cursor)).toBe('🦊first\r\n'.length);
    await first.close();
    expect(await first.closed).toMatchObject({ code: 1000 });
    expect(held).toBe(0);

    await using second = await pty.connect(id, { cursor: first.cursor });
    second.write('two\r');
    expect(await readUntil(second, '>\r\n')).toBe('<two>\r\n');
    expect(second.cursor).toBe('🦊first\r\n<two>\r\n'.length);

    await using all = await pty.connect(id, { cursor: 0 });
    expect(await readUntil(all, '<two>\r\n')).toBe('🦊first\r\n<two>\r\n');
    await using none = await pty.connect(id, { cursor: -1 });
    none.write('three\r');
    expect(await readUntil(none, '<three>\r\n')).toBe('<three>\r\n');
    expect(none.cursor).toBe('🦊first\r\n<two>\r\n<three>\r\n'.length);
    await pty.remove(id);
  });

  it('ends a connection with the process, with the terminal and with the instance, each time with code 1000', async () => {
    const exiting = await pty.create({ command: '/bin/sh', args: ['-c', 'read x; echo bye'] });
    const connection = await pty.connect(exiting.id);
    connection.write('\r');
    let output = '';
    for await (const chunk of connection) output += chunk;
    expect(output).toContain('bye');
    expect(await connection.closed).toEqual({ code: 1000, reason: '' });
    expect(() => connection.write('x')).toThrow(expect.objectContaining({ code: 'CLOSED' }) as Error);

    const removed = await pty.create({ command: 'cat' });
    const second = await pty.connect(removed.id);
    await pty.remove(removed.id);
    expect(await second.closed).toMatchObject({ code: 1000 });

    const disposed = await pty.create({ command: 'cat' });
    const third = await pty.connect(disposed.id);
    const { server } = world.jarvis;
    await fetch(`${server.url}/instance/dispose`, {
      method: 'POST',
      headers: {
        authorization: server.authorization ?? '',
        'x-opencode-directory': encodeURIComponent(directory),
      },
    });
    expect(await third.closed).toMatchObject({ code: 1000 });
    await until(() => held === 0);
  });

  it('ends a connection with its signal and with the client', async () => {
    const { id } = await pty.create({ command: 'cat' });
    const controller = new AbortController();
    const connection = await pty.connect(id, { signal: controller.signal });
    controller.abort(new Error('enough'));
    for await (const _ of connection);
    expect(await connection.closed).toMatchObject({ code: 1000 });
    const closed = new AbortController();
    const other = await ptyOf(directory, closed.signal).connect(id);
    closed.abort(new Error('over'));
    expect(await other.closed).toMatchObject({ code: 1000 });
    await expect(ptyOf(directory, closed.signal).connect(id)).rejects.toThrow('over');
    await pty.remove(id);
    expect(held).toBe(0);
  });

  it('reports to a connection that the server is lost', async () => {
    const { startOptions, ...real } = await realServerOptions();
    const jarvis = await JarvisOpenCode.start({ ...startOptions, idle: false });
    try {
      const other = ptyOf(directory, undefined, jarvis);
      const connection = await other.connect((await other.create({ command: 'cat' })).id);
      const { pid } = jarvis.server;
      if (pid === undefined) expect.fail('the server has no process');
      process.kill(pid, 'SIGKILL');
      await expect(readUntil(connection, 'nothing')).rejects.toThrow(ConnectionError);
      expect(await connection.closed).toMatchObject({ code: 1006 });
    } finally {
      await jarvis.close();
      await real.dispose();
    }
  });

  it('refuses a connection with a used ticket or one of another terminal', async () => {
    const { id } = await pty.create({ command: 'cat' });
    const other = await pty.create({ command: 'cat' });
    const { ticket, expires_in } = await pty.connectToken(id);
    expect(expires_in).toBe(60);
    const open = (ptyID: string): Promise<string> =>
      new Promise((resolve) => {
        const query = new URLSearchParams({ directory: encodeURIComponent(directory), ticket });
        const url = `${world.jarvis.server.url.replace('http', 'ws')}/pty/${ptyID}/connect?${query.toString()}`;
        const socket = new NodeWebSocket(url);
        socket.on('open', () => {
          socket.close();
          resolve('open');
        });
        socket.on('error', (error) => resolve(error.message));
      });
    expect(await open(other.id)).toContain('403');
    expect(await open(id)).toBe('open');
    expect(await open(id)).toContain('403');
    await pty.remove(id);
    await pty.remove(other.id);
  });

  it('carries much output and much input over a connection', async () => {
    const { id } = await pty.create({ command: '/bin/sh', args: ['-c', 'read x; seq 1 400000; echo E"N"D'] });
    await using connection = await pty.connect(id);
    connection.write('\r');
    const output = await readUntil(connection, 'END');
    expect(output).toContain('\r\n399999\r\n');
    const counting = await pty.create({
      command: '/bin/sh',
      args: ['-c', 'stty raw -echo; echo ready; head -c 20000000 | wc -c'],
    });
    await using writing = await pty.connect(counting.id);
    await readUntil(writing, 'ready');
    writing.write('x'.repeat(20_000_000));
    await readUntil(writing, '20000000');
    expect(await writing.closed).toMatchObject({ code: 1000 });
  });
});
