import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LIBRARY_VERSION } from '../../../src/core/version.js';

describe('LIBRARY_VERSION', () => {
  it('is the version in package.json', () => {
    const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    expect(LIBRARY_VERSION).toBe((JSON.parse(manifest) as { version: string }).version);
  });
});
