import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServerStartError } from '../../../../src/errors.js';
import { findBinary, type BinaryOptions } from '../../../../src/lifecycle/process/binary.js';

let root: string;
let project: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'jarvis-binary-')));
  project = join(root, 'project');
  mkdirSync(project);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Makes a file, executable unless told otherwise, of this size. */
function file(path: string, options: { readonly mode?: number; readonly bytes?: number } = {}): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '#!/bin/sh\n');
  if (options.bytes !== undefined) truncateSync(path, options.bytes);
  chmodSync(path, options.mode ?? 0o755);
  return path;
}

function manifest(directory: string, name: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name, version: '1.18.33' }));
}

const BINARY_BYTES = 2_000_000;
/** Every platform package that could be right for this machine. */
const platformPackages = ['', '-baseline', '-musl', '-baseline-musl'].map(
  (variant) => `opencode-${process.platform}-${process.arch}${variant}`,
);

/** Installs `opencode-ai` as npm does: the wrapper, and the platform packages beside it or inside of it. */
function installPackage(options: {
  readonly wrapperBytes: number;
  readonly native: 'beside' | 'inside' | 'none';
  readonly into?: string;
}): { readonly wrapper: string; readonly natives: string[] } {
  const modules = join(options.into ?? project, 'node_modules');
  const packageDirectory = join(modules, 'opencode-ai');
  manifest(packageDirectory, 'opencode-ai');
  const wrapper = file(join(packageDirectory, 'bin/opencode.exe'), { bytes: options.wrapperBytes });
  const natives: string[] = [];
  if (options.native !== 'none') {
    const parent = options.native === 'beside' ? modules : join(packageDirectory, 'node_modules');
    for (const name of platformPackages) {
      manifest(join(parent, name), name);
      natives.push(file(join(parent, name, 'bin/opencode'), { bytes: BINARY_BYTES }));
    }
  }
  return { wrapper, natives };
}

function find(options: Partial<BinaryOptions> = {}): string {
  return findBinary({ projectDirectory: project, searchPath: '', ...options });
}

function refusal(options: Partial<BinaryOptions>): ServerStartError {
  try {
    find(options);
  } catch (error) {
    expect(error).toBeInstanceOf(ServerStartError);
    return error as ServerStartError;
  }
  throw new Error('a binary was found');
}

describe.skipIf(process.platform === 'win32')('without a command', () => {
  it.each(['beside', 'inside'] as const)(
    'takes the native binary of the package, installed %s it, before all else',
    (native) => {
      const { natives } = installPackage({ wrapperBytes: BINARY_BYTES, native });
      const onPath = file(join(root, 'path/opencode'));
      expect(natives).toContain(find({ searchPath: dirname(onPath) }));
    },
  );

  it('takes the binary that the install script put into the package', () => {
    const { wrapper } = installPackage({ wrapperBytes: BINARY_BYTES, native: 'none' });
    expect(find({ searchPath: dirname(file(join(root, 'path/opencode'))) })).toBe(wrapper);
  });

  it('passes over the placeholder that the package has when install scripts did not run', () => {
    installPackage({ wrapperBytes: 200, native: 'none' });
    const onPath = file(join(root, 'path/opencode'));
    expect(find({ searchPath: dirname(onPath) })).toBe(onPath);
  });

  it('takes the native binary also where install scripts did not run', () => {
    const { natives } = installPackage({ wrapperBytes: 200, native: 'beside' });
    expect(natives).toContain(find());
  });

  it('finds the package of a project above', () => {
    const { natives } = installPackage({ wrapperBytes: 200, native: 'beside' });
    const below = join(project, 'packages/app');
    mkdirSync(below, { recursive: true });
    expect(natives).toContain(find({ projectDirectory: below }));
  });

  it('finds the package of a project given by a relative path', () => {
    const { natives } = installPackage({ wrapperBytes: 200, native: 'beside' });
    expect(natives).toContain(find({ projectDirectory: relative(process.cwd(), project) }));
  });

  it('finds the package through the link of a store', () => {
    const { natives } = installPackage({
      wrapperBytes: 200,
      native: 'beside',
      into: join(root, 'store'),
    });
    mkdirSync(join(project, 'node_modules'));
    symlinkSync(join(root, 'store/node_modules/opencode-ai'), join(project, 'node_modules/opencode-ai'));
    expect(natives).toContain(find());
  });

  it('takes the first opencode on PATH where there is no package', () => {
    const first = file(join(root, 'first/opencode'));
    const second = file(join(root, 'second/opencode'));
    const searchPath = [join(root, 'empty'), dirname(first), dirname(second)].join(delimiter);
    expect(find({ searchPath })).toBe(first);
  });

  it('passes over files that are not executable, and over directories', () => {
    file(join(root, 'first/opencode'), { mode: 0o644 });
    mkdirSync(join(root, 'second/opencode'), { recursive: true });
    const third = file(join(root, 'third/opencode'));
    const searchPath = ['first', 'second', 'third'].map((name) => join(root, name)).join(delimiter);
    expect(find({ searchPath })).toBe(third);
  });

  it.each(['', undefined, delimiter])('finds no binary by PATH %j', (searchPath) => {
    const error = refusal({ searchPath });
    expect(error).toMatchObject({ code: 'SERVER_START', exitCode: null, recentOutput: [] });
    expect(error.message).toContain('npm install opencode-ai@1.18');
    expect(error.message).toMatch(/PATH/);
  });

  it('names the binaries that it could not use', () => {
    const { wrapper } = installPackage({ wrapperBytes: 200, native: 'none' });
    expect(refusal({}).message).toContain(wrapper);
  });
});

describe.skipIf(process.platform === 'win32')('with a command', () => {
  it('takes the path of a command as it is, whatever other binaries exist', () => {
    installPackage({ wrapperBytes: BINARY_BYTES, native: 'beside' });
    const command = file(join(root, 'own/my-opencode'));
    expect(find({ command })).toBe(command);
  });

  it('takes the path of a command relative to the working directory', () => {
    const command = file(join(root, 'own/my-opencode'));
    expect(find({ command: relative(process.cwd(), command) })).toBe(command);
  });

  it('takes a link as a command', () => {
    const link = join(root, 'link');
    symlinkSync(file(join(root, 'own/my-opencode')), link);
    expect(find({ command: link })).toBe(link);
  });

  it('searches PATH for the name of a command', () => {
    const command = file(join(root, 'path/my-opencode'));
    expect(find({ command: 'my-opencode', searchPath: dirname(command) })).toBe(command);
  });

  it.each<[what: string, make: () => Partial<BinaryOptions>]>([
    ['a path where nothing is', () => ({ command: join(root, 'nothing') })],
    ['a file that is not executable', () => ({ command: file(join(root, 'data'), { mode: 0o644 }) })],
    ['a directory', () => ({ command: root })],
    [
      'a link to nowhere',
      () => {
        symlinkSync(join(root, 'nothing'), join(root, 'link'));
        return { command: join(root, 'link') };
      },
    ],
    ['a name that is not on PATH', () => ({ command: 'my-opencode', searchPath: root })],
    ['an empty name', () => ({ command: '', searchPath: root })],
    [
      'a name on PATH that is not executable',
      () => ({ command: 'data', searchPath: dirname(file(join(root, 'path/data'), { mode: 0o644 })) }),
    ],
  ])('refuses %s as a command and searches nowhere else', (_what, make) => {
    installPackage({ wrapperBytes: BINARY_BYTES, native: 'beside' });
    const options = make();
    const error = refusal(options);
    expect(error).toMatchObject({ command: options.command, exitCode: null, code: 'SERVER_START' });
    expect(error.message).toContain(JSON.stringify(options.command));
    expect(error.message).toContain('executable');
  });
});
