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
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServerStartError } from '../../../../src/errors.js';
import {
  findBinary,
  installDirectories,
  packageRoots,
  type BinaryOptions,
} from '../../../../src/lifecycle/process/binary.js';

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

/** Where to look, besides the project. */
interface Search extends Partial<BinaryOptions> {
  readonly searchPath?: string | undefined;
}

function find({ searchPath = '', ...options }: Search = {}): string {
  return findBinary({
    env: { PATH: searchPath },
    packageRoots: [project],
    installDirectories: [],
    ...options,
  });
}

function refusal(options: Search): ServerStartError {
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
    expect(natives).toContain(find({ packageRoots: [below] }));
  });

  it('finds the package of a project given by a relative path', () => {
    const { natives } = installPackage({ wrapperBytes: 200, native: 'beside' });
    expect(natives).toContain(find({ packageRoots: [relative(process.cwd(), project)] }));
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

  it('finds the package of a later root where the first has none', () => {
    const { natives } = installPackage({ wrapperBytes: 200, native: 'beside' });
    expect(natives).toContain(find({ packageRoots: [join(root, 'elsewhere'), project] }));
  });

  it('finds the package that Yarn keeps unplugged', () => {
    for (const name of ['opencode-ai', ...platformPackages]) {
      const folder = join(project, `.yarn/unplugged/${name}-npm-1.18.33-0123456789/node_modules`, name);
      manifest(folder, name);
      file(join(folder, 'bin/opencode'), { bytes: BINARY_BYTES });
    }
    expect(find()).toContain('.yarn/unplugged/opencode-');
  });

  it('takes a platform package for another C library where the one for this machine is missing', () => {
    const { natives } = installPackage({ wrapperBytes: 200, native: 'beside' });
    const [last = ''] = natives.slice(-1);
    for (const native of natives.slice(0, -1)) rmSync(native);
    expect(find()).toBe(last);
  });

  it('takes an opencode of an installer where PATH has none', () => {
    const installed = file(join(root, 'home/.opencode/bin/opencode'));
    const found = { installDirectories: [join(root, 'empty'), dirname(installed)] };
    expect(find(found)).toBe(installed);
    const onPath = file(join(root, 'path/opencode'));
    expect(find({ ...found, searchPath: dirname(onPath) })).toBe(onPath);
  });

  it('makes what a relative directory of PATH has absolute', () => {
    const onPath = file(join(root, 'path/opencode'));
    expect(find({ searchPath: relative(process.cwd(), dirname(onPath)) })).toBe(onPath);
  });

  it('takes the native binary of the package whose command is on PATH', () => {
    const { wrapper, natives } = installPackage({
      wrapperBytes: 200,
      native: 'beside',
      into: join(root, 'global/lib'),
    });
    mkdirSync(join(root, 'global/bin'));
    symlinkSync(wrapper, join(root, 'global/bin/opencode'));
    expect(natives).toContain(find({ searchPath: join(root, 'global/bin') }));
  });

  it('takes the native binary of the package that a shell script on PATH starts', () => {
    const { natives } = installPackage({
      wrapperBytes: 200,
      native: 'beside',
      into: join(root, 'global/5'),
    });
    const shim = file(join(root, 'global/opencode'));
    writeFileSync(
      shim,
      '#!/bin/sh\nbasedir=$(dirname "$0")\nexec "$basedir/5/node_modules/opencode-ai/bin/opencode.exe" "$@"\n',
    );
    expect(natives).toContain(find({ searchPath: dirname(shim) }));
  });

  it('names every directory that it searched, and why it could not use what it found', () => {
    const { wrapper } = installPackage({ wrapperBytes: 200, native: 'none' });
    const [broken, data, directory] = ['broken', 'data', 'directory'].map((name) => join(root, name));
    mkdirSync(join(directory as string, 'opencode'), { recursive: true });
    mkdirSync(broken as string);
    symlinkSync(join(root, 'nothing'), join(broken as string, 'opencode'));
    file(join(data as string, 'opencode'), { mode: 0o644 });
    const { message } = refusal({
      packageRoots: [join(project, 'app'), root],
      searchPath: [broken, data, directory, join(root, 'empty')].join(delimiter),
      installDirectories: [join(root, 'installer')],
    });
    const lines = message.split('\n').map((line) => line.trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        ...[join(project, 'app'), project, root, '/'].map((level) => join(level, 'node_modules')),
        ...[broken, data, directory, join(root, 'empty'), join(root, 'installer')],
        `${broken}/opencode is a link to a file that does not exist`,
        `${directory}/opencode is a directory`,
      ]),
    );
    expect(message).toContain(`${data}/opencode may not be executed by this user`);
    expect(message).toContain(`${wrapper} is a placeholder`);
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

  it.each<[what: string, make: () => Search]>([
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

describe.skipIf(process.platform === 'win32')('with OPENCODE_BIN', () => {
  it('takes the path before the package and PATH', () => {
    installPackage({ wrapperBytes: BINARY_BYTES, native: 'beside' });
    const own = file(join(root, 'own/my-opencode'));
    expect(find({ env: { OPENCODE_BIN: own, PATH: dirname(file(join(root, 'path/opencode'))) } })).toBe(own);
  });

  it('searches PATH for a name', () => {
    const own = file(join(root, 'path/my-opencode'));
    expect(find({ env: { OPENCODE_BIN: 'my-opencode', PATH: dirname(own) } })).toBe(own);
  });

  it('prefers the option command', () => {
    const command = file(join(root, 'own/my-opencode'));
    expect(find({ command, env: { OPENCODE_BIN: '/nowhere' } })).toBe(command);
  });

  it('counts an empty value as none', () => {
    const { natives } = installPackage({ wrapperBytes: 200, native: 'beside' });
    expect(natives).toContain(find({ env: { OPENCODE_BIN: '' } }));
  });

  it.each<[what: string, make: () => string, fault: string]>([
    ['a path where nothing is', () => join(root, 'nothing'), 'it does not exist'],
    ['a directory', () => root, 'it is a directory'],
    [
      'a file that is not executable',
      () => file(join(root, 'data'), { mode: 0o644 }),
      'it may not be executed by this user',
    ],
    [
      'the placeholder of the package',
      () => installPackage({ wrapperBytes: 200, native: 'none' }).wrapper,
      'it is a placeholder',
    ],
  ])('refuses %s and searches nowhere else', (_what, make, fault) => {
    const path = make();
    const onPath = dirname(file(join(root, 'path/opencode')));
    const { message } = refusal({ env: { OPENCODE_BIN: path, PATH: onPath } });
    expect(message).toContain(`OPENCODE_BIN: the command ${JSON.stringify(path)} is not an executable file`);
    expect(message).toContain(fault);
  });
});

describe('on Windows', () => {
  const platform = 'win32';

  /** Makes the script that npm puts beside the packages of a global install. */
  function npmShim(target: string): string {
    const shim = file(join(root, 'npm/opencode.cmd'));
    writeFileSync(shim, ['@ECHO off', `"%dp0%\\${target.replaceAll('/', '\\')}"   %*`].join('\r\n'));
    return shim;
  }

  it('takes the program that a .cmd on PATH starts', () => {
    const shim = npmShim('node_modules/opencode-ai/bin/opencode.exe');
    const { wrapper } = installPackage({
      wrapperBytes: BINARY_BYTES,
      native: 'none',
      into: dirname(shim),
    });
    expect(find({ platform, searchPath: dirname(shim) })).toBe(wrapper);
    expect(find({ platform, command: shim })).toBe(wrapper);
  });

  it('takes the program of any package that a .cmd starts', () => {
    const shim = npmShim('tool/opencode.exe');
    const program = file(join(root, 'npm/tool/opencode.exe'));
    expect(find({ platform, command: 'opencode', searchPath: dirname(shim) })).toBe(program);
  });

  it('refuses a .cmd that starts no program, which only a shell could run', () => {
    const shim = npmShim('node_modules/some-tool/cli.js');
    expect(refusal({ platform, command: shim }).message).toContain('is a batch file');
    expect(refusal({ platform, searchPath: dirname(shim) }).message).toContain(`${shim} is a batch file`);
  });

  it('reads PATH by any spelling of its name', () => {
    const program = file(join(root, 'path/opencode.exe'));
    expect(find({ platform, env: { Path: dirname(program) } })).toBe(program);
  });
});

describe('the places to search', () => {
  it('are the packages of the working directory, of the running script and of this library', () => {
    const roots = packageRoots();
    expect(roots).toContain(process.cwd());
    expect(roots).toContain(dirname(realpathSync(process.argv[1] as string)));
    expect(roots).toContain(join(process.cwd(), 'src/lifecycle/process'));
  });

  it('are the directories of the installer and of package managers', () => {
    const directories = installDirectories({
      PNPM_HOME: '/pnpm',
      BUN_INSTALL: '/bun',
      OPENCODE_INSTALL_DIR: '/own',
    });
    expect(directories).toEqual(
      expect.arrayContaining([
        join(homedir(), '.opencode/bin'),
        '/own',
        '/pnpm',
        '/bun/bin',
        dirname(process.execPath),
      ]),
    );
  });
});
