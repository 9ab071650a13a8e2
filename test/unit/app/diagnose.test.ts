import { describe, expect, it } from 'vitest';
import { ClosedError, RepoPathError, type Finding, type RepoOverview } from 'jarvis-opencode';
import { diagnose, type DiagnoseInit, type DiagnoseOptions } from '../../../src/app/diagnose.js';

const NOW = 1_000_000;

function overview(given: Partial<RepoOverview>): RepoOverview {
  return {
    directory: '/srv/app',
    loaded: true,
    state: 'idle',
    error: undefined,
    holds: [],
    pluginErrors: [],
    ...given,
  } as RepoOverview;
}

interface Answers {
  readonly providers?: readonly object[];
  readonly model?: string;
}

function init(given: Partial<DiagnoseInit> = {}, answers: Answers = {}): DiagnoseInit {
  const { providers = [{ id: 'anthropic' }, { id: 'openai' }], model } = answers;
  const config = { providers: async () => ({ providers }), get: async () => ({ model }) };
  return {
    server: { state: 'ready', url: 'http://127.0.0.1:4096', version: '1.18.33' },
    health: async () => ({ healthy: true, version: '1.18.33' }),
    repos: () => [overview({})],
    forRepo: (directory) => ({ directory, config }) as unknown as ReturnType<DiagnoseInit['forRepo']>,
    permissions: undefined,
    now: () => NOW,
    machine: () => [],
    ...given,
  };
}

async function findingOf(
  check: Finding['check'],
  given: DiagnoseInit,
  options?: DiagnoseOptions,
): Promise<Finding | undefined> {
  return (await diagnose(options, given)).find((finding) => finding.check === check);
}

describe('diagnose()', () => {
  it('finds nothing wrong with a server that answers and has a provider', async () => {
    const findings = await diagnose(undefined, init());
    expect(findings.map(({ check, level }) => `${check} ${level}`)).toEqual([
      'server ok',
      'version ok',
      'provider ok',
      'repository ok',
      'asks ok',
    ]);
    expect(findings.map(({ summary }) => summary).join('\n')).toContain('anthropic, openai');
  });

  it('warns of a version that was not measured', async () => {
    const other = init({ health: async () => ({ healthy: true, version: '1.19.0' }) });
    expect(await findingOf('version', other)).toMatchObject({
      level: 'warn',
      summary: expect.stringContaining('1.19.0'),
    });
  });

  it('reports a server that does not answer in time, and the rest all the same', async () => {
    const silent = init({
      health: ({ signal }) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))),
    });
    const findings = await diagnose({ timeoutMs: 5 }, silent);
    expect(findings.find(({ check }) => check === 'server')).toMatchObject({ level: 'error' });
    expect(findings.find(({ check }) => check === 'asks')).toMatchObject({ level: 'ok' });
  });

  it('asks a server that has failed nothing about its health', async () => {
    const failed = init({ server: { state: 'failed', url: '', version: '1.18.33' } });
    expect(await findingOf('server', failed)).toMatchObject({
      level: 'error',
      summary: 'The server is failed.',
    });
  });

  it.each<[what: string, answers: Answers, level: string, summary: RegExp]>([
    ['no provider', { providers: [] }, 'error', /No provider can be used/],
    [
      'a model whose provider has no key',
      { model: 'google/gemini' },
      'error',
      /google\/gemini.*key is missing/,
    ],
    [
      'only the free models of OpenCode',
      { providers: [{ id: 'opencode', options: { apiKey: 'public' } }] },
      'warn',
      /Only the free models/,
    ],
    ['a provider with a key', { model: 'openai/gpt' }, 'ok', /the model is openai\/gpt/],
  ])('judges %s', async (_what, answers, level, summary) => {
    const finding = await findingOf('provider', init({}, answers));
    expect(finding).toMatchObject({ level, summary: expect.stringMatching(summary) });
    expect(finding?.advice === undefined).toBe(level === 'ok');
  });

  it('loads no repository by itself, and says so', async () => {
    const asked: string[] = [];
    const unloaded = init({
      repos: () => [overview({ loaded: false, state: 'unloaded' })],
      forRepo: (directory) => {
        asked.push(directory);
        return init().forRepo(directory);
      },
    });
    expect(await findingOf('provider', unloaded)).toMatchObject({ level: 'warn' });
    expect(asked).toEqual([]);
    expect(await findingOf('provider', unloaded, { directory: '/srv/b' })).toMatchObject({ level: 'ok' });
    expect(asked).toEqual(['/srv/b']);
  });

  it('reports a directory that is no repository as a finding', async () => {
    const refusing = init({
      forRepo: (directory) => {
        throw new RepoPathError(directory, 'not-found');
      },
    });
    expect(
      (await diagnose({ directory: '/gone' }, refusing)).filter(({ level }) => level === 'error'),
    ).toEqual([{ level: 'error', check: 'repository', summary: expect.stringContaining('/gone') }]);
  });

  it('reports broken repositories and plugins that failed', async () => {
    const broken = overview({ directory: '/srv/broken', loaded: false, error: new Error('line 3') });
    const plugin = overview({ pluginErrors: ['Failed to load plugin'] });
    const findings = await diagnose(undefined, init({ repos: () => [plugin, broken] }));
    expect(findings.filter(({ check }) => check === 'repository')).toMatchObject([
      { level: 'warn', summary: expect.stringContaining('Failed to load plugin') },
      { level: 'error', summary: expect.stringContaining('line 3') },
    ]);
  });

  it('warns of what nobody answers, once a minute has passed', async () => {
    const asking = (since: number): DiagnoseInit =>
      init({ repos: () => [overview({ holds: [{ kind: 'permission', detail: 'per_1', since }] })] });
    expect(await findingOf('asks', asking(NOW - 59_000))).toMatchObject({ level: 'ok' });
    expect(await findingOf('asks', asking(NOW - 60_000))).toMatchObject({
      level: 'warn',
      summary: expect.stringContaining('permission per_1 for 60 s in /srv/app'),
    });
  });

  it('rejects only with the reason of the signal, and after the end of the client', async () => {
    const reason = new Error('enough');
    await expect(diagnose({ signal: AbortSignal.abort(reason) }, init())).rejects.toBe(reason);
    const closed = init({ health: () => Promise.reject(new ClosedError()) });
    await expect(diagnose(undefined, closed)).rejects.toBeInstanceOf(ClosedError);
  });

  it('throws for a wrong option', async () => {
    await expect(diagnose({ timeoutMs: 0 }, init())).rejects.toThrow(RangeError);
    await expect(diagnose({ directories: [] } as object, init())).rejects.toThrow(/did you mean 'directory'/);
  });
});
