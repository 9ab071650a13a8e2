import { describe, expect, it } from 'vitest';
import { RepoBoundError } from 'jarvis-opencode';
import { deferred } from '../../../src/core/abort.js';
import type { FleetBinding } from '../../../src/fleet/fleet-sessions.js';
import { Mover, type MoveMember } from '../../../src/fleet/mover.js';
import { Placements } from '../../../src/fleet/placements.js';
import { SessionRegistry } from '../../../src/registry/session-registry.js';

interface Stub extends MoveMember {
  /** What the member does before it lets a repository go. */
  leaving: Promise<unknown>;
}

function aMover(dataOf: Readonly<Record<string, string | undefined>>) {
  const names = Object.keys(dataOf);
  const placements = new Placements({
    names,
    isLocal: () => true,
    canonicalize: (directory) => directory,
    repositoryOf: () => undefined,
  });
  const members = names.map((name): Stub => ({
    name,
    bindings: new SessionRegistry(),
    dataDirectory: dataOf[name],
    leaving: Promise.resolve(),
    resolve: (directory) => directory,
    forRepo: (directory) => placements.admit(name, directory),
    async leave(_directories, commit) {
      await this.leaving;
      commit();
      return [];
    },
  }));
  const find = (name: string): Stub => members.find((member) => member.name === name) as Stub;
  const strangers: FleetBinding[] = [];
  const mover = new Mover({
    placements,
    memberOf: find,
    strangers: { list: () => strangers, unbind: () => undefined },
    assertOpen: () => undefined,
  });
  placements.admit('main', '/srv/app');
  return { mover, placements, find };
}

const session = { id: 'ses_1', directory: '/srv/app' };

describe('moving a repository with its bindings', () => {
  it('takes them along to a server with the same data directory', async () => {
    const { mover, find } = aMover({ main: '/data', heavy: '/data' });
    find('main').bindings.bind('chat', session);
    find('main').bindings.bind('other', { id: 'ses_2', directory: '/srv/other' });
    const { rebound, unbound } = await mover.move('/srv/app', 'heavy');
    expect({ rebound, unbound }).toEqual({
      rebound: [{ jarvisSessionID: 'chat', sessionID: 'ses_1', directory: '/srv/app', server: 'heavy' }],
      unbound: [],
    });
    expect(find('heavy').bindings.get('chat')).toMatchObject({ sessionID: 'ses_1' });
    expect(find('main').bindings.list()).toHaveLength(1);
  });

  it.each([
    ['other data directories', { main: '/data/main', heavy: '/data/heavy' }],
    ['data directories that nobody knows', { main: undefined, heavy: undefined }],
  ])('refuses to leave them behind between %s', async (_name, dataOf) => {
    const { mover, placements, find } = aMover(dataOf);
    find('main').bindings.bind('chat', session);
    await expect(mover.move('/srv/app', 'heavy')).rejects.toBeInstanceOf(RepoBoundError);
    expect(placements.choose('/srv/app')).toBe('main');
  });

  it('notices one that was bound while the server let the repository go', async () => {
    const { mover, placements, find } = aMover({ main: '/data/main', heavy: '/data/heavy' });
    const { promise, resolve } = deferred();
    find('main').leaving = promise;
    const move = mover.move('/srv/app', 'heavy');
    find('main').bindings.bind('chat', session);
    resolve();
    await expect(move).rejects.toBeInstanceOf(RepoBoundError);
    expect(placements.choose('/srv/app')).toBe('main');
  });

  it('removes one that the other server knows as another session, and says so', async () => {
    const { mover, find } = aMover({ main: '/data', heavy: '/data' });
    find('main').bindings.bind('chat', session);
    find('heavy').bindings.learn({ id: 'ses_1', directory: '/srv/moved' });
    const { rebound, unbound } = await mover.move('/srv/app', 'heavy');
    expect([rebound.length, unbound.length]).toEqual([0, 1]);
  });

  it('goes on with the next move when the waiting of one is given up', async () => {
    const { mover, placements, find } = aMover({ main: '/data', heavy: '/data' });
    const { promise, resolve } = deferred();
    find('main').leaving = promise;
    const first = mover.move('/srv/app', 'heavy');
    const controller = new AbortController();
    const second = mover.move('/srv/app', 'main', { signal: controller.signal });
    const third = mover.move('/srv/app', 'main');
    controller.abort(new Error('mine'));
    await expect(second).rejects.toThrow('mine');
    expect(placements.choose('/srv/app')).toBe('main');
    resolve();
    expect((await first).from).toBe('main');
    expect((await third).from).toBe('heavy');
  });
});
