import { chmodSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { diagnoseDataDirectory } from '../../../../src/lifecycle/diagnosis/data-directory.js';

let directory: string;
let database: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'jarvis-data-'));
  database = join(directory, 'opencode.db');
  writeFileSync(database, '');
  chmodSync(database, 0o644);
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('diagnoseDataDirectory()', () => {
  it('tells where the data is and how large the database is', () => {
    truncateSync(database, 3 * 1024 * 1024);
    const finding = diagnoseDataDirectory(directory);
    expect(finding).toMatchObject({ level: 'ok', check: 'data-directory' });
    expect(finding.summary).toContain(directory);
    expect(finding.summary).toContain('3 MiB');
  });

  it('warns of a database that others can read', () => {
    chmodSync(directory, 0o755);
    const finding = diagnoseDataDirectory(directory);
    expect(finding).toMatchObject({ level: 'warn', advice: expect.stringContaining('chmod 700') });
    expect(finding.summary).toContain(database);
    chmodSync(database, 0o600);
    expect(diagnoseDataDirectory(directory).level).toBe('ok');
  });

  it('warns of a large database', () => {
    truncateSync(database, 3 * 1024 ** 3);
    expect(diagnoseDataDirectory(directory)).toMatchObject({
      level: 'warn',
      advice: expect.stringContaining('Delete'),
    });
  });

  it('reports a directory that is gone as an error', () => {
    expect(diagnoseDataDirectory(join(directory, 'gone'))).toMatchObject({
      level: 'error',
      summary: expect.stringContaining('ENOENT'),
    });
  });
});
