import { describe, expect, it, onTestFinished } from 'vitest';
import { ClosedError, JarvisOpenCode, type JarvisOptions, type MapOptions } from 'jarvis-opencode';
import { FakeOpenCode } from '../../support/fake-opencode.js';
import { fakeHandle } from '../../support/server-handle.js';

function aClient(options?: JarvisOptions): JarvisOpenCode {
  const { fetch } = new FakeOpenCode('/srv/app');
  const jarvis = new JarvisOpenCode(fakeHandle(), { fetch, paths: 'remote', ...options });
  onTestFinished(() => jarvis.close());
  return jarvis;
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('mapping directories', () => {
  it('gives the results in the order of the directories, with what failed in its place', async () => {
    const jarvis = aClient();
    const failure = new Error('mine');
    const seen: unknown[] = [];
    const results = await jarvis.map(
      ['/srv/a', 'relative', '/srv/b', '/srv/c/../a', '/srv/a'],
      async (repo, directory, index) => {
        if (directory === '/srv/b') throw failure;
        if (index === 0) await settle();
        return `${index} ${repo.directory}`;
      },
      { onProgress: ({ result, index, done, total }) => seen.push([result.status, index, done, total]) },
    );
    expect(results).toEqual([
      { status: 'fulfilled', directory: '/srv/a', value: '0 /srv/a' },
      {
        status: 'rejected',
        directory: 'relative',
        reason: expect.objectContaining({ name: 'RepoPathError', reason: 'not-absolute' }),
      },
      { status: 'rejected', directory: '/srv/b', reason: failure },
      { status: 'fulfilled', directory: '/srv/c/../a', value: '3 /srv/a' },
      { status: 'fulfilled', directory: '/srv/a', value: '4 /srv/a' },
    ]);
    expect(seen.sort()).toEqual([
      ['fulfilled', 0, expect.any(Number), 5],
      ['fulfilled', 3, expect.any(Number), 5],
      ['fulfilled', 4, expect.any(Number), 5],
      ['rejected', 1, 1, 5],
      ['rejected', 2, expect.any(Number), 5],
    ]);
    expect(await jarvis.map([], () => 'never')).toEqual([]);
  });

  it.each<[string, JarvisOptions, MapOptions<void>, number]>([
    ['maxLoaded', { idle: { maxLoaded: 3 } }, {}, 3],
    ['8 without a limit', { idle: false }, {}, 8],
    ['concurrency', { idle: { maxLoaded: 9 } }, { concurrency: 2 }, 2],
    ['maxLoaded under a higher concurrency', { idle: { maxLoaded: 3 } }, { concurrency: 500 }, 3],
  ])('works on as many directories of a thousand at a time as %s', async (_name, options, limits, most) => {
    const jarvis = aClient(options);
    const directories = Array.from({ length: 1_000 }, (_, index) => `/srv/${index}`);
    let running = 0;
    let peak = 0;
    const results = await jarvis.map(
      directories,
      async () => {
        peak = Math.max(peak, ++running);
        await settle();
        running -= 1;
      },
      limits,
    );
    expect(peak).toBe(most);
    expect(results.map(({ directory }) => directory)).toEqual(directories);
  });

  it('rejects the rest with the reason of the signal, and keeps what is done', async () => {
    const jarvis = aClient();
    const controller = new AbortController();
    const called: string[] = [];
    const results = await jarvis.map(
      ['/srv/a', '/srv/b', '/srv/c'],
      async (_repo, directory, _index, { signal }) => {
        called.push(directory);
        if (directory === '/srv/a') return 'done';
        setImmediate(() => controller.abort('enough'));
        return new Promise<never>((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        );
      },
      { signal: controller.signal, concurrency: 1 },
    );
    expect(results).toEqual([
      { status: 'fulfilled', directory: '/srv/a', value: 'done' },
      { status: 'rejected', directory: '/srv/b', reason: 'enough' },
      { status: 'rejected', directory: '/srv/c', reason: 'enough' },
    ]);
    expect(called).toEqual(['/srv/a', '/srv/b']);
  });

  it('counts timeoutMs for each directory from its own call', async () => {
    const results = await aClient({ idle: { maxLoaded: 1 } }).map(
      ['/srv/slow', '/srv/quick'],
      (_repo, directory) => (directory === '/srv/slow' ? new Promise<string>(() => undefined) : 'quick'),
      { timeoutMs: 200 },
    );
    expect(results).toMatchObject([
      { status: 'rejected', reason: { name: 'TimeoutError', phase: 'use', timeoutMs: 200 } },
      { status: 'fulfilled', value: 'quick' },
    ]);
  });

  it('stops when onProgress throws, and rejects with that', async () => {
    const called: string[] = [];
    const failure = new Error('mine');
    const mapping = aClient().map(['/srv/a', '/srv/b'], (_repo, directory) => called.push(directory), {
      concurrency: 1,
      onProgress: () => {
        throw failure;
      },
    });
    await expect(mapping).rejects.toBe(failure);
    await settle();
    expect(called).toEqual(['/srv/a']);
  });

  it('stops when the promise of onProgress rejects, and rejects with that', async () => {
    const called: string[] = [];
    const failure = new Error('mine');
    const mapping = aClient().map(['/srv/a', '/srv/b'], (_repo, directory) => called.push(directory), {
      concurrency: 1,
      onProgress: async () => {
        await settle();
        throw failure;
      },
    });
    await expect(mapping).rejects.toBe(failure);
    await settle();
    expect(called).toEqual(['/srv/a']);
  });

  it('rejects what is left when the client is closed, and begins nothing afterwards', async () => {
    const jarvis = aClient({ idle: { maxLoaded: 1 } });
    const mapping = jarvis.map(['/srv/a', '/srv/b'], () => new Promise(() => undefined));
    await settle();
    await jarvis.close();
    const closed = { status: 'rejected', reason: expect.any(ClosedError) };
    expect(await mapping).toMatchObject([closed, closed]);
    await expect(jarvis.map(['/srv/a'], () => 1)).rejects.toThrow(ClosedError);
  });

  it('refuses what is no list, no function and no option', async () => {
    const jarvis = aClient();
    for (const directories of ['/srv/a', undefined, 7, { a: 1 }])
      await expect(jarvis.map(directories as never, () => 1)).rejects.toThrow(
        /directories of jarvis.map\(\)/,
      );
    await expect(jarvis.map(['/srv/a'], 'x' as never)).rejects.toThrow(TypeError);
    await expect(jarvis.map(['/srv/a'], () => 1, { concurrency: 0 })).rejects.toThrow(RangeError);
    await expect(jarvis.map(['/srv/a'], () => 1, { retries: 1 } as never)).rejects.toThrow(
      /Unknown option 'retries'/,
    );
    expect(await jarvis.map([7 as never], () => 1)).toMatchObject([{ reason: expect.any(TypeError) }]);
  });
});
