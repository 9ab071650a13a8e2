import { JarvisOpenCode, RequestError, type RepoClient } from 'jarvis-opencode';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { FakeOpenCode } from '../../../support/fake-opencode.js';
import { fakeHandle } from '../../../support/server-handle.js';

const PTY = { id: 'pty_1', title: '', command: 'sh', args: [], cwd: '/repo', status: 'running', pid: 1 };

/** A repository, and the far side of it. */
async function setUp(): Promise<{ readonly repo: RepoClient; readonly server: FakeOpenCode }> {
  const server = new FakeOpenCode('/repo');
  server.answer('GET /path', () => Response.json({ directory: '/repo' }));
  const jarvis = new JarvisOpenCode(fakeHandle(), { fetch: server.fetch, idle: false });
  onTestFinished(() => jarvis.close());
  const repo = jarvis.forRepo('/repo');
  await repo.events().ready;
  return { repo, server };
}

function holdsOf(repo: RepoClient): string[] {
  return repo.stats().holds.map(({ kind, detail }) => `${kind} ${detail}`);
}

describe('a terminal that is made', () => {
  it('holds the instance from the answer on, until an event reports the new terminal', async () => {
    const { repo, server } = await setUp();
    server.answer('POST /pty', () => Response.json(PTY));
    await repo.pty.create();
    expect(holdsOf(repo)).toEqual(['request POST /pty']);
    server.event('pty.created', { info: PTY });
    await vi.waitFor(() => expect(holdsOf(repo)).toEqual(['pty pty_1']));
    server.event('pty.exited', { id: 'pty_1', exitCode: 0 });
    await vi.waitFor(() => expect(holdsOf(repo)).toEqual([]));
  });

  it('holds the instance when an event reports the new terminal before the answer', async () => {
    const { repo, server } = await setUp();
    server.answer('POST /pty', async () => {
      server.event('pty.created', { info: PTY });
      await vi.waitFor(() => expect(holdsOf(repo)).toContain('pty pty_1'));
      return Response.json(PTY);
    });
    await repo.pty.create();
    expect(holdsOf(repo)).toEqual(['pty pty_1']);
  });

  it('holds nothing when the server refuses to make a terminal', async () => {
    const { repo, server } = await setUp();
    server.answer('POST /pty', () => Response.json({}, { status: 500 }));
    await expect(repo.pty.create()).rejects.toThrow(RequestError);
    expect(holdsOf(repo)).toEqual([]);
  });

  it('holds nothing when the connection for a new terminal was refused', async () => {
    const { repo, server } = await setUp();
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    server.answer('POST /pty', () => Promise.reject(new TypeError('fetch failed', { cause: refused })));
    await expect(repo.pty.create({}, { retry: false })).rejects.toMatchObject({ name: 'ConnectionError' });
    expect(holdsOf(repo)).toEqual([]);
  });

  it('holds the instance when nobody knows whether the server has made the terminal', async () => {
    const { repo, server } = await setUp();
    server.answer('POST /pty', () => Promise.reject(new TypeError('reset')));
    await expect(repo.pty.create()).rejects.toMatchObject({ name: 'ConnectionError' });
    expect(holdsOf(repo)).toEqual(['request POST /pty']);
  });
});
