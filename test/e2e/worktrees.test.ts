import { join } from 'node:path';
import { mkdir, writeFile, symlink } from 'node:fs/promises';
import { afterAll, beforeAll, it } from 'vitest';
import { realJarvis, type RealJarvis } from '../support/real-jarvis.js';

let world: RealJarvis;
beforeAll(async () => {
  world = await realJarvis({ idle: false });
});
afterAll(() => world[Symbol.asyncDispose]());

async function call(directory: string, method: string, path: string, body?: unknown) {
  const { server } = world.jarvis;
  const response = await fetch(server.url + path, {
    method,
    headers: {
      authorization: server.authorization ?? '',
      'x-opencode-directory': encodeURIComponent(directory),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return `${response.status} ${(await response.text()).slice(0, 400)}`;
}

it('probe', async () => {
  const log = (...args: unknown[]) => console.log(...args);
  const repo = await world.repo({ name: 'a%20b', files: { 'sub/x.txt': 'x', 'README.md': 'r' } });
  const clone = await world.repo({ cloneOf: repo });
  const linked = await repo.worktree();
  const sub = join(repo.directory, 'sub');
  const events = world.jarvis.events();
  await events.ready;
  void (async () => {
    for await (const e of events) if (/worktree|instance/.test(e.type)) log('EVENT', Date.now() % 100000, e.directory, e.type, e.properties);
  })();
  for (const d of [repo.directory, clone.directory, linked, sub]) {
    log(d);
    log('  path', await call(d, 'GET', '/path'));
    log('  .git', await call(d, 'GET', '/file/content?path=.git'));
    log('  project', await call(d, 'GET', '/project/current'));
  }
  log('back', await call(repo.directory, 'GET', '/file/content?path=.git/worktrees/worktree-1/gitdir'));
  log('sub ../.git', await call(sub, 'GET', '/file/content?path=../.git/worktrees/worktree-1/gitdir'));
  log('missing', await call('/nowhere/x', 'GET', '/file/content?path=.git'));
  log('list', await call(repo.directory, 'GET', '/experimental/worktree'));
  log('create', Date.now() % 100000, await call(repo.directory, 'POST', '/experimental/worktree', { name: 'My Näme %20 x', startCommand: 'sleep 1; echo hi > started; exit 3' }), Date.now() % 100000);
  log('create dup', await call(repo.directory, 'POST', '/experimental/worktree', { name: 'My Näme %20 x' }));
  log('create ..', await call(repo.directory, 'POST', '/experimental/worktree', { name: '../../up' }));
  await new Promise((r) => setTimeout(r, 3000));
  const list = await call(repo.directory, 'GET', '/experimental/worktree');
  log('list', list);
  const made = (JSON.parse(list.slice(4)) as string[]).at(-1) ?? '';
  log('made .git', made, await call(made, 'GET', '/file/content?path=.git'), await call(made, 'GET', '/path'));
  log('clone create', await call(clone.directory, 'POST', '/experimental/worktree', { name: 'fromclone' }));
  log('linked create', await call(linked, 'POST', '/experimental/worktree', { name: 'fromlinked' }));
  log('sub create', await call(sub, 'POST', '/experimental/worktree', { name: 'fromsub' }));
  const plain = join(repo.directory, '..', 'plain');
  await mkdir(plain);
  log('nongit create', await call(plain, 'POST', '/experimental/worktree', { name: 'p' }));
  const empty = await world.repo({ files: {} });
  log('empty create', await call(empty.directory, 'POST', '/experimental/worktree', { name: 'p' }));
  await new Promise((r) => setTimeout(r, 1500));
  for (const d of [clone.directory, linked, sub]) log('list', d, await call(d, 'GET', '/experimental/worktree'));
  const cm = /"directory":"([^"]+)"/;
  log('git list', await repo.git('worktree', 'list'));
  void cm;
  await writeFile(join(made, 'dirty.txt'), 'x');
  log('reset', await call(repo.directory, 'POST', '/experimental/worktree/reset', { directory: made }));
  await symlink(made, join(plain, 'link'));
  log('link .git', await call(join(plain, 'link'), 'GET', '/file/content?path=.git'));
  log('link path', await call(join(plain, 'link'), 'GET', '/path'));
  await new Promise((r) => setTimeout(r, 1500));
});
