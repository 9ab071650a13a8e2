import { describe, expect, it } from 'vitest';
import { JarvisOpenCode, ResponseShapeError } from 'jarvis-opencode';
import { fakeHandle } from '../../../support/server-handle.js';

describe('repo.path()', () => {
  it('refuses the answer for another directory', async () => {
    const fetch = (): Promise<Response> =>
      Promise.resolve(Response.json({ directory: '/srv/other', worktree: '/' }));
    await using jarvis = new JarvisOpenCode(fakeHandle(), { fetch, idle: false });
    const error = await jarvis
      .forRepo('/srv/app')
      .path()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ResponseShapeError);
    expect(error).toMatchObject({
      issues: [{ path: 'directory', message: 'expected "/srv/app", got "/srv/other"' }],
    });
  });
});
