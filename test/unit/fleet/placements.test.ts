import { describe, expect, it } from 'vitest';
import { RepoPlacedError } from 'jarvis-opencode';
import { Placements, type PlacementsInit } from '../../../src/fleet/placements.js';
import { randomOf } from '../../support/random.js';

const NAMES = ['main', 'heavy', 'gpu'] as const;

function somePlacements(init: Partial<PlacementsInit> = {}): Placements {
  return new Placements({
    names: NAMES,
    isLocal: (name) => name !== 'gpu',
    canonicalize: (directory) => directory,
    repositoryOf: () => undefined,
    ...init,
  });
}

describe('placing directories', () => {
  it('chooses the member that has it, else that of the route, else the first', () => {
    const asked: string[] = [];
    const placements = somePlacements({
      route: (directory) => {
        asked.push(directory);
        return directory.startsWith('/srv/big') ? 'heavy' : undefined;
      },
    });
    expect(placements.choose('/srv/big/../big/')).toBe('heavy');
    placements.admit('heavy', '/srv/big');
    placements.admit('heavy', '/srv/small');
    expect(placements.choose('/srv/big')).toBe('heavy');
    expect(placements.choose('/srv/small')).toBe('heavy');
    expect(placements.choose('/srv/other')).toBe('main');
    expect(asked).toEqual(['/srv/big', '/srv/other']);
  });

  it('refuses a directory of this machine on a second member, and says who has it', () => {
    const placements = somePlacements();
    placements.admit('main', '/srv/app');
    placements.admit('main', '/srv/app');
    const refused = expect.objectContaining({ directory: '/srv/app', server: 'main', requested: 'heavy' });
    expect(() => placements.admit('heavy', '/srv/app')).toThrow(RepoPlacedError);
    expect(() => placements.check('heavy', '/srv/app')).toThrow(refused as Error);
    expect(placements.list()).toEqual([{ server: 'main', directory: '/srv/app' }]);
  });

  it('keeps the directories of another machine apart from those of this one', () => {
    const placements = somePlacements();
    placements.admit('gpu', '/srv/app');
    expect(placements.choose('/srv/app')).toBe('gpu');
    placements.admit('main', '/srv/app');
    expect(placements.choose('/srv/app')).toBe('main');
    expect(placements.list()).toEqual([
      { server: 'main', directory: '/srv/app' },
      { server: 'gpu', directory: '/srv/app' },
    ]);
  });

  it('gives a link and its target one member', () => {
    const placements = somePlacements({
      canonicalize: (directory) => (directory === '/link' ? '/srv/app' : directory),
      route: (directory) => (directory === '/link' ? 'heavy' : 'main'),
    });
    expect(placements.choose('/link')).toBe('heavy');
    placements.admit('heavy', '/srv/app');
    expect(placements.choose('/srv/app')).toBe('heavy');
    expect(placements.choose('/link')).toBe('heavy');
  });

  it('sends every working tree of a repository where the first one is', () => {
    const placements = somePlacements({
      repositoryOf: (directory) => (directory.startsWith('/srv/app') ? '/srv/app/.git' : undefined),
      route: () => 'main',
    });
    placements.admit('heavy', '/srv/app');
    expect(placements.choose('/srv/app-worktree')).toBe('heavy');
    expect(() => placements.admit('main', '/srv/app-worktree')).toThrow(RepoPlacedError);
  });

  it('moves all working trees of a repository, also those that only the repository knows of', () => {
    const placements = somePlacements({ route: () => 'main' });
    placements.admit('main', '/srv/app');
    placements.admit('main', '/data/worktree', '/srv/app');
    placements.admit('main', '/srv/other');
    expect(placements.workingTrees('/data/worktree')).toEqual(['/srv/app', '/data/worktree']);
    placements.move('heavy', '/data/worktree');
    expect(placements.choose('/srv/app')).toBe('heavy');
    expect(() => placements.check('main', '/data/worktree')).toThrow(RepoPlacedError);
    expect(placements.isElsewhere('main', '/srv/app')).toBe(true);
    expect(placements.list()).toEqual([
      { server: 'heavy', directory: '/srv/app' },
      { server: 'heavy', directory: '/data/worktree' },
      { server: 'main', directory: '/srv/other' },
    ]);
  });

  it('finds a directory on its new member that is also one of another machine', () => {
    const placements = somePlacements({ route: () => 'main' });
    expect(placements.choose('/srv/app')).toBe('main');
    placements.admit('main', '/srv/app');
    placements.admit('gpu', '/srv/app');
    placements.move('heavy', '/srv/app');
    expect(placements.choose('/srv/app')).toBe('heavy');
    expect([placements.has('gpu', '/srv/app'), placements.has('main', '/srv/app')]).toEqual([true, false]);
  });

  it.each<[string, () => unknown, typeof TypeError]>([
    ['an unknown name', () => 'elsewhere', RangeError],
    ['something else than a name', () => 7, RangeError],
    ['a promise', () => Promise.resolve('main'), TypeError],
    ['a promise that rejects', () => Promise.reject(new Error('no')), TypeError],
  ])('refuses a route that gives %s', (_name, route, error) => {
    expect(() => somePlacements({ route }).choose('/srv/app')).toThrow(error);
  });

  it('passes on what the route throws, and places nothing', () => {
    const mine = new Error('mine');
    const placements = somePlacements({
      route: () => {
        throw mine;
      },
    });
    expect(() => placements.choose('/srv/app')).toThrow(mine);
    expect(placements.list()).toEqual([]);
  });

  it('has no directory on two members after any 2,000 steps, and moves none but by a placing', () => {
    const random = randomOf(17);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const directories = Array.from({ length: 30 }, (_, index) => `/srv/r${index}`);
    /** Three working trees each for the first ten repositories, two links each for the next. */
    const repositoryOf = (directory: string): string | undefined => {
      const index = Number(/^\/srv\/r(\d+)/.exec(directory)?.[1]);
      return index < 30 && index % 3 === 0 ? `/git/${Math.floor(index / 9)}` : undefined;
    };
    const canonicalize = (directory: string): string => directory.replace(/^\/link\//, '/srv/');
    const init: PlacementsInit = {
      names: NAMES,
      isLocal: (name) => name !== 'gpu',
      canonicalize,
      repositoryOf,
      route: () => (random() < 0.5 ? undefined : pick(NAMES)),
    };
    let placements = new Placements(init);
    /** What the model knows: the member of each directory and each repository of this machine. */
    const model = new Map<string, string>();
    const ownerOf = (directory: string): string | undefined =>
      model.get(directory) ?? model.get(repositoryOf(directory) ?? '');
    let moves = 0;
    for (let step = 0; step < 2_000; step++) {
      const given = pick(directories).replace(/^\/srv\//, random() < 0.3 ? '/link/' : '/srv/');
      const directory = canonicalize(given);
      const kind = random();
      if (kind < 0.05) {
        const list = placements.list();
        placements = new Placements(init);
        for (const placement of list) placements.admit(placement.server, placement.directory);
      } else if (kind < 0.15) {
        const server = pick(['main', 'heavy']);
        if (ownerOf(directory) === undefined) continue;
        const trees = [...model.keys()].filter(
          (known) => known === directory || (repositoryOf(known) ?? '') === repositoryOf(directory),
        );
        placements.move(server, directory);
        moves += 1;
        for (const tree of [...trees, directory]) model.set(tree, server);
        const repository = repositoryOf(directory);
        if (repository !== undefined) model.set(repository, server);
      } else {
        const server = kind < 0.5 ? placements.choose(given) : pick(NAMES);
        const owner = ownerOf(directory);
        const isHere = server !== 'gpu';
        const attempt = (): void => placements.admit(server, isHere ? directory : given);
        if (isHere && owner !== undefined && owner !== server) expect(attempt).toThrow(RepoPlacedError);
        else attempt();
        if (isHere && owner === undefined) {
          model.set(directory, server);
          const repository = repositoryOf(directory);
          if (repository !== undefined) model.set(repository, server);
        }
      }
      const local = placements.list().filter(({ server }) => server !== 'gpu');
      expect(new Set(local.map((placement) => placement.directory)).size).toBe(local.length);
      for (const placement of local) expect(placement.server).toBe(ownerOf(placement.directory));
    }
    expect(model.size).toBeGreaterThan(20);
    expect(moves).toBeGreaterThan(100);
  });
});
