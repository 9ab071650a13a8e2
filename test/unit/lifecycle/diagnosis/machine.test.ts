import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { diagnoseMachine } from '../../../../src/lifecycle/diagnosis/machine.js';

describe('diagnoseMachine()', () => {
  it('looks at the programs and the data of a server that this process started', () => {
    const env = { PATH: process.env['PATH'], HOME: tmpdir(), PASSWORD: 'hunter2' };
    const findings = diagnoseMachine({ environment: () => env, dataDirectory: tmpdir() });
    const checks = new Set(findings.map(({ check }) => check));
    expect([...checks]).toEqual(['git', 'ripgrep', 'data-directory', 'orphans', 'host']);
    expect(JSON.stringify(findings)).not.toContain('hunter2');
  });

  it('looks at this process alone where somebody else runs the server', () => {
    const checks = new Set(diagnoseMachine({ dataDirectory: undefined }).map(({ check }) => check));
    expect([...checks]).toEqual(['orphans', 'host']);
  });
});
