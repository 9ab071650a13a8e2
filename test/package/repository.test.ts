import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import semver from 'semver';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly engines?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

const lock = JSON.parse(read('package-lock.json')) as {
  readonly version: string;
  readonly packages: Record<string, Locked>;
};
const manifest = JSON.parse(read('package.json')) as {
  readonly version: string;
  readonly engines: { readonly node: string };
  readonly sideEffects: boolean;
  readonly devDependencies: Record<string, string>;
};

describe('the lock file', () => {
  it('holds no addresses', () => {
    const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined);
    expect(resolved.map(([path]) => path)).toEqual([]);
  });

  // `npm ci` refuses a lock file without them, and `npm install` drops what its registry does not serve.
  it('names every optional platform package, also those that were not to be had where it was made', () => {
    const nowhere = Object.values(lock.packages)
      .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
      .filter((name) => !Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`)));
    expect(nowhere).toEqual([]);
  });

  it('belongs to this version of the manifest', () => {
    expect(lock.version).toBe(manifest.version);
  });

  it.each(['20.19.0', '20.20.0', '22.13.0', '24.0.0'])('installs without an engine warning on %s', (node) => {
    const unhappy = Object.entries(lock.packages)
      .filter(
        ([, { engines }]) => engines?.['node'] !== undefined && !semver.satisfies(node, engines['node']),
      )
      .map(([path, { version, engines }]) => `${path} ${version}: ${engines?.['node']}`);
    expect(unhappy).toEqual([]);
  });
});

describe('the repository', () => {
  it.each(['package.json', 'package-lock.json', '.npmrc', '.ci/run', 'README.md', 'CHANGELOG.md'])(
    '%s names no registry host and no path of a machine',
    (path) => {
      const text = read(path);
      expect(text).not.toMatch(/\bregistry\.[\w-]+\.[a-z]{2,}|\/\/[\w.-]*(artifactory|nexus|verdaccio)/i);
      expect(text).not.toMatch(/\/(home|Users)\/\w+\//);
      expect(text).not.toContain(root);
    },
  );

  it('develops against one exact OpenCode', () => {
    const server = manifest.devDependencies['opencode-ai'];
    expect(server).toMatch(/^\d+\.\d+\.\d+$/);
    expect(manifest.devDependencies['@opencode-ai/sdk']).toBe(server);
  });

  it('says what it needs and that it has no side effects', () => {
    expect(manifest.engines.node).toBe('>=20.19');
    expect(manifest.sideEffects).toBe(false);
  });
});
