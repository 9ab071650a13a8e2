import { describe, expect, it } from 'vitest';
import { RequestError } from 'jarvis-opencode';
import type { Http } from '../../../src/client/http/http.js';
import { ActivityReader } from '../../../src/instances/activity-reader.js';
import type { InstanceEntry } from '../../../src/registry/instance-entry.js';
import { quietRegistry } from '../../support/quiet-registry.js';

const { signal } = new AbortController();

const IDLE = { '/session/status': {}, '/pty': [], '/permission': [], '/question': [] };

/** A reader whose server answers each path with a value, or as a function says. */
function setUp(answers: Readonly<Record<string, unknown>>): {
  entry: InstanceEntry;
  reader: ActivityReader;
  asked: string[];
  confirmed: () => number;
} {
  const entry = quietRegistry().entry('/a');
  entry.use();
  const asked: string[] = [];
  let confirmed = 0;
  const http = {
    send: async ({ path }: { readonly path: string }) => {
      asked.push(path);
      const answer = { ...IDLE, ...answers }[path];
      await Promise.resolve();
      return typeof answer === 'function' ? (answer as () => unknown)() : answer;
    },
  } as unknown as Http;
  const reader = new ActivityReader({
    http,
    assertSame: () => undefined,
    onConfirmed: () => (confirmed += 1),
  });
  return { entry, reader, asked, confirmed: () => confirmed };
}

const kinds = (entry: InstanceEntry): string[] =>
  entry.holds().map(({ kind, detail }) => `${kind} ${detail}`);

describe('reading the activity of an instance', () => {
  it('turns the work of the server into holds of the instance', async () => {
    const { entry, reader, confirmed } = setUp({
      '/session/status': { ses_1: { type: 'busy' }, ses_2: { type: 'retry' }, ses_3: { type: 'idle' } },
      '/permission': [{ id: 'per_1', sessionID: 'ses_1' }],
      '/question': [{ id: 'que_1', sessionID: 'ses_2' }],
      '/pty': [
        { id: 'pty_1', status: 'running' },
        { id: 'pty_2', status: 'exited' },
      ],
    });
    entry.begin('session-busy', { id: 'ses_stale' });
    await reader.confirm(entry, signal);
    expect(kinds(entry)).toEqual([
      'session-busy ses_1',
      'session-busy ses_2',
      'permission per_1',
      'question que_1',
      'pty pty_1',
    ]);
    expect(confirmed()).toBe(1);
  });

  it('leaves out the asks of a session that is not at work', async () => {
    const { entry, reader } = setUp({
      '/session/status': { ses_1: { type: 'busy' } },
      '/permission': [{ id: 'per_1', sessionID: 'ses_aborted' }],
    });
    const activity = await reader.confirm(entry, signal);
    expect(activity).toMatchObject({ busySessions: ['ses_1'], permissions: [] });
  });

  it('reads the asks of an instance only when a session is at work', async () => {
    const { entry, reader, asked } = setUp({});
    await reader.confirm(entry, signal);
    expect(asked).toEqual(['/session/status', '/pty']);
  });

  it('reads nothing of an instance that is not loaded', async () => {
    const { entry, reader, asked } = setUp({});
    entry.unload('external');
    expect(await reader.confirm(entry, signal)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('reads the activity again when an event came before the answer', async () => {
    let reads = 0;
    const { entry, reader, confirmed } = setUp({
      '/session/status': () => {
        if (++reads === 1) entry.begin('session-busy', { id: 'ses_new' });
        return reads === 1 ? {} : { ses_new: { type: 'busy' } };
      },
    });
    await reader.confirm(entry, signal);
    expect([reads, confirmed(), kinds(entry)]).toEqual([2, 1, ['session-busy ses_new']]);
  });

  it('reads nothing more once the instance is disposed', async () => {
    const { entry, reader, asked } = setUp({
      '/session/status': () => {
        entry.unload('external');
        return { ses_1: { type: 'busy' } };
      },
    });
    expect(await reader.confirm(entry, signal)).toBeUndefined();
    expect(asked).toEqual(['/session/status', '/pty']);
  });

  it('leaves an unknown hold when the server cannot be asked, until it can', async () => {
    let failure: Error | undefined = new Error('no answer');
    const { entry, reader } = setUp({
      '/session/status': () => {
        if (failure !== undefined) throw failure;
        return {};
      },
    });
    await expect(reader.confirm(entry, signal)).rejects.toBe(failure);
    expect(entry.holds()).toMatchObject([{ kind: 'unknown' }]);
    failure = undefined;
    await reader.confirm(entry, signal);
    expect(entry.holds()).toEqual([]);
  });

  it('marks an instance as broken when the server cannot load it any more', async () => {
    const error = new RequestError({
      method: 'GET',
      path: '/session/status',
      status: 400,
      body: { name: 'ConfigInvalidError', data: {} },
    });
    const { entry, reader } = setUp({
      '/session/status': () => {
        throw error;
      },
    });
    expect(await reader.confirm(entry, signal)).toBeUndefined();
    expect(entry.stats(undefined)).toMatchObject({ state: 'broken', error });
  });

  it('refuses a directory that has become another one, and reads nothing', async () => {
    const failure = new Error('replaced');
    const entry = quietRegistry().entry('/a');
    entry.use();
    const reader = new ActivityReader({
      http: {} as Http,
      assertSame: () => {
        throw failure;
      },
    });
    await expect(reader.confirm(entry, signal)).rejects.toBe(failure);
  });
});
