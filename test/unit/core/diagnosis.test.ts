import { describe, expect, it } from 'vitest';
import { formatDiagnosis, type Finding } from 'jarvis-opencode';

describe('formatDiagnosis()', () => {
  it('writes a line for each finding and one for its advice', () => {
    const findings: Finding[] = [
      { level: 'ok', check: 'server', summary: 'It answers.' },
      { level: 'warn', check: 'ripgrep', summary: 'There is none.', advice: 'Install it.' },
    ];
    expect(formatDiagnosis(findings)).toBe(
      'ok    server: It answers.\nwarn  ripgrep: There is none.\n      -> Install it.',
    );
    expect(formatDiagnosis([])).toBe('');
  });
});
