import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { diagnoseHost, thisHost, type Host } from '../../../../src/lifecycle/diagnosis/host.js';

const fine: Host = { env: {}, pid: 77, platform: 'linux', home: tmpdir(), temporary: tmpdir() };

describe('diagnoseHost()', () => {
  it('has one finding when there is nothing to say', () => {
    expect(diagnoseHost(fine)).toMatchObject([{ level: 'ok', check: 'host' }]);
  });

  it.each<[what: string, host: Partial<Host>, level: string, summary: RegExp, advice: RegExp]>([
    ['a home that is not there', { home: '/no/such/home' }, 'warn', /home directory.*ENOENT/, /HOME/],
    ['no place for temporary files', { temporary: '/no/such' }, 'error', /temporary.*ENOENT/, /TMPDIR/],
    [
      'a proxy that takes loopback requests',
      { env: { HTTP_PROXY: 'http://proxy:3128', NO_PROXY: 'example.org' } },
      'warn',
      /HTTP_PROXY is set.*NO_PROXY/,
      /NO_PROXY=example\.org,127\.0\.0\.1/,
    ],
    ['a process without an init', { pid: 1 }, 'warn', /pid 1/, /--init/],
    ['a system that nobody has tried', { platform: 'win32' }, 'warn', /win32/, /close\(\)/],
  ])('reports %s', (_what, host, level, summary, advice) => {
    expect(diagnoseHost({ ...fine, ...host })).toMatchObject([
      {
        level,
        check: 'host',
        summary: expect.stringMatching(summary),
        advice: expect.stringMatching(advice),
      },
    ]);
  });

  it('never shows the address of a proxy, which may have a password', () => {
    const findings = diagnoseHost({ ...fine, env: { HTTP_PROXY: 'http://user:hunter2@proxy:3128' } });
    expect(JSON.stringify(findings)).not.toContain('hunter2');
  });

  it('takes the directories of the server where this process started it', () => {
    expect(thisHost({ HOME: '/home/server', TMPDIR: '/tmp/server' })).toMatchObject({
      home: '/home/server',
      temporary: '/tmp/server',
    });
  });
});
