import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LIBRARY_VERSION, MEASURED_SERVER } from '../../../src/core/version.js';

describe('LIBRARY_VERSION', () => {
  it('is the version in package.json', () => {
    const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    expect(LIBRARY_VERSION).toBe((JSON.parse(manifest) as { version: string }).version);
  });
});

describe('MEASURED_SERVER', () => {
  it('is the version of OpenCode that the tests run', () => {
    const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    const { devDependencies } = JSON.parse(manifest) as { devDependencies: Record<string, string> };
    expect(MEASURED_SERVER).toBe(devDependencies['opencode-ai']);
  });
});
