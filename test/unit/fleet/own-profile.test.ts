import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { planOwn } from '../../../src/fleet/own-profile.js';

const context = { name: 'each', path: 'servers.each', isFirst: true };

describe('the servers of a profile with perRepo', () => {
  it('keeps each in a folder of its own, readable and the same each time', () => {
    const { ofRepository, startsNow, stopAfterIdleMs } = planOwn(
      { perRepo: true, dataDir: '/var/lib/each' },
      {},
      context,
    );
    const folderOf = (repository: string): string =>
      dirname(dirname(ofRepository?.(repository).dataDirectory ?? ''));
    expect([startsNow, stopAfterIdleMs]).toEqual([false, 900_000]);
    const folder = folderOf('/srv/a b/app');
    expect(folder).toMatch(/^\/var\/lib\/each\/app-[0-9a-f]{12}$/);
    expect(folderOf('/srv/a b/app')).toBe(folder);
    expect(folderOf('/srv/other/app')).not.toBe(folder);
    expect(folderOf('/srv/ü/..x y')).toMatch(/^\/var\/lib\/each\/\.\.x_y-[0-9a-f]{12}$/);
    expect(folderOf('/')).toMatch(/^\/var\/lib\/each\/-[0-9a-f]{12}$/);
  });

  it('shares the data directory of the user without dataDir', () => {
    const { ofRepository } = planOwn({ perRepo: true, env: { XDG_DATA_HOME: '/data' } }, {}, context);
    expect(ofRepository?.('/srv/a').dataDirectory).toBe('/data/opencode');
    expect(ofRepository?.('/srv/b').dataDirectory).toBe('/data/opencode');
  });
});
