import { describe, expect, it } from 'vitest';
import type { HubListener } from '../../../../src/client/events/hub-listeners.js';
import { Http } from '../../../../src/client/http/http.js';
import type { RepoClient } from '../../../../src/client/repo/repo-client.js';
import { RepoTransport } from '../../../../src/client/http/repo-transport.js';
import { WorktreesResource, type WorktreeContext } from '../../../../src/client/resources/worktrees.js';
import { ServerLink } from '../../../../src/client/http/server-link.js';
import type { OpenCodeEvent } from '../../../../src/client/schema/event.js';
import { DisposeRefusedError, ServerLostError, TimeoutError } from '../../../../src/errors.js';

const OWN = '/srv/repo';
const TARGET = '/data/worktree/x';

interface Sent {
  readonly method: string;
  readonly directory: string;
  readonly path: string;
  readonly body: unknown;
}

/** What the disk of the server looks like: files by path, and directories whose real path or git root is another. */
interface Disk {
  readonly files: Readonly<Record<string, string>>;
  readonly real?: Readonly<Record<string, string>>;
  readonly roots?: Readonly<Record<string, string>>;
}

const LINKED: Disk = {
  files: {
    [`${TARGET}/.git`]: `gitdir: ${OWN}/.git/worktrees/x`,
    [`${OWN}/.git/worktrees/x/gitdir`]: `${TARGET}/.git`,
  },
};

function worktreesOn(
  disk: Disk,
  own = OWN,
  more: Partial<WorktreeContext<RepoClient>> & { onPost?: () => void } = {},
) {
  const sent: Sent[] = [];
  const withoutInstance: string[] = [];
  const answer = (method: string, directory: string, url: URL): [number, unknown] => {
    if (method === 'POST' && url.pathname === '/experimental/worktree') {
      more.onPost?.();
      return [200, { name: 'x', directory: TARGET }];
    }
    if (method !== 'GET') return [200, true];
    const real = disk.real?.[directory] ?? directory;
    if (url.pathname === '/path') return [200, { directory: real, worktree: disk.roots?.[real] ?? real }];
    if (url.pathname !== '/file/content') throw new Error(`unexpected ${url.pathname}`);
    const path = `${real}/${url.searchParams.get('path') ?? ''}`;
    const isDirectory = Object.keys(disk.files).some((file) => file.startsWith(`${path}/`));
    return isDirectory
      ? [500, { name: 'UnknownError' }]
      : [200, { type: 'text', content: disk.files[path] ?? '' }];
  };
  const http = new Http({
    endpoint: () => ({ url: 'http://127.0.0.1:1' }),
    signal: new AbortController().signal,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const url = new URL(request.url);
      const directory = decodeURIComponent(request.headers.get('x-opencode-directory') ?? '');
      const text = await request.text();
      const body: unknown = text === '' ? undefined : JSON.parse(text);
      sent.push({ method: request.method, directory, path: url.pathname, body });
      const [status, json] = answer(request.method, directory, url);
      return Response.json(json, { status });
    },
  });
  const transportOf = (directory: string): RepoTransport =>
    new RepoTransport(http, directory.replace(/(?<=.)\/+$/, ''), () => Promise.resolve(() => undefined));
  const worktrees = new WorktreesResource(transportOf(own), {
    hub: { connect: () => Promise.resolve(), listen: () => () => undefined },
    forWorktree: () => {
      throw new Error('not needed');
    },
    transportOf,
    runWithoutInstance: (directory, run) => {
      withoutInstance.push(directory);
      return run();
    },
    ...more,
  });
  const changes = (): Sent[] => sent.filter(({ method }) => method !== 'GET');
  return { worktrees, sent, changes, withoutInstance };
}

describe('removing a worktree', () => {
  it('asks the repository to remove a linked worktree of it, without the instance of the worktree', async () => {
    const { worktrees, changes, withoutInstance } = worktreesOn(LINKED);
    await worktrees.remove({ directory: `${TARGET}/` });
    expect(changes()).toEqual([
      { method: 'DELETE', directory: OWN, path: '/experimental/worktree', body: { directory: TARGET } },
    ]);
    expect(withoutInstance).toEqual([TARGET]);
  });

  it('removes a worktree from another linked worktree, and from a directory within the repository', async () => {
    const disk: Disk = {
      files: { ...LINKED.files, '/data/worktree/y/.git': `gitdir: ${OWN}/.git/worktrees/y` },
      roots: { [`${OWN}/sub`]: OWN },
    };
    for (const own of ['/data/worktree/y', `${OWN}/sub`]) {
      const { worktrees, changes } = worktreesOn(disk, own);
      await worktrees.remove({ directory: TARGET });
      expect(changes()).toMatchObject([{ method: 'DELETE', directory: own, body: { directory: TARGET } }]);
    }
  });

  it('understands the paths of Windows when it removes a worktree', async () => {
    const { worktrees, changes } = worktreesOn(
      {
        files: {
          'D:\\wt\\x/.git': 'gitdir: C:/repo/.git/worktrees/x',
          'C:\\repo/.git/worktrees/x/gitdir': 'D:/wt/x/.git',
          'C:/repo/.git/worktrees/x/gitdir': 'D:/wt/x/.git',
        },
      },
      'C:\\repo',
    );
    await worktrees.remove({ directory: 'D:\\wt\\x' });
    expect(changes()).toHaveLength(1);
  });

  const refused: Record<string, { directory: unknown; disk?: Disk; own?: string }> = {
    'an empty path, which is the server’s own directory': { directory: '' },
    'no path': { directory: undefined },
    'a path that is no string': { directory: 7 },
    'a relative path': { directory: 'x' },
    'the current directory': { directory: '.' },
    'a path that climbs': { directory: `${TARGET}/../x` },
    'a path that climbs at its end': { directory: `${TARGET}/..` },
    'a path with NUL': { directory: `${TARGET}\0` },
    'the root': { directory: '/' },
    'the repository itself': { directory: OWN },
    'the repository itself, spelt otherwise': { directory: `${OWN}/` },
    'what contains the repository': { directory: '/srv' },
    'what contains the repository, behind a link': {
      directory: '/data',
      disk: { files: {}, real: { '/link/repo': '/data/repo' } },
      own: '/link/repo',
    },
    'the root of the repository, asked from within': {
      directory: OWN,
      disk: { files: {}, roots: { [`${OWN}/sub`]: OWN } },
      own: `${OWN}/sub`,
    },
    'a directory that is not there': {
      directory: '/gone',
      disk: { files: {}, roots: { '/gone': '/' } },
    },
    'a directory without git': { directory: '/plain', disk: { files: {}, roots: { '/plain': '/' } } },
    'a clone': {
      directory: '/srv/clone',
      disk: { files: { ...LINKED.files, '/srv/clone/.git/HEAD': 'ref: refs/heads/main' } },
    },
    'a worktree of a clone': {
      directory: TARGET,
      disk: {
        files: {
          [`${TARGET}/.git`]: 'gitdir: /srv/clone/.git/worktrees/x',
          '/srv/clone/.git/worktrees/x/gitdir': `${TARGET}/.git`,
          [`${OWN}/.git/worktrees/x/gitdir`]: `${TARGET}/.git`,
        },
      },
    },
    'a worktree of a clone, asked from a worktree of the repository': {
      directory: TARGET,
      own: '/data/worktree/y',
      disk: {
        files: {
          '/data/worktree/y/.git': `gitdir: ${OWN}/.git/worktrees/y`,
          [`${TARGET}/.git`]: 'gitdir: /srv/clone/.git/worktrees/x',
          '/srv/clone/.git/worktrees/x/gitdir': `${TARGET}/.git`,
        },
      },
    },
    'a copy of a worktree': {
      directory: '/backup/x',
      disk: { files: { ...LINKED.files, '/backup/x/.git': `gitdir: ${OWN}/.git/worktrees/x` } },
    },
    'a worktree that was pruned': {
      directory: TARGET,
      disk: { files: { [`${TARGET}/.git`]: `gitdir: ${OWN}/.git/worktrees/x` } },
    },
    'a directory within a worktree': {
      directory: `${TARGET}/sub`,
      disk: { files: LINKED.files, roots: { [`${TARGET}/sub`]: TARGET } },
    },
    'a link to a worktree': { directory: '/link', disk: { files: LINKED.files, real: { '/link': TARGET } } },
    'a submodule': {
      directory: `${OWN}/lib`,
      disk: { files: { [`${OWN}/lib/.git`]: 'gitdir: ../.git/modules/lib' } },
    },
    'a link that climbs': {
      directory: TARGET,
      disk: {
        files: {
          ...LINKED.files,
          [`${TARGET}/.git`]: `gitdir: /elsewhere/..${OWN}/.git/worktrees/x`,
        },
      },
    },
    'a link of more than one line': {
      directory: TARGET,
      disk: { files: { ...LINKED.files, [`${TARGET}/.git`]: `x\ngitdir: ${OWN}/.git/worktrees/x` } },
    },
  };
  it.each(Object.entries(refused))(
    'refuses to remove a worktree for %s',
    async (_name, { directory, disk = LINKED, own }) => {
      for (const verb of ['remove', 'reset'] as const) {
        const { worktrees, changes, withoutInstance } = worktreesOn(disk, own);
        await expect(worktrees[verb]({ directory } as never)).rejects.toThrow(TypeError);
        expect(changes()).toEqual([]);
        expect(withoutInstance).toEqual([]);
      }
    },
  );

  it('sends no removal when the directory cannot be identified', async () => {
    const failing = worktreesOn(LINKED, OWN, {
      transportOf: () => {
        throw new Error('no such path');
      },
    });
    await expect(failing.worktrees.remove({ directory: TARGET })).rejects.toThrow('no such path');
    expect(failing.sent).toEqual([]);
  });

  it('sends no removal of a worktree while its instance is held', async () => {
    const runWithoutInstance = (directory: string): Promise<never> =>
      Promise.reject(new DisposeRefusedError(directory, [{ kind: 'turn', detail: 'ses_1', since: 0 }]));
    const { worktrees, changes } = worktreesOn(LINKED, OWN, { runWithoutInstance });
    await expect(worktrees.remove({ directory: TARGET })).rejects.toThrow(DisposeRefusedError);
    await expect(worktrees.reset({ directory: TARGET })).rejects.toThrow(DisposeRefusedError);
    expect(changes()).toEqual([]);
  });
});

describe('making a worktree', () => {
  function setUp(events: readonly { directory: string; type: string; properties?: object }[]) {
    const order: string[] = [];
    const listeners = new Set<HubListener>();
    const hub: WorktreeContext<RepoClient>['hub'] = {
      connect: () => {
        order.push('connect');
        return Promise.resolve();
      },
      listen: (_directory, listener) => {
        order.push('listen');
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const onPost = (): void => {
      order.push('post');
      for (const event of events) {
        for (const listener of listeners) listener.event({ id: '', ...event } as unknown as OpenCodeEvent, 0);
      }
    };
    const link = new ServerLink(true);
    return { ...worktreesOn(LINKED, OWN, { hub, link, onPost }), order, listeners, link };
  }

  it('listens before it makes a worktree, and waits for that worktree only', async () => {
    const { worktrees, order, listeners } = setUp([
      { directory: '/data/worktree/y', type: 'worktree.failed', properties: { message: 'other' } },
      { directory: TARGET, type: 'worktree.ready', properties: { name: 'x' } },
    ]);
    expect(await worktrees.create()).toEqual({ name: 'x', directory: TARGET });
    expect(order).toEqual(['listen', 'connect', 'post']);
    expect(listeners.size).toBe(0);
  });

  it('rejects when the server fails to make a worktree', async () => {
    const { worktrees, listeners } = setUp([
      { directory: TARGET, type: 'worktree.failed', properties: { message: 'no space left' } },
    ]);
    await expect(worktrees.create()).rejects.toMatchObject({
      code: 'REQUEST_FAILED',
      serverError: 'WorktreeCreateFailedError',
      message: expect.stringContaining('no space left') as string,
    });
    expect(listeners.size).toBe(0);
  });

  it('waits for a new worktree no longer than asked', async () => {
    const { worktrees, listeners } = setUp([]);
    await expect(worktrees.create({}, { timeoutMs: 20 })).rejects.toThrow(TimeoutError);
    const reason = new Error('mine');
    await expect(worktrees.create({}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const pending = worktrees.create();
    await expect.poll(() => listeners.size).toBe(1);
    for (const listener of listeners) listener.lost(reason);
    await expect(pending).rejects.toBe(reason);
    expect(listeners.size).toBe(0);
  });

  it('does not wait for a worktree event of a server that has ended', async () => {
    const { worktrees, listeners, link, order } = setUp([]);
    const lost = new ServerLostError('The work on the server');
    link.markLost(lost);
    link.markReady();
    const pending = worktrees.create();
    await expect.poll(() => order).toContain('post');
    link.markLost(lost);
    link.markReady();
    await expect(pending).rejects.toBe(lost);
    expect(listeners.size).toBe(0);
  });

  it('names the mistake in the input of a new worktree', async () => {
    const { worktrees, sent } = setUp([]);
    await expect(worktrees.create({ nam: 'x' } as object)).rejects.toThrow(TypeError);
    expect(sent).toEqual([]);
  });
});
